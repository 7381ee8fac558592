//! The findings as tables for people, and beside them what the project aims at.

use serde::Serialize;

use crate::field::Kind;
use crate::throughput::{COMMON, Cell};
use crate::{crowds, large_pool, memory, pairs, pool, ranking, streams, throughput, translators};

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) memory: memory::Findings,
    pub(crate) throughput: Vec<throughput::Row>,
    pub(crate) streams: Vec<streams::Row>,
    pub(crate) ranking: Vec<ranking::Row>,
    pub(crate) pool: pool::Findings,
    pub(crate) pairs: Vec<pairs::Row>,
    pub(crate) translators: Vec<translators::Row>,
    pub(crate) crowds: Vec<crowds::Row>,
    pub(crate) large_pool: Option<large_pool::Findings>,
    pub(crate) goals: Vec<Goal>,
}

/// One aim and what became of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    what: &'static str,
    /// Met when the value stays below.
    limit: f64,
    value: f64,
    unit: &'static str,
    met: bool,
}

impl Findings {
    /// Holds what was measured against the aims.
    pub(crate) fn judge(&mut self) {
        let cpu = |cell: Cell| Some(self.cpu(cell, Kind::Switchyard)? / self.cpu(cell, Kind::Inspecting)?);
        let alone = Cell { concurrency: 1, ..COMMON };
        let rank = |policy: &str| {
            self.ranking.iter().find(|row| row.policy == policy && row.candidates == 50).map(|row| row.us)
        };
        // What was not measured is neither met nor missed.
        let goal = |what, limit: f64, unit, value: Option<f64>| {
            Some(Goal { what, limit, value: value?, unit, met: value? <= limit })
        };
        let added = |kind| self.row(alone, kind).map(|row| row.added_p99_us);
        let beside_nginx = added(Kind::Switchyard).zip(added(Kind::Nginx)).map(|(own, other)| own / other);
        self.goals = [
            goal("p99 added, same dialect, times nginx (2 KB, 1 at once)", 1.5, "x", beside_nginx),
            goal(
                "p99 added, translated, times nginx (8 at once)",
                2.0,
                "x",
                pairs::beside_nginx(&self.pairs),
            ),
            goal("memory per open stream, the worst", 40.0, "KB", self.memory_per_stream()),
            goal("CPU per request, times the inspecting relay (2 KB, 32 at once)", 2.5, "x", cpu(COMMON)),
            goal(
                "p99 added (2 KB, 1 at once)",
                300.0,
                "us",
                self.row(alone, Kind::Switchyard).map(|row| row.added_p99_us),
            ),
            goal("memory idle", 40.0, "MB", self.memory.idle.map(|idle| idle.resident as f64 / MIB)),
            goal("ranking of 50, WASM", 5.0, "us", rank("wasm")),
            goal("ranking of 50, Rhai", 60.0, "us", rank("rhai")),
            goal("choosing among 500, built in", 20.0, "us", self.choice(500)),
            goal(
                "import of 5,000 accounts",
                5.0,
                "s",
                Some(self.pool.import_s).filter(|_| !self.pool.choice_us.is_empty()),
            ),
            goal(
                "longest turn beside 10,000 accounts at work",
                250.0,
                "ms",
                self.large_pool.as_ref().map(|found| found.busy.longest_ms),
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
    }

    /// Of the gateway, in KB: a thousand streams, and every crowd that was measured.
    fn memory_per_stream(&self) -> Option<f64> {
        let own = self.memory.rows.iter().filter(|row| row.target == Kind::Switchyard.label());
        let all =
            own.map(|row| row.bytes_per_stream).chain(self.crowds.iter().map(|row| row.bytes_per_stream));
        all.map(|bytes| bytes / 1024.0).max_by(f64::total_cmp)
    }

    fn choice(&self, accounts: u32) -> Option<f64> {
        self.pool.choice_us.iter().find(|(of, _)| *of == accounts).map(|(_, us)| *us)
    }

    fn row(&self, cell: Cell, kind: Kind) -> Option<&throughput::Row> {
        self.throughput.iter().find(|row| row.cell == cell && row.target == kind.label())
    }

    fn cpu(&self, cell: Cell, kind: Kind) -> Option<f64> {
        self.row(cell, kind)?.cpu_us_per_request
    }

    /// Prints all tables.
    pub(crate) fn print(&self) {
        self.print_throughput();
        self.print_streams();
        self.print_pairs();
        self.print_translators();
        self.print_memory();
        self.print_crowds();
        self.print_ranking();
        self.print_pool();
        self.print_large_pool();
        line("\nGoals");
        for goal in &self.goals {
            let Goal { what, limit, value, unit, met } = goal;
            let verdict = if *met { "met" } else { "NOT met" };
            line(&format!("  {verdict:<8} {what:<66} {value:>8.2} {unit}  (at most {limit} {unit})"));
        }
    }

    fn print_throughput(&self) {
        if self.throughput.is_empty() {
            return;
        }
        line(
            "\nShort answers, closed loop. Latency in us; medians of rounds; added is against the direct path.",
        );
        let mut last = None;
        for row in &self.throughput {
            let cell = row.cell;
            if last.replace(cell) != Some(cell) {
                line(&format!("\n{} KB bodies, {} at once", cell.body_bytes / 1024, cell.concurrency));
                line(&format!(
                    "  {:<18} {:>9} {:>9} {:>9} {:>10} {:>10} {:>9} {:>12}",
                    "", "req/s", "p50", "p99", "added p50", "added p99", "CPU us", "x inspecting"
                ));
            }
            let cpu = row.cpu_us_per_request;
            let times = cpu.zip(self.cpu(cell, Kind::Inspecting)).map(|(own, other)| own / other);
            line(&format!(
                "  {:<18} {:>9.0} {:>9.0} {:>9.0} {:>10.0} {:>10.0} {:>9} {:>12}",
                row.target,
                row.requests_per_second,
                row.p50_us,
                row.p99_us,
                row.added_p50_us,
                row.added_p99_us,
                or_dash(cpu, 1),
                or_dash(times, 2),
            ));
        }
    }

    fn print_pool(&self) {
        if self.pool.choice_us.is_empty() {
            return;
        }
        line("\nLarge pools, built-in ranking.");
        for (accounts, us) in &self.pool.choice_us {
            line(&format!("  one choice among {accounts:<6} accounts {us:>9.2} us"));
        }
        line(&format!("  import of {} accounts {:>17.2} s", pool::IMPORTED, self.pool.import_s));
        line(&format!("  list of {} accounts {:>18.0} ms", pool::LISTED, self.pool.list_ms));
    }

    /// Prints what a large pool at work costs.
    fn print_large_pool(&self) {
        let Some(found) = &self.large_pool else { return };
        let large_pool::Findings { calm, busy, list_ms, chart_ms, renewed, measured } = found;
        line(&format!("\n{} accounts at work, and turns meanwhile (2 KB, 8 at once).", large_pool::CROWD));
        line(&format!("  {:<34} {:>9} {:>9} {:>9} {:>11}", "", "req/s", "p50 us", "p99 us", "longest ms"));
        for (name, turns) in [("16 accounts, left alone", calm), ("renewed, measured, listed, charted", busy)]
        {
            line(&format!(
                "  {name:<34} {:>9.0} {:>9.0} {:>9.0} {:>11.1}",
                turns.requests_per_second, turns.p50_us, turns.p99_us, turns.longest_ms
            ));
        }
        line(&format!(
            "  listed in {list_ms:.0} ms, charted in {chart_ms:.1} ms; meanwhile {renewed:.0} tokens renewed, {measured} accounts measured"
        ));
    }

    fn print_streams(&self) {
        if self.streams.is_empty() {
            return;
        }
        line("\nStreams of 64 events, 8 at once, about 2 ms between events. In us.");
        line(&format!(
            "  {:<18} {:>11} {:>10} {:>10} {:>11} {:>10} {:>10} {:>10}",
            "", "first event", "added p50", "added p99", "every event", "added p50", "added p99", "CPU/event"
        ));
        for row in &self.streams {
            line(&format!(
                "  {:<18} {:>11.0} {:>10.0} {:>10.0} {:>11.0} {:>10.0} {:>10.0} {:>10}",
                row.target,
                row.first_event_p50_us,
                row.added_first_event_p50_us,
                row.added_first_event_p99_us,
                row.event_p50_us,
                row.added_event_p50_us,
                row.added_event_p99_us,
                or_dash(row.cpu_us_per_event, 1),
            ));
        }
    }

    fn print_pairs(&self) {
        if self.pairs.is_empty() {
            return;
        }
        line(
            "\nPairs of dialects, 8 at once; added is against asking the upstream in its own dialect. In us.",
        );
        line(&format!(
            "  {:<19} {:<19} {:>9} {:>10} {:>10} {:>11} {:>9} {:>10}",
            "client", "upstream", "p50", "added p50", "added p99", "nginx's p99", "CPU", "CPU/event"
        ));
        for row in &self.pairs {
            line(&format!(
                "  {:<19} {:<19} {:>9.0} {:>10.0} {:>10.0} {:>11.0} {:>9.1} {:>10.2}",
                row.client,
                row.upstream,
                row.p50_us,
                row.added_p50_us,
                row.added_p99_us,
                row.nginx_added_p99_us,
                row.cpu_us_per_request,
                row.cpu_us_per_event,
            ));
        }
    }

    fn print_translators(&self) {
        if self.translators.is_empty() {
            return;
        }
        line("\nTranslators alone, one core; the same dialect on both sides is read along.");
        line(&format!(
            "  {:<19} {:<19} {:>14} {:>10} {:>14}",
            "from", "to", "streams MB/s", "us/event", "requests MB/s"
        ));
        for row in &self.translators {
            line(&format!(
                "  {:<19} {:<19} {:>14.0} {:>10.2} {:>14.0}",
                row.from, row.to, row.stream_mb_s, row.event_us, row.request_mb_s
            ));
        }
    }

    fn print_crowds(&self) {
        if self.crowds.is_empty() {
            return;
        }
        line("\nCrowds of open streams, each on a gateway of its own.");
        for row in &self.crowds {
            line(&format!(
                "  {:<10} {:>6} open {:>9.1} MB {:>9.1} KB per stream",
                row.transport,
                row.streams,
                row.open.resident as f64 / MIB,
                row.bytes_per_stream / 1024.0
            ));
        }
    }

    fn print_memory(&self) {
        if self.memory.rows.is_empty() {
            return;
        }
        let mib = |bytes: u64| bytes as f64 / MIB;
        line(&format!(
            "\nMemory in MB (heap and stacks alone in parentheses), {} open streams.",
            memory::STREAMS
        ));
        line(&format!(
            "  {:<18} {:>16} {:>16} {:>16} {:>14}",
            "", "before", "open", "after", "KB per stream"
        ));
        for row in &self.memory.rows {
            let cell = |memory: &crate::process::Memory| {
                format!("{:.1} ({:.1})", mib(memory.resident), mib(memory.anonymous))
            };
            line(&format!(
                "  {:<18} {:>16} {:>16} {:>16} {:>14.1}",
                row.target,
                cell(&row.before),
                cell(&row.open),
                cell(&row.after),
                row.bytes_per_stream / 1024.0
            ));
        }
        if let Some(idle) = &self.memory.idle {
            line(&format!(
                "  switchyard idle: {:.1} MB, {:.1} of it heap and stacks; healthy {:.0} ms after its start",
                mib(idle.resident),
                mib(idle.anonymous),
                self.memory.start_ms
            ));
        }
    }

    fn print_ranking(&self) {
        if self.ranking.is_empty() {
            return;
        }
        line("\nOne ranking, in us.");
        line(&format!("  {:<18} {:>9} {:>9} {:>9}", "candidates", 5, 50, 500));
        for policy in ["built-in", "rhai", "wasm"] {
            let of = |count| {
                let found = self.ranking.iter().find(|row| row.policy == policy && row.candidates == count);
                or_dash(found.map(|row| row.us), 2)
            };
            line(&format!("  {policy:<18} {:>9} {:>9} {:>9}", of(5), of(50), of(500)));
        }
    }
}

fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// A line of the result.
#[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
fn line(text: &str) {
    println!("{text}");
}

/// What is being done now, beside the result.
#[expect(clippy::print_stderr, reason = "a person waits for minutes")]
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}
