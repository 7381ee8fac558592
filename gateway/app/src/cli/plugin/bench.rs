//! `switchyard plugin bench`: the time of each hook at sizes that occur.

use anyhow::bail;
use gateway_plugin_host::{Plugin, Vouching, measure};
use serde::Serialize;

use super::super::text::{span_us, table};
use super::super::{tell, tell_json};
use super::{Checked, Files, check};

/// One hook at one size, for programs.
#[derive(Serialize)]
struct TimeTold {
    hook: &'static str,
    size: String,
    /// `pooled` or `fresh`.
    isolation: &'static str,
    rounds: usize,
    median_us: f64,
    p99_us: f64,
}

/// Measures a component, with instances that are kept and with one for each call.
pub(super) fn run(args: &Checked) -> anyhow::Result<()> {
    let mut files = Files::read(&args.file)?;
    let mut times = of(&check::admit(&files, args, Vouching::Operator)??)?;
    // Unsigned and not answered for: an instance for each call.
    files.signature = None;
    if times.iter().any(|time| time.isolation == "pooled") {
        times.extend(of(&check::admit(&files, args, Vouching::Signature)??)?);
    }
    if args.json {
        return tell_json(&times);
    }
    let mut rows = vec![["HOOK", "GIVEN", "ISOLATION", "MEDIAN", "P99"].map(str::to_owned).to_vec()];
    rows.extend(times.iter().map(|time| {
        vec![
            time.hook.to_owned(),
            time.size.clone(),
            time.isolation.to_owned(),
            span_us(time.median_us),
            span_us(time.p99_us),
        ]
    }));
    tell(&table(&rows));
    Ok(())
}

fn of(plugin: &Plugin) -> anyhow::Result<Vec<TimeTold>> {
    let timings = match measure(plugin) {
        Ok(timings) => timings,
        Err(why) => bail!("{why}"),
    };
    let told = timings.into_iter().map(|timing| TimeTold {
        hook: timing.hook.label(),
        size: timing.size,
        isolation: plugin.isolation().label(),
        rounds: timing.rounds,
        median_us: timing.median.as_secs_f64() * 1e6,
        p99_us: timing.p99.as_secs_f64() * 1e6,
    });
    Ok(told.collect())
}
