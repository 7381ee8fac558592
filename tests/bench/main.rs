//! `bench`: the gateway measured beside a direct run, nginx and two relays, all on this machine.
//!
//! It reports and never judges by its exit code: a benchmark on a shared machine is no test. Every part whose CPU is
//! counted runs as a process of its own; this one generates the load.

mod crowds;
mod field;
mod lab;
mod large_pool;
mod load;
mod measure;
mod memory;
mod nginx;
mod options;
mod pairs;
mod pool;
mod process;
mod ranking;
mod relay;
mod report;
mod streams;
mod throughput;
mod translators;
mod turns;

use anyhow::{Context, Result};
use serde_json::json;

use crate::field::Field;
use crate::options::{Options, Part, Role};
use crate::report::{Findings, say};

fn main() -> Result<()> {
    match Role::parse(std::env::args().skip(1))? {
        Role::Bench(options) => runtime(Threads::One)?.block_on(bench(&options)),
        Role::Lab(options) => runtime(Threads::PerCore)?.block_on(lab::run(options)),
        Role::Relay(options) => runtime(Threads::PerCore)?.block_on(relay::run(options)),
    }
}

enum Threads {
    /// The load generator: cheap wake-ups, and the other core stays with what is measured.
    One,
    /// Servers, as they would run.
    PerCore,
}

fn runtime(threads: Threads) -> Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::PerCore => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build().context("start the runtime")
}

async fn bench(options: &Options) -> Result<()> {
    let pace = options.pace();
    let mut findings = Findings::default();
    if options.wants(Part::Ranking) {
        findings.ranking = ranking::run(pace)?;
    }
    if options.wants(Part::Pool) {
        findings.pool = pool::run().await?;
    }
    if options.wants(Part::LargePool) {
        findings.large_pool = Some(large_pool::run(pace).await?);
    }
    if options.wants(Part::Translators) {
        findings.translators = translators::run(pace)?;
    }
    say("starting the lab, the relays, nginx and the gateway");
    let mut field = Field::start().await?;
    if let Some(span) = options.busy {
        return throughput::keep_busy(&field, span).await;
    }
    // Memory first: traffic leaves a heap behind that would hide what an open stream costs.
    if options.wants(Part::Memory) {
        findings.memory = memory::run(&field).await?;
    }
    if options.wants(Part::Crowds) {
        findings.crowds = crowds::run(&field).await?;
    }
    if options.wants(Part::Throughput) {
        findings.throughput = throughput::run(&mut field, pace).await?;
    }
    if options.wants(Part::Streams) {
        findings.streams = streams::run(&field, pace).await?;
    }
    if options.wants(Part::Pairs) {
        findings.pairs = pairs::run(&field, pace).await?;
    }
    drop(field);
    findings.judge();
    findings.print();
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&json!(findings)).context("write the findings as JSON")?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
