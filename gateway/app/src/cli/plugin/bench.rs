//! `switchyard plugin bench`: the time of each hook at sizes that occur.

use anyhow::bail;
use gateway_plugin_host::measure;
use serde::Serialize;

use super::super::text::{span_us, table};
use super::super::{tell, tell_json};
use super::{Checked, Files, check};

/// One hook at one size, for programs.
#[derive(Serialize)]
struct TimeTold {
    hook: &'static str,
    size: String,
    rounds: usize,
    median_us: f64,
    p99_us: f64,
}

/// Measures a component.
pub(super) fn run(args: &Checked) -> anyhow::Result<()> {
    let files = Files::read(&args.file)?;
    let plugin = check::admit(&files, args)??;
    let timings = match measure(&plugin) {
        Ok(timings) => timings,
        Err(why) => bail!("{why}"),
    };
    let times: Vec<TimeTold> = timings
        .into_iter()
        .map(|timing| TimeTold {
            hook: timing.hook.label(),
            size: timing.size,
            rounds: timing.rounds,
            median_us: timing.median.as_secs_f64() * 1e6,
            p99_us: timing.p99.as_secs_f64() * 1e6,
        })
        .collect();
    if args.json {
        return tell_json(&times);
    }
    let mut rows = vec![["HOOK", "GIVEN", "MEDIAN", "P99"].map(str::to_owned).to_vec()];
    rows.extend(times.iter().map(|time| {
        vec![time.hook.to_owned(), time.size.clone(), span_us(time.median_us), span_us(time.p99_us)]
    }));
    tell(&table(&rows));
    tell(&format!("isolation: {} (signed ones may be pooled: they keep their instances)", plugin.isolation().label()));
    Ok(())
}
