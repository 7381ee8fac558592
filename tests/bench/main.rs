//! `bench`: the gateway measured beside a direct run, nginx and two relays, all on this machine.
//!
//! It reports and never judges by its exit code: a benchmark on a shared machine is no test. Every part whose CPU is
//! counted runs as a process of its own; this one generates the load.

mod crowd;
mod field;
mod lab;
mod load;
mod measure;
mod memory;
mod nginx;
mod options;
mod pool;
mod process;
mod ranking;
mod relay;
mod report;
mod streams;
mod throughput;
mod turns;

use anyhow::{Context, Result};
use serde_json::json;

use crate::field::Field;
use crate::options::{Options, Role};
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
    if options.crowd {
        let crowd = crowd::run(options.pace()).await?;
        return finish(Findings { crowd, ..Findings::default() }, options);
    }
    let (ranking, pool, crowd) = match options.busy {
        None => (ranking::run(options.pace())?, pool::run().await?, crowd::run(options.pace()).await?),
        Some(_) => (Vec::new(), pool::Findings::default(), crowd::Findings::default()),
    };
    say("starting the lab, the relays, nginx and the gateway");
    let mut field = Field::start().await?;
    if let Some(span) = options.busy {
        return throughput::keep_busy(&field, span).await;
    }
    // Memory first: traffic leaves a heap behind that would hide what an open stream costs.
    let memory = memory::run(&field).await?;
    let throughput = throughput::run(&mut field, options.pace()).await?;
    let streams = streams::run(&field, options.pace()).await?;
    drop(field);
    finish(Findings { memory, throughput, streams, ranking, pool, crowd, goals: Vec::new() }, options)
}

/// Tells what was found.
fn finish(mut findings: Findings, options: &Options) -> Result<()> {
    if options.crowd {
        findings.print_crowd();
    } else {
        findings.judge();
        findings.print();
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&json!(findings)).context("write the findings as JSON")?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
