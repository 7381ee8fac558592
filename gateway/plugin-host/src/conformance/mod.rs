//! A kit for people who write plugins: an admitted component is called with everything that a hostile or unlucky client could
//! make it see, hook by hook. A plugin that passes answers each of these with an answer that can be carried out.
//!
//! Refuses: what only the host can prove (limits, grants, isolation); that is tested with hostile components instead.

mod made_up;
mod measure;

use std::time::{Duration, Instant};

use gateway_core::hooks::{Batch, BodyView, HookError, PromptBody, RequestContext, StreamEvent};
use gateway_domain::IdError;
use gateway_scheduler::{RankDecision, validate};

use crate::guest::Guest;
use crate::limits::{BYTES_PER_EXTRA_MS, SETUP_TIME};
use crate::manifest::Hook;
use crate::plugin::Plugin;
use made_up::Wanted;

pub use measure::{HookTiming, measure};

/// Calls of the probe that looks for leaks.
const MANY: usize = 2_000;

/// One thing the kit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The hook.
    pub hook: Hook,
    /// What was done.
    pub about: &'static str,
    /// What was wrong with the answer, if anything.
    pub problem: Option<String>,
    /// The slowest call of it.
    pub slowest: Duration,
    /// The time one call has in service.
    pub limit: Duration,
}

impl Probe {
    /// Whether a call took longer than it may in service, on this machine at this moment.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.slowest > self.limit
    }
}

/// Runs everything that fits the hooks a plugin wants to be called for.
///
/// # Errors
/// None in practice: the ids it makes up are valid.
pub fn conformance(plugin: &Plugin) -> Result<Vec<Probe>, IdError> {
    let mut kit = Kit { plugin, probes: Vec::new() };
    for hook in &plugin.metadata().hooks {
        match hook {
            Hook::Schedule => kit.rank()?,
            Hook::MapModel => kit.map()?,
            Hook::FilterRequest => kit.filter_prompts()?,
            Hook::FilterResponse => kit.filter_streams()?,
            Hook::ObserveUsage => kit.observe()?,
        }
    }
    Ok(kit.probes)
}

struct Kit<'a> {
    plugin: &'a Plugin,
    probes: Vec<Probe>,
}

/// The calls of one probe: the first problem ends it.
struct Calls<'a> {
    plugin: &'a Plugin,
    limit: Duration,
    slowest: Duration,
}

impl Calls<'_> {
    /// Past the breaker: a plugin that failed one probe is still asked the next.
    fn call<R>(
        &mut self,
        ask: impl FnOnce(&mut Guest, Duration) -> Result<R, HookError>,
    ) -> Result<R, String> {
        let budget = self.limit.max(SETUP_TIME);
        let mut took = Duration::ZERO;
        let answer = self.plugin.pool.with(|guest| {
            // Without the time it takes to bring up an instance.
            let begun = Instant::now();
            let answer = ask(guest, budget);
            took = begun.elapsed();
            answer
        });
        self.slowest = self.slowest.max(took);
        answer.map_err(|error| format!("it {error}"))
    }
}

impl Kit<'_> {
    fn probe(
        &mut self,
        hook: Hook,
        about: &'static str,
        limit: Duration,
        run: impl FnOnce(&mut Calls<'_>) -> Result<(), String>,
    ) {
        let mut calls = Calls { plugin: self.plugin, limit, slowest: Duration::ZERO };
        let problem = run(&mut calls).err();
        self.probes.push(Probe { hook, about, problem, slowest: calls.slowest, limit });
    }

    /// Whether its answers must be the same for the same question.
    const fn is_deterministic(&self) -> bool {
        self.plugin.metadata.deterministic
    }

    fn rank(&mut self) -> Result<(), IdError> {
        let limit = self.plugin.pool.limits().deadline;
        let deterministic = self.is_deterministic();
        for (about, questions) in made_up::questions()? {
            self.probe(Hook::Schedule, about, limit, |calls| {
                for (roster, input) in &questions {
                    let answer = calls.call(|guest, budget| guest.rank(budget, roster, input))?;
                    validate(input, answer).map_err(|error| error.to_string())?;
                }
                Ok(())
            });
        }
        let [(roster, one), (_, other)] = made_up::tenants()?;
        self.probe(Hook::Schedule, "two tenants in turn, then the first again", limit, |calls| {
            let first = calls.call(|guest, budget| guest.rank(budget, &roster, &one))?;
            for _ in 0..16 {
                calls.call(|guest, budget| guest.rank(budget, &roster, &other))?;
            }
            let again = calls.call(|guest, budget| guest.rank(budget, &roster, &one))?;
            if deterministic && !same(&first, &again) {
                return Err("it answers one tenant differently after another one was served".to_owned());
            }
            Ok(())
        });
        let questions = made_up::many()?;
        self.probe(Hook::Schedule, "two thousand calls of one instance", limit, |calls| {
            for (roster, input) in questions.iter().cycle().take(MANY) {
                calls.call(|guest, budget| guest.rank(budget, roster, input))?;
            }
            Ok(())
        });
        Ok(())
    }

    fn map(&mut self) -> Result<(), IdError> {
        let limit = self.plugin.pool.limits().deadline;
        let contexts = made_up::contexts()?;
        self.probe(Hook::MapModel, "models nobody would call so", limit, |calls| {
            for context in &contexts {
                calls.call(|guest, budget| guest.resolve(budget, context))?;
            }
            Ok(())
        });
        let limit = self.plugin.pool.limits().filter_deadline;
        self.probe(Hook::MapModel, "an empty catalogue and one of five hundred models", limit, |calls| {
            for models in [0, 1, 500] {
                let catalogue = made_up::catalogue(models);
                calls.call(|guest, budget| guest.publish(budget, &catalogue))?;
            }
            Ok(())
        });
        let limit = self.plugin.pool.limits().deadline;
        let context = made_up::context("gpt-5")?;
        self.probe(Hook::MapModel, "two thousand calls of one instance", limit, |calls| {
            for _ in 0..MANY {
                calls.call(|guest, budget| guest.resolve(budget, &context))?;
            }
            Ok(())
        });
        Ok(())
    }

    fn filter_prompts(&mut self) -> Result<(), IdError> {
        let view = self.plugin.metadata.request_view;
        let contexts = made_up::contexts()?;
        let base = self.plugin.pool.limits().filter_deadline;
        let limit = |bytes: usize| {
            let extra = Duration::from_millis((bytes / BYTES_PER_EXTRA_MS) as u64);
            base + extra
        };
        for (about, prompt) in made_up::prompts(view == BodyView::RawJson) {
            let limit = limit(prompt.bytes());
            let mut calls = Calls { plugin: self.plugin, limit, slowest: Duration::ZERO };
            let problem = contexts.iter().take(2).find_map(|context| {
                prompt
                    .shown(view, |body| {
                        calls.call(|guest, budget| guest.filter_request(budget, context, body))
                    })
                    .err()
            });
            let (hook, slowest) = (Hook::FilterRequest, calls.slowest);
            self.probes.push(Probe { hook, about, problem, slowest, limit });
        }
        let (limit, deterministic) = (limit(0), self.is_deterministic());
        let context = made_up::context("gpt-5")?;
        self.probe(Hook::FilterRequest, "two tenants in turn, then the first again", limit, |calls| {
            let [one, other] = made_up::secrets();
            let mut ask = |prompt: &made_up::Prompt| {
                prompt.shown(view, |body| {
                    calls.call(|guest, budget| guest.filter_request(budget, &context, body))
                })
            };
            let first = ask(&one)?;
            ask(&other)?;
            if deterministic && ask(&one)? != first {
                return Err("it judges one tenant's prompt differently after another one's".to_owned());
            }
            Ok(())
        });
        Ok(())
    }

    fn filter_streams(&mut self) -> Result<(), IdError> {
        let interest = self.plugin.metadata.streams;
        let limit = self.plugin.pool.limits().events_deadline;
        let context = made_up::context("gpt-5")?;
        for (about, batches) in made_up::streams() {
            self.probe(Hook::FilterResponse, about, limit, |calls| {
                let mut carry = Vec::new();
                let last = batches.len().saturating_sub(1);
                for (at, batch) in batches.iter().enumerate() {
                    let shown: Vec<StreamEvent<'_>> =
                        batch.iter().map(Wanted::shown).filter(|event| interest.covers(event)).collect();
                    let answer = events(calls, &context, &carry, &shown, at == last)?;
                    carry = answer.carry;
                }
                Ok(())
            });
        }
        self.probe(Hook::FilterResponse, "a carry that it never gave", limit, |calls| {
            for carry in made_up::carries() {
                let event = StreamEvent::Text(made_up::delta("hello"));
                let shown: Vec<_> = [event].into_iter().filter(|event| interest.covers(event)).collect();
                events(calls, &context, &carry, &shown, false)?;
                events(calls, &context, &carry, &[], true)?;
            }
            Ok(())
        });
        Ok(())
    }

    fn observe(&mut self) -> Result<(), IdError> {
        let limit = self.plugin.pool.limits().observer_deadline;
        let batches = [made_up::usage(0)?, made_up::usage(1)?, made_up::usage(256)?];
        self.probe(Hook::ObserveUsage, "nothing, and a full batch of the largest numbers", limit, |calls| {
            for records in &batches {
                calls.call(|guest, budget| guest.on_usage(budget, records))?;
            }
            Ok(())
        });
        Ok(())
    }
}

fn events(
    calls: &mut Calls<'_>,
    context: &RequestContext,
    carry: &[u8],
    shown: &[StreamEvent<'_>],
    at_end: bool,
) -> Result<Batch, String> {
    calls.call(|guest, budget| guest.filter_events(budget, context, carry, shown, at_end))
}

fn same(a: &RankDecision, b: &RankDecision) -> bool {
    gateway_core::ranking::same_bits(a, b)
}

/// What a filter is shown of a prompt.
pub(super) fn body_for<'a>(
    view: BodyView,
    parts: &'a [gateway_core::hooks::TextPart<'a>],
    raw: &'a [u8],
) -> PromptBody<'a> {
    match view {
        BodyView::None => PromptBody::Absent,
        BodyView::TextParts => {
            PromptBody::Parts { parts, messages: parts.last().map_or(0, |part| part.message + 1) }
        }
        BodyView::RawJson => PromptBody::RawJson(raw),
    }
}
