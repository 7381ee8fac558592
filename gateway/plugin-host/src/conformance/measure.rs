//! How long the hooks of a plugin take, at sizes that occur. For people and benches, not for serving.

use std::time::{Duration, Instant};

use gateway_core::hooks::{HookError, Role, StreamEvent};
use gateway_scheduler::corpus::Corpus;

use super::made_up::{self, Prompt};
use crate::guest::Guest;
use crate::limits::SETUP_TIME;
use crate::manifest::Hook;
use crate::plugin::Plugin;

/// Pool sizes.
const CANDIDATES: [usize; 3] = [5, 50, 500];
/// Prompt sizes in bytes.
const PROMPTS: [usize; 4] = [1024, 4 * 1024, 64 * 1024, 1024 * 1024];
/// Events of a batch, and settled requests of one.
const BATCHES: [usize; 2] = [1, 16];
/// Time for one size.
const PATIENCE: Duration = Duration::from_millis(400);
/// The most calls of one size.
const ROUNDS: usize = 2_000;
/// The least, however long they take.
const LEAST: usize = 5;

/// The times of one hook at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookTiming {
    /// The hook.
    pub hook: Hook,
    /// What was given to it.
    pub size: String,
    /// Calls measured.
    pub rounds: usize,
    /// Half of the calls took no longer.
    pub median: Duration,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
}

/// Measures every hook the plugin wants to be called for: taking an instance, copying both ways, the call and the checks of
/// its answer. A call may take longer than in service, or a busy machine could measure nothing.
///
/// # Errors
/// A call failed; the text says how.
pub fn measure(plugin: &Plugin) -> Result<Vec<HookTiming>, String> {
    let mut timings = Vec::new();
    for hook in &plugin.metadata().hooks {
        match hook {
            Hook::Schedule => rank(plugin, &mut timings)?,
            Hook::MapModel => map(plugin, &mut timings)?,
            Hook::FilterRequest => prompts(plugin, &mut timings)?,
            Hook::FilterResponse => streams(plugin, &mut timings)?,
            Hook::ObserveUsage => usage(plugin, &mut timings)?,
        }
    }
    Ok(timings)
}

fn rank(plugin: &Plugin, timings: &mut Vec<HookTiming>) -> Result<(), String> {
    let mut corpus = Corpus::new(11).map_err(|error| error.to_string())?;
    for candidates in CANDIDATES {
        // One roster: telling a new one is no part of a ranking.
        let (roster, input) = corpus.question(candidates);
        let timing = time(plugin, Hook::Schedule, format!("{candidates} candidates"), |guest| {
            guest.rank(SETUP_TIME, &roster, &input)
        });
        timings.push(timing?);
    }
    Ok(())
}

fn map(plugin: &Plugin, timings: &mut Vec<HookTiming>) -> Result<(), String> {
    let context = made_up::context("gpt-5").map_err(|error| error.to_string())?;
    let timing =
        time(plugin, Hook::MapModel, "one model".to_owned(), |guest| guest.resolve(SETUP_TIME, &context));
    timings.push(timing?);
    Ok(())
}

fn prompts(plugin: &Plugin, timings: &mut Vec<HookTiming>) -> Result<(), String> {
    let context = made_up::context("gpt-5").map_err(|error| error.to_string())?;
    for bytes in PROMPTS {
        let prompt = Prompt::new(vec![(Role::User, made_up::mixed(bytes))]);
        let timing = prompt.shown(plugin.metadata().request_view, |body| {
            time(plugin, Hook::FilterRequest, format!("{} KiB", bytes / 1024), |guest| {
                guest.filter_request(SETUP_TIME, &context, body)
            })
        });
        timings.push(timing?);
    }
    Ok(())
}

fn streams(plugin: &Plugin, timings: &mut Vec<HookTiming>) -> Result<(), String> {
    let context = made_up::context("gpt-5").map_err(|error| error.to_string())?;
    let interest = plugin.metadata().streams;
    for events in BATCHES {
        let event = StreamEvent::Text(made_up::delta("some words of an answer "));
        let batch: Vec<_> =
            std::iter::repeat_n(event, events).filter(|event| interest.covers(event)).collect();
        let size = if batch.is_empty() { "no event it wants".to_owned() } else { format!("{events} events") };
        let timing = time(plugin, Hook::FilterResponse, size, |guest| {
            guest.filter_events(SETUP_TIME, &context, &[], &batch, false)
        });
        timings.push(timing?);
    }
    Ok(())
}

fn usage(plugin: &Plugin, timings: &mut Vec<HookTiming>) -> Result<(), String> {
    for records in BATCHES {
        let batch = made_up::usage(records).map_err(|error| error.to_string())?;
        let size = format!("{records} records");
        let timing = time(plugin, Hook::ObserveUsage, size, |guest| guest.on_usage(SETUP_TIME, &batch));
        timings.push(timing?);
    }
    Ok(())
}

fn time<R>(
    plugin: &Plugin,
    hook: Hook,
    size: String,
    ask: impl Fn(&mut Guest) -> Result<R, HookError>,
) -> Result<HookTiming, String> {
    let call = || plugin.pool.with(&ask);
    // Brings up an instance and warms it.
    let asked = |answer: Result<R, HookError>| {
        answer.map(drop).map_err(|error| format!("{} with {size}: it {error}", hook.label()))
    };
    for _ in 0..3 {
        asked(call())?;
    }
    let mut taken = Vec::with_capacity(ROUNDS);
    let started = Instant::now();
    while taken.len() < LEAST || (taken.len() < ROUNDS && started.elapsed() < PATIENCE) {
        let begun = Instant::now();
        let answer = call();
        taken.push(begun.elapsed());
        asked(answer)?;
    }
    taken.sort_unstable();
    let at = |percent: usize| taken.get((taken.len() - 1) * percent / 100).copied().unwrap_or_default();
    Ok(HookTiming { hook, rounds: taken.len(), median: at(50), p99: at(99), size })
}
