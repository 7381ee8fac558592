//! Cases of scripts that map, filter or observe: what is asked, and what must come of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::hooks::{
    Edit, FilterVerdict, Hook, Mapping, ModelMapper as _, PromptBody, PromptFilter as _, RequestContext,
    ResponseFilter as _, Role, Step, StreamEvent, TextDelta, TextPart, UsageObserver as _, UsageOutcome,
    UsageRecord,
};
use gateway_domain::{Dialect, ModelName, RequestId, Timestamp, TokenUsage};
use gateway_scheduler::{RequestInfo, Surface};
use serde::Deserialize;

use crate::policy::RhaiPolicy;

/// A case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookCase {
    /// One sentence: what it proves.
    about: String,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    client: Option<String>,
    #[serde(default)]
    effort: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The prompt: roles and texts, each a message.
    #[serde(default)]
    prompt: Vec<(String, String)>,
    /// Pieces of the answer.
    #[serde(default)]
    answer: Vec<String>,
    expect: Expected,
}

/// What must come of it; what is not named may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    /// The models it stands for; none for `unchanged`.
    targets: Option<Vec<String>>,
    effort: Option<String>,
    report_as: Option<String>,
    /// The code of a refusal.
    refused: Option<String>,
    /// The prompt's texts afterwards.
    prompt: Option<Vec<String>>,
    tags: Option<BTreeMap<String, String>>,
    headers: Option<BTreeMap<String, String>>,
    /// The answer's text afterwards.
    answer: Option<String>,
    /// Sums after one request of this model with 100 tokens in and 10 out.
    counters: Option<BTreeMap<String, f64>>,
}

impl HookCase {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What is wrong with what the script makes of it, if anything.
    pub(crate) fn judge(&self, script: &RhaiPolicy) -> Result<(), String> {
        let mut context = made_up();
        if let Some(model) = &self.model {
            context.info.model = ModelName::parse(model).map_err(|error| error.to_string())?;
        }
        if let Some(client) = &self.client {
            context.info.client.clone_from(client);
        }
        context.reasoning_effort.clone_from(&self.effort);
        context.headers = self.headers.clone().into_iter().collect();
        let context = Arc::new(context);
        let judged = [
            (
                Hook::MapModel,
                Self::mapping as fn(&Self, &RhaiPolicy, &Arc<RequestContext>) -> Result<(), String>,
            ),
            (Hook::FilterRequest, Self::request),
            (Hook::FilterResponse, Self::response),
            (Hook::ObserveUsage, Self::usage),
        ];
        for (_, judge) in judged.into_iter().filter(|(hook, _)| script.has(*hook)) {
            judge(self, script, &context).map_err(|why| format!("{}: {why}", self.about))?;
        }
        Ok(())
    }

    fn mapping(&self, script: &RhaiPolicy, context: &Arc<RequestContext>) -> Result<(), String> {
        let resolution = script.resolve(context).map_err(|error| error.to_string())?;
        let (targets, refused) = match resolution.mapping {
            Mapping::Unchanged => (Vec::new(), None),
            Mapping::Targets(targets) => (targets, None),
            Mapping::Refuse(rejection) => (Vec::new(), Some(rejection.code)),
        };
        let effort = targets.first().and_then(|target| target.reasoning_effort.clone());
        let models: Vec<String> = targets.into_iter().map(|target| target.model).collect();
        same("targets", self.expect.targets.as_ref(), Some(&models))?;
        same("effort", self.expect.effort.as_ref(), effort.as_ref())?;
        same("refused", self.expect.refused.as_ref(), refused.as_ref())?;
        same("report_as", self.expect.report_as.as_ref(), resolution.report_as.as_ref())
    }

    fn request(&self, script: &RhaiPolicy, context: &Arc<RequestContext>) -> Result<(), String> {
        let parts: Vec<TextPart<'_>> = (0_u32..)
            .zip(&self.prompt)
            .map(|(at, (role, text))| TextPart {
                part: at,
                message: at,
                role: role_of(role),
                text: Cow::Borrowed(text),
            })
            .collect();
        let messages = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let shown = PromptBody::Parts { parts: &parts, messages };
        let outcome = script.filter_request(context, shown).map_err(|error| error.to_string())?;
        let mut texts: Vec<String> = self.prompt.iter().map(|(_, text)| text.clone()).collect();
        let (mut tags, mut headers, mut refused) = (BTreeMap::new(), BTreeMap::new(), None);
        match outcome.verdict {
            FilterVerdict::Edits(edits) => {
                for edit in edits {
                    match edit {
                        Edit::ReplaceText { part, text } => {
                            if let Some(known) = texts.get_mut(part as usize) {
                                *known = text;
                            }
                        }
                        Edit::SetTag { name, value } => drop(tags.insert(name, value)),
                        Edit::SetHeader { name, value } => drop(headers.insert(name, value)),
                        Edit::RemoveMessage(_) | Edit::Insert(_) | Edit::SetField { .. } => {}
                    }
                }
            }
            FilterVerdict::Refuse(rejection) => refused = Some(rejection.code),
            FilterVerdict::Pass | FilterVerdict::ReplaceRaw(_) | FilterVerdict::Answer(_) => {}
        }
        same("prompt", self.expect.prompt.as_ref(), Some(&texts))?;
        same("tags", self.expect.tags.as_ref(), Some(&tags))?;
        same("refused", self.expect.refused.as_ref(), refused.as_ref())?;
        same("headers", self.expect.headers.as_ref(), Some(&headers))
    }

    fn response(&self, script: &RhaiPolicy, context: &Arc<RequestContext>) -> Result<(), String> {
        let events: Vec<StreamEvent<'_>> =
            self.answer.iter().map(|text| StreamEvent::Text(TextDelta { choice: 0, text })).collect();
        let batch = script.filter_events(context, &[], &events, false).map_err(|error| error.to_string())?;
        let mut told = String::new();
        for (step, text) in batch.steps.iter().zip(&self.answer) {
            match step {
                Step::Pass => told.push_str(text),
                Step::Replace(emissions) => emissions.iter().for_each(|one| {
                    if let gateway_core::hooks::Emission::Text { text, .. } = one {
                        told.push_str(text);
                    }
                }),
                _ => {}
            }
        }
        same("answer", self.expect.answer.as_ref(), Some(&told))
    }

    fn usage(&self, script: &RhaiPolicy, context: &Arc<RequestContext>) -> Result<(), String> {
        let record = UsageRecord {
            request_id: context.info.request_id.clone(),
            client: context.info.client.clone(),
            account: "one".to_owned(),
            provider: "codex".to_owned(),
            model: context.info.model.as_str().to_owned(),
            outcome: UsageOutcome::Completed,
            failure: String::new(),
            http_status: 200,
            usage: TokenUsage { input: 100, output: 10, ..TokenUsage::default() },
            ttft_ms: Some(5),
            duration_ms: 50,
            finished_at: context.now,
        };
        let before = script.counters();
        script.on_usage(&[record]).map_err(|error| error.to_string())?;
        let added: BTreeMap<String, f64> = script
            .counters()
            .into_iter()
            .map(|(name, sum)| (name.clone(), sum - before.get(&name).copied().unwrap_or(0.0)))
            // Those of the cases before stand there too.
            .filter(|(_, added)| added.abs() > 0.0)
            .collect();
        same("counters", self.expect.counters.as_ref(), Some(&added))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: Option<&T>,
    found: Option<&T>,
) -> Result<(), String> {
    match wanted {
        Some(wanted) if found != Some(wanted) => Err(format!("expected {what} {wanted:?}, found {found:?}")),
        _ => Ok(()),
    }
}

fn role_of(word: &str) -> Role {
    let all = [Role::System, Role::Developer, Role::Assistant, Role::Tool];
    all.into_iter().find(|role| role.label() == word).unwrap_or(Role::User)
}

/// A request that nobody sent.
pub(crate) fn made_up() -> RequestContext {
    RequestContext {
        info: RequestInfo {
            request_id: RequestId::generate(),
            client: "local".to_owned(),
            session: None,
            model: name(),
            surface: Surface::Api,
            streaming: true,
            body_bytes: 100,
            attempt: 0,
        },
        now: Timestamp::from_secs(1_800_000_000),
        seed: 7,
        dialect: Dialect::OpenAiResponses,
        reasoning_effort: None,
        max_output_tokens: None,
        headers: Vec::new(),
    }
}

/// And its prompt.
pub(crate) fn made_up_parts() -> [TextPart<'static>; 2] {
    let part = |part, role, text| TextPart { part, message: part, role, text: Cow::Borrowed(text) };
    [part(0, Role::System, "be brief"), part(1, Role::User, "hello")]
}

#[expect(clippy::expect_used, reason = "the name is written here, and a test makes one")]
fn name() -> ModelName {
    ModelName::parse("gpt-5.5").expect("a name of a model")
}
