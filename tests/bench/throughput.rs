//! Short answers as fast as they come: requests per second, latency beyond the direct path, CPU time per request.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::field::{Field, Kind, Target};
use crate::load::{Connection, closed_loop, connect};
use crate::measure::{Quantiles, micros};
use crate::options::Pace;
use crate::report::say;
use crate::turns::SHORT_ANSWER;

/// Bodies in bytes.
const SIZES: [usize; 2] = [2 * 1024, 64 * 1024];
/// Turns at once.
const CONCURRENCIES: [usize; 3] = [1, 32, 128];
/// The cell that the gateway's other policies are measured in too.
pub(crate) const COMMON: Cell = Cell { body_bytes: 2 * 1024, concurrency: 32 };
/// Before the first round every target has run this long.
const WARM_UP: Duration = Duration::from_millis(100);
/// The gateway writes what a turn of load leaves behind within this.
const AFTERWORK: Duration = Duration::from_millis(250);

/// One combination that everybody is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) body_bytes: usize,
    pub(crate) concurrency: usize,
}

/// What one target did in one cell.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) cell: Cell,
    pub(crate) target: &'static str,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) added_p50_us: f64,
    pub(crate) added_p99_us: f64,
    /// CPU time of the proxy alone; the direct path has none.
    pub(crate) cpu_us_per_request: Option<f64>,
}

/// One target while its cell is measured.
pub(crate) struct Runner<'a> {
    pub(crate) target: &'a Target,
    connections: Vec<Connection>,
    cpu_before: Option<Duration>,
    /// All requests since then, those that warmed up included.
    requests: usize,
    measured: usize,
    elapsed: Duration,
    rounds: Vec<Quantiles>,
}

/// Measures every cell.
pub(crate) async fn run(field: &mut Field, pace: Pace) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for body_bytes in SIZES {
        for concurrency in CONCURRENCIES {
            let cell = Cell { body_bytes, concurrency };
            if cell != COMMON {
                rows.extend(measure(field, cell, pace).await?);
            }
        }
    }
    // Last, because it starts two more gateways that would stand around otherwise.
    field.add_policies()?;
    rows.extend(measure(field, COMMON, pace).await?);
    rows.sort_by_key(|row| (row.cell.body_bytes, row.cell.concurrency));
    Ok(rows)
}

/// Keeps the gateway, and nobody else, under the load of the common cell.
pub(crate) async fn keep_busy(field: &Field, span: Duration) -> Result<()> {
    let target = field.target(Kind::Switchyard)?;
    let process = target.process.as_ref().context("the gateway has no process")?;
    say(&format!("process {} is busy for {} s", process.id(), span.as_secs()));
    let mut runner = Runner::start(field, target, COMMON).await?;
    runner.round(span).await?;
    let row = runner.row(COMMON, &runner.rounds)?;
    let cpu = row.cpu_us_per_request.unwrap_or(f64::NAN);
    say(&format!("{:.0} requests/s, {cpu:.1} us of CPU each", row.requests_per_second));
    Ok(())
}

async fn measure(field: &Field, cell: Cell, pace: Pace) -> Result<Vec<Row>> {
    say(&format!("{} KB bodies, {} at once", cell.body_bytes / 1024, cell.concurrency));
    let mut runners = Vec::new();
    for target in &field.targets {
        runners.push(Runner::start(field, target, cell).await?);
    }
    for _ in 0..pace.rounds {
        for runner in &mut runners {
            runner.round(pace.turn).await?;
        }
    }
    let direct = runners.iter().find(|runner| runner.target.kind == Kind::Direct);
    let direct = direct.context("the direct path was not measured")?.rounds.clone();
    runners.iter().map(|runner| runner.row(cell, &direct)).collect()
}

impl<'a> Runner<'a> {
    async fn start(field: &Field, target: &'a Target, cell: Cell) -> Result<Self> {
        let Cell { body_bytes, concurrency } = cell;
        let connections =
            connect(target.address, &field.credentials, concurrency, body_bytes, SHORT_ANSWER).await;
        let mut runner = Self {
            target,
            connections: connections.with_context(|| format!("try {}", target.kind.label()))?,
            cpu_before: None,
            requests: 0,
            measured: 0,
            elapsed: Duration::ZERO,
            rounds: Vec::new(),
        };
        runner.load(WARM_UP).await?;
        runner.requests = 0;
        runner.cpu_before = target.process.as_ref().map(|process| process.cpu()).transpose()?;
        Ok(runner)
    }

    async fn load(&mut self, span: Duration) -> Result<crate::load::Load> {
        let load = closed_loop(&mut self.connections, span).await;
        let load = load.with_context(|| format!("measure {}", self.target.kind.label()))?;
        self.requests += load.latencies.len();
        if self.target.kind.has_afterwork() {
            // Its CPU time belongs to these requests and must not disturb whoever comes next.
            tokio::time::sleep(AFTERWORK).await;
        }
        Ok(load)
    }

    async fn round(&mut self, span: Duration) -> Result<()> {
        let load = self.load(span).await?;
        self.measured += load.latencies.len();
        self.elapsed += load.elapsed;
        self.rounds.push(Quantiles::of(load.latencies)?);
        Ok(())
    }

    fn row(&self, cell: Cell, direct: &[Quantiles]) -> Result<Row> {
        let cpu = match (&self.target.process, self.cpu_before) {
            (Some(process), Some(before)) => Some(micros(process.cpu()? - before) / self.requests as f64),
            _ => None,
        };
        let latency = Quantiles::typical(&self.rounds);
        let added = Quantiles::typical_excess(&self.rounds, direct);
        Ok(Row {
            cell,
            target: self.target.kind.label(),
            requests_per_second: self.measured as f64 / self.elapsed.as_secs_f64(),
            p50_us: latency.p50,
            p99_us: latency.p99,
            added_p50_us: added.p50,
            added_p99_us: added.p99,
            cpu_us_per_request: cpu,
        })
    }
}
