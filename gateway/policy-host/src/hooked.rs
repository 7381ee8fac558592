//! A script behind the hooks beside `rank`: which functions it has, where it asks to be attached, and the calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    Attachment, Batch, BodyView, CatalogEntry, ExtensionVersion, FilterOutcome, FilterVerdict, Hook,
    HookError, Mapping, ModelMapper, PromptBody, PromptFilter, RequestContext, Resolution, ResponseFilter,
    Step, StreamEvent, StreamInterest, UsageObserver, UsageRecord,
};
use gateway_domain::ModelName;
use gateway_scheduler::{Action, RankingPolicy, Rejection};
use rhai::{AST, CallFnOptions, Dynamic, FuncArgs, Scope};

use crate::deadline::Running;
use crate::error::{ScriptError, ScriptErrorKind, policy_error};
use crate::policy::RhaiPolicy;
use crate::vocabulary::{Answered, Asked, EventSeen, EventStep, Mapped, PromptSeen, UsageSeen, Verdict};

/// Time for one mapping.
const MAP_TIME: Duration = Duration::from_millis(5);
/// Time to judge one prompt.
const PROMPT_TIME: Duration = Duration::from_millis(25);
/// Time to judge one batch of events.
const EVENTS_TIME: Duration = Duration::from_millis(10);
/// Time to watch one batch of settled requests.
const OBSERVE_TIME: Duration = Duration::from_millis(250);

/// Names that one script adds to the list of models.
const MAX_PUBLISHED: usize = 256;
/// Who is said to own the models that a script adds.
const PUBLISHED_BY: &str = "switchyard";

/// The functions of the hooks and how many arguments they take.
pub(crate) const FUNCTIONS: [(Hook, &str, usize); 5] = [
    (Hook::Schedule, "rank", 1),
    (Hook::MapModel, "map_model", 1),
    (Hook::FilterRequest, "filter_request", 2),
    (Hook::FilterResponse, "filter_response", 2),
    (Hook::ObserveUsage, "observe_usage", 2),
];

/// What a script's constants say about where and how it is to be called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) hooks: BTreeSet<Hook>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) view: BodyView,
    pub(crate) interest: StreamInterest,
    /// The names that the list of models shows besides.
    pub(crate) publishes: Vec<String>,
}

impl Wishes {
    /// Reads functions and constants: `ORDER`, `MODE`, `ON_FAILURE`, `SEES`, `HEARS`, `PUBLISHES`.
    pub(crate) fn read(policy: &str, ast: &AST) -> Result<Self, ScriptError> {
        let has = |name: &str, arity: usize| {
            ast.iter_functions().any(|one| one.name == name && one.params.len() == arity)
        };
        let hooks: BTreeSet<Hook> =
            FUNCTIONS.iter().filter(|(_, name, arity)| has(name, *arity)).map(|(hook, ..)| *hook).collect();
        let wrong = |text: String| ScriptError::new(policy, ScriptErrorKind::WrongAnswer, text);
        let mut wishes = Self { hooks, view: BodyView::TextParts, ..Self::default() };
        wishes.interest.text = true;
        let mut like = Attachment::of(Hook::Schedule);
        let (mut mode, mut failing) = (None, None);
        for (name, _, value) in ast.iter_literal_variables(true, false) {
            let text = || value.clone().into_string().unwrap_or_default();
            match name {
                "ORDER" => {
                    let order = value.as_int().ok().and_then(|order| i32::try_from(order).ok());
                    like.order = order
                        .ok_or_else(|| wrong("ORDER is a whole number; lower ones run first".to_owned()))?;
                }
                "MODE" => mode = Some(one_of(name, &text(), "enforce, monitor").map_err(wrong)?),
                "ON_FAILURE" => {
                    failing = Some(one_of(name, &text(), "open, closed, fallback").map_err(wrong)?)
                }
                "SEES" => {
                    wishes.view = match text().as_str() {
                        "nothing" => BodyView::None,
                        "texts" => BodyView::TextParts,
                        other => return Err(wrong(format!("SEES is `nothing` or `texts`, not `{other}`"))),
                    };
                }
                "HEARS" => wishes.interest = interest(&text()).map_err(wrong)?,
                "PUBLISHES" => wishes.publishes = published(&text()).map_err(wrong)?,
                _ => {}
            }
        }
        wishes.attachments = wishes
            .hooks
            .iter()
            .map(|hook| Attachment {
                hook: *hook,
                mode: mode.unwrap_or(like.mode),
                failing: failing.unwrap_or(hook.failing()),
                ..like.clone()
            })
            .collect();
        Ok(wishes)
    }
}

/// A word as the manifests of components write it.
fn one_of<T: serde::de::DeserializeOwned>(name: &str, word: &str, words: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| format!("{name} is one of: {words}; not `{word}`"))
}

fn interest(words: &str) -> Result<StreamInterest, String> {
    let mut interest = StreamInterest::default();
    for word in words.split_whitespace() {
        match word {
            "text" => interest.text = true,
            "reasoning" => interest.reasoning = true,
            "tools" => interest.tool_calls = true,
            "usage" => interest.usage = true,
            "turns" => interest.turns = true,
            "raw" => interest.raw = true,
            other => {
                return Err(format!(
                    "HEARS names what it is shown: text, reasoning, tools, usage, turns, raw; not `{other}`"
                ));
            }
        }
    }
    Ok(interest)
}

/// Names of models, with spaces in between.
fn published(words: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    if names.len() > MAX_PUBLISHED {
        return Err(format!("PUBLISHES names {} models; {MAX_PUBLISHED} fit", names.len()));
    }
    for name in &names {
        ModelName::parse(name).map_err(|error| format!("PUBLISHES: `{name}`: {error}"))?;
    }
    Ok(names)
}

impl RhaiPolicy {
    fn call(&self, hook: Hook, budget: Duration, arguments: impl FuncArgs) -> Result<Dynamic, HookError> {
        let name = FUNCTIONS.iter().find(|(known, ..)| *known == hook).map_or("", |(_, name, _)| *name);
        let _running = Running::for_at_most(budget);
        let options = CallFnOptions::new().eval_ast(!self.modules().is_empty());
        self.engine
            .call_fn_with_options(options, &mut Scope::new(), &self.ast, name, arguments)
            .map_err(|error| policy_error(*error))
    }
}

fn wrong<T>(function: &str, may: &str, found: &Dynamic) -> Result<T, HookError> {
    let found = if found.is_unit() { "nothing" } else { found.type_name() };
    Err(HookError::InvalidOutput(format!("{function} must answer {may}, but answered {found}")))
}

/// What `refuse(..)` made.
fn refusal(answer: &Dynamic) -> Option<Rejection> {
    match answer.clone().try_cast::<Verdict>()?.0.action {
        Action::Refuse(rejection) => Some(rejection),
        _ => None,
    }
}

impl ModelMapper for RhaiPolicy {
    fn version(&self) -> &ExtensionVersion {
        RankingPolicy::version(self)
    }

    fn resolve(&self, context: &Arc<RequestContext>) -> Result<Resolution, HookError> {
        self.guarded(Hook::MapModel, || self.mapping(context))
    }

    fn publish(&self, catalog: &[CatalogEntry]) -> Result<Vec<CatalogEntry>, HookError> {
        let known = |name: &String| catalog.iter().any(|entry| entry.id == *name);
        let added = self.wishes.publishes.iter().filter(|name| !known(name)).map(|name| CatalogEntry {
            id: name.clone(),
            provider: PUBLISHED_BY.to_owned(),
            context_window: None,
            max_output_tokens: None,
        });
        Ok(catalog.iter().cloned().chain(added).collect())
    }
}

impl RhaiPolicy {
    fn mapping(&self, context: &Arc<RequestContext>) -> Result<Resolution, HookError> {
        let answer = self.call(Hook::MapModel, MAP_TIME, (Asked::of(context),))?;
        if answer.is_unit() {
            return Ok(Resolution::UNCHANGED);
        }
        if let Some(rejection) = refusal(&answer) {
            return Ok(Resolution { mapping: Mapping::Refuse(rejection), report_as: None });
        }
        match Mapped::from(answer.clone()) {
            Some(mapped) => Ok(mapped.0),
            None => {
                wrong("map_model", "nothing, a model, target(..), a list of them, or refuse(..)", &answer)
            }
        }
    }
}

impl PromptFilter for RhaiPolicy {
    fn version(&self) -> &ExtensionVersion {
        RankingPolicy::version(self)
    }

    fn view(&self) -> BodyView {
        self.wishes.view
    }

    fn filter_request(
        &self,
        context: &Arc<RequestContext>,
        body: PromptBody<'_>,
    ) -> Result<FilterOutcome, HookError> {
        self.guarded(Hook::FilterRequest, || self.judged(context, body))
    }
}

impl RhaiPolicy {
    fn judged(
        &self,
        context: &Arc<RequestContext>,
        body: PromptBody<'_>,
    ) -> Result<FilterOutcome, HookError> {
        let prompt = PromptSeen::of(body);
        let answer = self.call(Hook::FilterRequest, PROMPT_TIME, (Asked::of(context), prompt.clone()))?;
        let outcome = prompt.outcome();
        if answer.is_unit() {
            return Ok(outcome);
        }
        if let Some(rejection) = refusal(&answer) {
            return Ok(FilterOutcome { verdict: FilterVerdict::Refuse(rejection), ..outcome });
        }
        match answer.clone().try_cast::<Answered>() {
            Some(Answered(text)) => Ok(FilterOutcome { verdict: FilterVerdict::Answer(text), ..outcome }),
            None => wrong("filter_request", "nothing, answer(text) or refuse(..)", &answer),
        }
    }
}

impl ResponseFilter for RhaiPolicy {
    fn version(&self) -> &ExtensionVersion {
        RankingPolicy::version(self)
    }

    fn interest(&self) -> StreamInterest {
        self.wishes.interest
    }

    fn filter_events(
        &self,
        context: &Arc<RequestContext>,
        carry: &[u8],
        events: &[StreamEvent<'_>],
        _: bool,
    ) -> Result<Batch, HookError> {
        self.guarded(Hook::FilterResponse, || self.heard(context, carry, events))
    }
}

impl RhaiPolicy {
    fn heard(
        &self,
        context: &Arc<RequestContext>,
        carry: &[u8],
        events: &[StreamEvent<'_>],
    ) -> Result<Batch, HookError> {
        let asked = Asked::of(context);
        let mut memory = String::from_utf8_lossy(carry).into_owned();
        let mut batch = Batch::default();
        for event in events {
            let seen = EventSeen::of(event, memory);
            let answer = self.call(Hook::FilterResponse, EVENTS_TIME, (asked.clone(), seen.clone()))?;
            let step = match refusal(&answer) {
                Some(rejection) => Step::Abort(rejection),
                None => match EventStep::of(answer.clone(), event) {
                    Some(step) => step,
                    None => {
                        return wrong(
                            "filter_response",
                            "nothing, another text, discard(), hold(), finish(reason) or refuse(..)",
                            &answer,
                        );
                    }
                },
            };
            memory = seen.take_into(&mut batch.hits);
            let is_over = matches!(step, Step::Finish(_) | Step::Abort(_));
            batch.steps.push(step);
            if is_over {
                break;
            }
        }
        batch.carry = memory.into_bytes();
        Ok(batch)
    }
}

impl UsageObserver for RhaiPolicy {
    fn version(&self) -> &ExtensionVersion {
        RankingPolicy::version(self)
    }

    fn on_usage(&self, records: &[UsageRecord]) -> Result<(), HookError> {
        self.guarded(Hook::ObserveUsage, || {
            for record in records {
                let seen = UsageSeen(Arc::new(record.clone()));
                drop(self.call(Hook::ObserveUsage, OBSERVE_TIME, (seen, self.counters.clone()))?);
            }
            Ok(())
        })
    }
}

impl RhaiPolicy {
    /// The counters that it keeps as an observer.
    #[must_use]
    pub fn counters(&self) -> std::collections::BTreeMap<String, f64> {
        self.counters.all()
    }

    /// Most mistakes show only when it runs: every hook once, on made-up input.
    pub(crate) fn try_hooks(&self) -> Result<(), ScriptError> {
        let fail = |error: HookError| {
            ScriptError::new(&RankingPolicy::version(self).name, ScriptErrorKind::Runtime, error.to_string())
        };
        let context = Arc::new(crate::case::made_up());
        if self.has(Hook::MapModel) {
            self.resolve(&context).map_err(fail)?;
        }
        if self.has(Hook::FilterRequest) {
            let parts = crate::case::made_up_parts();
            self.filter_request(&context, PromptBody::Parts { parts: &parts, messages: 2 }).map_err(fail)?;
        }
        if self.has(Hook::FilterResponse) {
            let delta = gateway_core::hooks::TextDelta { choice: 0, text: "hello" };
            self.filter_events(&context, &[], &[StreamEvent::Text(delta)], false).map_err(fail)?;
        }
        Ok(())
    }
}
