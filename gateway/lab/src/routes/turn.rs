//! `POST /codex/responses`: checks the body, takes the turn out of the windows, and builds the event sequence.
//! Refuses to send; the exchange does, under whatever fault is due.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::backend;
use crate::dialect::Dialect;
use crate::events::{self, Frame, Usage};
use crate::exchange::{Answer, AnswerBody, Arrived};
use crate::lab::Lab;
use crate::quota::Admission;
use crate::script;
use crate::validate::{self, Strictness};

/// What reasoning costs, whatever it is about.
const REASONING_TOKENS: u64 = 16;

/// The answer to one turn.
pub(super) fn answer(lab: &Lab, arrived: &Arrived) -> Answer {
    let account = match arrived.caller {
        Ok(account) => account,
        Err(failure) => return backend::refused(lab, failure),
    };
    let config = &lab.shared().config;
    let prefix = encrypted_prefix(account);
    let strict = Strictness {
        require_instructions: config.require_instructions,
        context_window: config.context_window,
        models: backend::allowed_models(lab, account),
        encrypted_prefix: config.bind_encrypted_content.then_some(prefix.as_str()),
    };
    let request = match validate::check(&arrived.body, strict) {
        Ok(request) => request,
        Err(refusal) => {
            lab.shared().live(account, |live| live.stats.refused += 1);
            return Answer::json(StatusCode::BAD_REQUEST, &refusal.0);
        }
    };
    let now = lab.clock().now();
    let admission = lab.shared().live(account, |live| {
        let admission = live.quota.admit(now);
        live.stats.limited += u64::from(admission != Admission::Open);
        admission
    });
    if let Some(Admission::Exhausted { resets_at }) = admission {
        return limited(lab, account, resets_at, now);
    }
    stream(lab, arrived, account, &request)
}

/// 429 `usage_limit_reached`, with the times of the window that is full.
fn limited(lab: &Lab, account: usize, resets_at: i64, now: i64) -> Answer {
    let plan = lab.shared().accounts.get(account).map(|found| found.config.plan.as_str());
    let body = serde_json::json!({"error": {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": plan,
        "resets_at": resets_at,
        "resets_in_seconds": resets_at.saturating_sub(now),
    }});
    Answer::json(StatusCode::TOO_MANY_REQUESTS, &body)
}

fn stream(lab: &Lab, arrived: &Arrived, account: usize, request: &Map<String, Value>) -> Answer {
    let shared = lab.shared();
    let now = lab.clock().now();
    let turn = script::answer(request);
    let text = |key: &str| request.get(key).and_then(Value::as_str);
    let reasoning = if shared.config.reasoning { REASONING_TOKENS } else { 0 };
    let mut usage = Usage {
        input: (arrived.body.len() as u64).div_ceil(4),
        cached: 0,
        output: events::tokens_of(&turn.reply) + reasoning,
        reasoning,
    };
    let rate_limits = shared.live(account, |live| {
        live.bill(text("prompt_cache_key"), &mut usage);
        shared.config.rate_limits_event.then(|| live.quota.event_body(now))
    });
    let model = text("model").unwrap_or_default();
    let id = shared.next_id();
    let frame = Frame {
        created_at: now,
        model: model.to_owned(),
        service_tier: granted_tier(text("service_tier")).to_owned(),
        echo: Frame::echo_of(request),
        usage,
        reasoning: shared.config.reasoning,
        encrypted_content: (wants_encrypted(request) || matches!(turn.reply, script::Reply::Compaction))
            .then(|| format!("{}{id}", encrypted_prefix(account))),
        completed_output: shared.config.completed_output,
        rate_limits: rate_limits.flatten(),
        id,
    };
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: AnswerBody::Turn {
            account: Some(account),
            dialect: Dialect::Responses,
            events: events::render(&frame, &turn),
            pause: turn.pause,
            response_id: frame.response_id(),
        },
    }
    .with("openai-model", model)
    .with("x-codex-turn-state", &turn_state(lab, arrived, account, &frame.id))
    .with("x-models-etag", shared.accounts.get(account).map_or("", |found| found.models_etag.as_str()))
    .with_event_stream()
}

impl Answer {
    pub(super) fn with_event_stream(mut self) -> Self {
        let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
        self.headers.insert(header::CONTENT_TYPE, kind);
        self.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self
    }
}

/// The tier the terminal event reports: what the lab grants is what was asked, or the default.
pub(super) fn granted_tier(asked: Option<&str>) -> &str {
    match asked {
        None | Some("auto") => "default",
        Some(tier) => tier,
    }
}

fn wants_encrypted(request: &Map<String, Value>) -> bool {
    let include = request.get("include").and_then(Value::as_array);
    include.is_some_and(|list| list.iter().any(|one| one == "reasoning.encrypted_content"))
}

/// What an account's encrypted content starts with; the rest is opaque.
fn encrypted_prefix(account: usize) -> String {
    format!("gAAAAAlab.{account}.")
}

/// The client's own turn state when this account minted it, else a new one. A foreign one is counted: a gateway
/// should have taken it off.
fn turn_state(lab: &Lab, arrived: &Arrived, account: usize, id: &str) -> String {
    let own = format!("lab-turn.{account}.");
    match arrived.header("x-codex-turn-state") {
        Some(sent) if sent.starts_with(&own) => return sent.to_owned(),
        Some(_) => {
            lab.shared().live(account, |live| live.stats.foreign_turn_states += 1);
        }
        None => {}
    }
    format!("{own}{id}")
}
