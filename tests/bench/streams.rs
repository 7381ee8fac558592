//! A paced stream of 64 events: how much later its first event comes, how long each event is under way, and what it
//! costs the proxy.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::field::{Field, Kind, Target};
use crate::lab::{STAMP, now_nanos};
use crate::load::{Connection, connect};
use crate::measure::{Quantiles, micros};
use crate::options::Pace;
use crate::report::say;
use crate::turns::{PACED_ANSWER, PACED_EVENTS};

/// Streams at once: enough for samples, few enough that nobody queues.
const STREAMS: usize = 8;
const BODY_BYTES: usize = 2 * 1024;

/// What one target did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) target: &'static str,
    /// From sending the turn to its first event.
    pub(crate) first_event_p50_us: f64,
    pub(crate) added_first_event_p50_us: f64,
    pub(crate) added_first_event_p99_us: f64,
    /// From the lab's writing an event to the client's reading it.
    pub(crate) event_p50_us: f64,
    pub(crate) added_event_p50_us: f64,
    pub(crate) added_event_p99_us: f64,
    pub(crate) cpu_us_per_event: Option<f64>,
}

struct Runner<'a> {
    target: &'a Target,
    connections: Vec<Connection>,
    cpu_before: Option<Duration>,
    streams: usize,
    first_event: Vec<Quantiles>,
    event: Vec<Quantiles>,
}

/// Samples of some streams.
#[derive(Default)]
struct Samples {
    streams: usize,
    first_event: Vec<Duration>,
    event: Vec<Duration>,
}

/// Measures everybody but the gateway's other policies: they differ before the first event only.
pub(crate) async fn run(field: &Field, pace: Pace) -> Result<Vec<Row>> {
    say(&format!("streams of {PACED_EVENTS} events"));
    let mut runners = Vec::new();
    let others = [Kind::SwitchyardRhai, Kind::SwitchyardWasm];
    for target in field.targets.iter().filter(|target| !others.contains(&target.kind)) {
        runners.push(Runner::start(field, target).await?);
    }
    for _ in 0..pace.rounds {
        for runner in &mut runners {
            runner.round(pace.turn).await?;
        }
    }
    let direct = runners.iter().find(|runner| runner.target.kind == Kind::Direct);
    let direct = direct.context("the direct path was not measured")?;
    runners.iter().map(|runner| runner.row(direct)).collect()
}

impl<'a> Runner<'a> {
    async fn start(field: &Field, target: &'a Target) -> Result<Self> {
        let connections =
            connect(target.address, &field.credentials, STREAMS, BODY_BYTES, PACED_ANSWER).await;
        Ok(Self {
            target,
            connections: connections.with_context(|| format!("try {}", target.kind.label()))?,
            cpu_before: target.process.as_ref().map(|process| process.cpu()).transpose()?,
            streams: 0,
            first_event: Vec::new(),
            event: Vec::new(),
        })
    }

    async fn round(&mut self, span: Duration) -> Result<()> {
        let until = Instant::now() + span;
        let loops = self.connections.iter_mut().map(|connection| watch(connection, until));
        let all =
            try_join_all(loops).await.with_context(|| format!("measure {}", self.target.kind.label()))?;
        self.streams += all.iter().map(|samples| samples.streams).sum::<usize>();
        self.first_event
            .push(Quantiles::of(all.iter().flat_map(|samples| samples.first_event.iter().copied()))?);
        self.event.push(Quantiles::of(all.iter().flat_map(|samples| samples.event.iter().copied()))?);
        Ok(())
    }

    fn row(&self, direct: &Self) -> Result<Row> {
        let cpu = match (&self.target.process, self.cpu_before) {
            (Some(process), Some(before)) => {
                Some(micros(process.cpu()? - before) / (self.streams * PACED_EVENTS) as f64)
            }
            _ => None,
        };
        let added_first = Quantiles::typical_excess(&self.first_event, &direct.first_event);
        let added_event = Quantiles::typical_excess(&self.event, &direct.event);
        Ok(Row {
            target: self.target.kind.label(),
            first_event_p50_us: Quantiles::typical(&self.first_event).p50,
            added_first_event_p50_us: added_first.p50,
            added_first_event_p99_us: added_first.p99,
            event_p50_us: Quantiles::typical(&self.event).p50,
            added_event_p50_us: added_event.p50,
            added_event_p99_us: added_event.p99,
            cpu_us_per_event: cpu,
        })
    }
}

async fn watch(connection: &mut Connection, until: Instant) -> Result<Samples> {
    let mut samples = Samples::default();
    while Instant::now() < until {
        let sent = Instant::now();
        let mut first = None;
        let Samples { event, .. } = &mut samples;
        connection
            .exchange(|chunk| {
                let now = now_nanos();
                first.get_or_insert_with(|| sent.elapsed());
                event.extend(stamps(chunk).map(|stamp| Duration::from_nanos(now.saturating_sub(stamp))));
            })
            .await?;
        samples.first_event.extend(first);
        samples.streams += 1;
    }
    Ok(samples)
}

/// When the events in this chunk were sent.
fn stamps(chunk: &[u8]) -> impl Iterator<Item = u64> {
    memchr::memmem::find_iter(chunk, STAMP).filter_map(|at| {
        let rest = chunk.get(at + STAMP.len()..)?;
        let end = memchr::memchr(b'\n', rest)?;
        std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_wherever_they_stand() {
        let chunk = b": sent 17\nevent: a\ndata: {}\n\n: sent 18\nevent: b\ndata: {}\n\n: sent 1";
        assert_eq!(stamps(chunk).collect::<Vec<_>>(), [17, 18]);
    }
}
