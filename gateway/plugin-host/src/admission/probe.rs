//! Asks a candidate what it will be asked in service, with made-up requests, for every hook it wants.

use gateway_core::hooks::{
    BodyView, CatalogEntry, HookError, PromptBody, RequestContext, Role, StreamEvent, TextDelta, TextPart,
    ToolDelta, UsageOutcome, UsageRecord,
};
use gateway_domain::{Dialect, TokenUsage};
use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{RankDecision, RankInput};

use super::{PluginMetadata, explain};
use crate::guest::Guest;
use crate::limits::SETUP_TIME;
use crate::manifest::Hook;

/// Candidates in each question; nobody to choose from is one of them.
const QUESTIONS: [usize; 4] = [6, 6, 1, 0];

/// Both guests answer; if the plugin says it is deterministic, all their answers must be the same.
pub(super) fn run(used: &mut Guest, fresh: &mut Guest, metadata: &PluginMetadata) -> Result<(), String> {
    let mut guests = Guests { used, fresh, deterministic: metadata.deterministic };
    let mut corpus = Corpus::new(1).map_err(|error| error.to_string())?;
    let (_, input) = corpus.question(1);
    let context = context(&input);
    for hook in &metadata.hooks {
        match hook {
            Hook::Schedule => guests.rank(&mut corpus)?,
            Hook::MapModel => guests.map(&context)?,
            Hook::FilterRequest => guests.filter_prompts(metadata.request_view, &context)?,
            Hook::FilterResponse => guests.filter_streams(metadata, &context)?,
            Hook::ObserveUsage => guests.observe(&context)?,
        }
    }
    Ok(())
}

struct Guests<'a> {
    used: &'a mut Guest,
    fresh: &'a mut Guest,
    deterministic: bool,
}

impl Guests<'_> {
    /// Asks three times: one guest twice, the other once.
    fn ask<R>(
        &mut self,
        doing: &str,
        ask: impl Fn(&mut Guest) -> Result<R, HookError>,
        same: impl Fn(&R, &R) -> bool,
    ) -> Result<(), String> {
        let explained = |answer: Result<R, HookError>| answer.map_err(|error| explain(doing, &error));
        let first = explained(ask(self.used))?;
        let again = explained(ask(self.used))?;
        let elsewhere = explained(ask(self.fresh))?;
        if self.deterministic && !(same(&first, &again) && same(&first, &elsewhere)) {
            return Err(format!(
                "{doing}, it answered one question differently although it says it is deterministic; keep \
                 nothing of a request, and take time and chance from the request"
            ));
        }
        Ok(())
    }

    fn rank(&mut self, corpus: &mut Corpus) -> Result<(), String> {
        for candidates in QUESTIONS {
            let (roster, input) = corpus.question(candidates);
            let ask = |guest: &mut Guest| guest.rank(SETUP_TIME, &roster, &input);
            self.ask("asked to rank a made-up request", ask, same_ranking)?;
        }
        Ok(())
    }

    fn map(&mut self, context: &RequestContext) -> Result<(), String> {
        let catalog = [CatalogEntry {
            id: "gpt-5".to_owned(),
            provider: "codex".to_owned(),
            context_window: Some(272_000),
            max_output_tokens: None,
        }];
        self.ask("asked to map a made-up model", |guest| guest.resolve(SETUP_TIME, context), PartialEq::eq)?;
        self.ask("asked for its models", |guest| guest.publish(SETUP_TIME, &catalog), PartialEq::eq)
    }

    fn filter_prompts(&mut self, view: BodyView, context: &RequestContext) -> Result<(), String> {
        let part = |part, message, role, text| TextPart {
            part,
            message,
            role,
            text: std::borrow::Cow::Borrowed(text),
        };
        let parts = [
            part(0, 0, Role::System, "Be brief."),
            part(1, 1, Role::User, "What is on 10.0.0.1? Ask jo@example.com. Grüße, 你好, 👋"),
            part(2, 1, Role::User, ""),
        ];
        let bodies = match view {
            BodyView::None => vec![PromptBody::Absent],
            BodyView::TextParts => vec![
                PromptBody::Parts { parts: &parts, messages: 2 },
                PromptBody::Parts { parts: &[], messages: 0 },
            ],
            BodyView::RawJson => vec![PromptBody::RawJson(br#"{"model":"gpt-5","input":"hello"}"#)],
        };
        for body in bodies {
            let ask = |guest: &mut Guest| guest.filter_request(SETUP_TIME, context, body);
            self.ask("asked to judge a made-up prompt", ask, PartialEq::eq)?;
        }
        Ok(())
    }

    fn filter_streams(&mut self, metadata: &PluginMetadata, context: &RequestContext) -> Result<(), String> {
        let arguments = ToolDelta { choice: 0, call: 0, name: Some("look"), arguments: "{\"at\":1}" };
        let events = [
            StreamEvent::Start,
            StreamEvent::Reasoning(TextDelta { choice: 0, text: "hm" }),
            StreamEvent::Text(TextDelta { choice: 0, text: "Grüße " }),
            StreamEvent::Text(TextDelta { choice: 0, text: "jo@example.com" }),
            StreamEvent::ToolCall(arguments),
            StreamEvent::Usage(TokenUsage { input: 7, input_cached: 0, output: 3, reasoning: 1 }),
            StreamEvent::Stop("stop"),
        ];
        let shown: Vec<_> = events.into_iter().filter(|event| metadata.streams.covers(event)).collect();
        let doing = "asked to judge a made-up response";
        let ask = |guest: &mut Guest| guest.filter_events(SETUP_TIME, context, &[], &shown, false);
        self.ask(doing, ask, PartialEq::eq)?;
        self.ask(doing, |guest| guest.filter_events(SETUP_TIME, context, &[], &[], true), PartialEq::eq)
    }

    fn observe(&mut self, context: &RequestContext) -> Result<(), String> {
        let record = UsageRecord {
            request_id: context.info.request_id.clone(),
            client: "local".to_owned(),
            account: "one".to_owned(),
            provider: "codex".to_owned(),
            model: "gpt-5".to_owned(),
            outcome: UsageOutcome::Completed,
            failure: String::new(),
            http_status: 200,
            usage: TokenUsage { input: 7, input_cached: 0, output: 3, reasoning: 1 },
            ttft_ms: Some(300),
            duration_ms: 900,
            finished_at: context.now,
        };
        let ask = |guest: &mut Guest| guest.on_usage(SETUP_TIME, std::slice::from_ref(&record));
        self.ask("shown a made-up request", ask, |(), ()| true)
    }
}

fn context(of: &RankInput) -> RequestContext {
    RequestContext {
        info: of.info.clone(),
        now: of.now,
        seed: of.seed,
        dialect: Dialect::OpenAiResponses,
        reasoning_effort: Some("medium".to_owned()),
        max_output_tokens: None,
        headers: vec![("user-agent".to_owned(), "made-up/1.0".to_owned())],
    }
}

/// Equal bit for bit: a NaN score equals itself here.
fn same_ranking(a: &RankDecision, b: &RankDecision) -> bool {
    let bits =
        |decision: &RankDecision| decision.scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
    a.action == b.action && a.reason == b.reason && bits(a) == bits(b)
}
