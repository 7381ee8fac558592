//! What the hooks beside `rank` are written with: the asked request, targets of a mapping, and one settled request.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::hooks::{Mapping, RequestContext, Resolution, Target, UsageOutcome, UsageRecord};
use parking_lot::Mutex;
use rhai::{Array, Dynamic, ImmutableString};

use super::book::{Book, say};
use super::request::integer;

/// Counters of one script.
const MAX_COUNTERS: usize = 1_000;

/// The first argument of mappings and filters.
#[derive(Debug, Clone)]
pub(crate) struct Asked(Arc<RequestContext>);

impl Asked {
    pub(crate) fn of(context: &Arc<RequestContext>) -> Self {
        Self(Arc::clone(context))
    }
}

/// One thing to ask of an upstream.
#[derive(Debug, Clone)]
pub(crate) struct OneTarget(Target);

/// What a model stands for.
#[derive(Debug, Clone)]
pub(crate) struct Mapped(pub(crate) Resolution);

impl Mapped {
    /// Reads what `map_model` answered; `None` when it is something else.
    pub(crate) fn from(answer: Dynamic) -> Option<Self> {
        let answer = match answer.try_cast_result::<Self>() {
            Ok(mapped) => return Some(mapped),
            Err(answer) => answer,
        };
        let targets = match answer.try_cast_result::<Array>() {
            Ok(list) => list.into_iter().map(target_of).collect::<Option<Vec<_>>>()?,
            Err(answer) => vec![target_of(answer)?],
        };
        Some(Self(Resolution { mapping: Mapping::Targets(targets), report_as: None }))
    }
}

fn target_of(value: Dynamic) -> Option<Target> {
    match value.try_cast_result::<OneTarget>() {
        Ok(target) => Some(target.0),
        Err(value) => Some(Target { model: value.into_string().ok()?, ..Target::default() }),
    }
}

/// One settled request.
#[derive(Debug, Clone)]
pub(crate) struct UsageSeen(pub(crate) Arc<UsageRecord>);

/// What an observer counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Mutex<BTreeMap<String, f64>>>);

impl Counters {
    pub(crate) fn all(&self) -> BTreeMap<String, f64> {
        self.0.lock().clone()
    }

    fn add(&self, name: &str, amount: f64) {
        let mut all = self.0.lock();
        if all.len() < MAX_COUNTERS || all.contains_key(name) {
            *all.entry(name.to_owned()).or_default() += amount;
        }
    }
}

pub(super) fn register(book: &mut Book) {
    book.engine
        .register_type_with_name::<Asked>("Asked")
        .register_type_with_name::<OneTarget>("Target")
        .register_type_with_name::<Mapped>("Mapped")
        .register_type_with_name::<UsageSeen>("Usage")
        .register_type_with_name::<Counters>("Counters");
    say!(book, Property, "Asked";
        "model: String" "the model asked for" => |one: &mut Asked| text(one.0.info.model.as_str());
        "client: String" "the label of the client key, or `local`" => |one: &mut Asked| text(&one.0.info.client);
        "session: String" "what ties it to a conversation; empty when nothing does" => |one: &mut Asked| {
            text(one.0.info.session.as_ref().map_or("", |session| session.as_str()))
        };
        "surface: String" "`cli` for the Codex CLI and its like, `api` for everybody else"
            => |one: &mut Asked| text(one.0.info.surface.label());
        "dialect: String" "`openai-responses`, `openai-chat` or `anthropic-messages`"
            => |one: &mut Asked| text(one.0.dialect.as_str());
        "effort: String" "the reasoning effort asked for; empty when none was"
            => |one: &mut Asked| text(one.0.reasoning_effort.as_deref().unwrap_or_default());
        "max_output_tokens: int" "the most output asked for; 0 when nothing was said"
            => |one: &mut Asked| i64::from(one.0.max_output_tokens.unwrap_or(0));
        "streaming: bool" "the client wants a stream" => |one: &mut Asked| one.0.info.streaming;
        "body_bytes: int" "size of the body" => |one: &mut Asked| i64::from(one.0.info.body_bytes);
        "now_ms: int" "the clock: milliseconds since 1970" => |one: &mut Asked| one.0.now.as_millis();
        "seed: int" "chance, never negative" => |one: &mut Asked| integer(one.0.seed >> 1);
    );
    say!(book, Method, "Asked";
        "header(name: String) -> String" "one of the headers that extensions are shown; empty when it is not there"
            => |one: &mut Asked, name: ImmutableString| {
                let found = one.0.headers.iter().find(|(known, _)| *known == name.as_str());
                text(found.map_or("", |(_, value)| value))
            };
    );
    register_targets(book);
    register_usage(book);
}

fn register_targets(book: &mut Book) {
    say!(book, Function, "Mappings";
        "target(model: String) -> Target" "what goes upstream instead of the asked model"
            => |model: ImmutableString| OneTarget(Target { model: model.to_string(), ..Target::default() });
        "mapped(target: ?) -> Mapped" "a target or a list of them, to say more about the answer; the first that somebody can serve counts"
            => |target: Dynamic| Mapped::from(target).unwrap_or(Mapped(Resolution::UNCHANGED));
    );
    say!(book, Method, "Target";
        "with_effort(effort: String) -> Target" "with this reasoning effort" => |one: &mut OneTarget, effort: ImmutableString| {
            OneTarget(Target { reasoning_effort: Some(effort.to_string()), ..one.0.clone() })
        };
        "on(provider: String) -> Target" "only accounts of this kind" => |one: &mut OneTarget, provider: ImmutableString| {
            OneTarget(Target { provider: Some(provider.to_string()), ..one.0.clone() })
        };
        "in_group(group: String) -> Target" "only accounts of this group" => |one: &mut OneTarget, group: ImmutableString| {
            OneTarget(Target { group: Some(group.to_string()), ..one.0.clone() })
        };
    );
    say!(book, Method, "Mapped";
        "report_as(name: String) -> Mapped" "what answers call the model; the asked name unless said"
            => |one: &mut Mapped, name: ImmutableString| {
                Mapped(Resolution { report_as: Some(name.to_string()), ..one.0.clone() })
            };
    );
}

fn register_usage(book: &mut Book) {
    say!(book, Property, "Usage";
        "client: String" "the label of the client key, or `local`" => |one: &mut UsageSeen| text(&one.0.client);
        "account: String" "the operator's name for the account; empty when none was reached"
            => |one: &mut UsageSeen| text(&one.0.account);
        "provider: String" "the account's kind" => |one: &mut UsageSeen| text(&one.0.provider);
        "model: String" "the model asked for" => |one: &mut UsageSeen| text(&one.0.model);
        "outcome: String" "`completed`, `failed` or `cancelled`" => |one: &mut UsageSeen| text(match one.0.outcome {
            UsageOutcome::Completed => "completed",
            UsageOutcome::Failed => "failed",
            UsageOutcome::Cancelled => "cancelled",
        });
        "failure: String" "the word for the failure; empty when it completed" => |one: &mut UsageSeen| text(&one.0.failure);
        "http_status: int" "the status the client got" => |one: &mut UsageSeen| i64::from(one.0.http_status);
        "input_tokens: int" "all input" => |one: &mut UsageSeen| integer(one.0.usage.input);
        "cached_tokens: int" "the part of it that was read from the prompt cache"
            => |one: &mut UsageSeen| integer(one.0.usage.input_cached);
        "output_tokens: int" "all output" => |one: &mut UsageSeen| integer(one.0.usage.output);
        "duration_ms: int" "how long it took" => |one: &mut UsageSeen| i64::from(one.0.duration_ms);
    );
    say!(book, Method, "Counters";
        "add(name: String, amount: int)" "counts; the sums are shown with the extension"
            => |all: &mut Counters, name: ImmutableString, amount: i64| all.add(&name, amount as f64);
        "add(name: String, amount: float)" "the same with a fraction"
            => |all: &mut Counters, name: ImmutableString, amount: f64| all.add(&name, amount);
    );
}

fn text(text: &str) -> ImmutableString {
    text.into()
}
