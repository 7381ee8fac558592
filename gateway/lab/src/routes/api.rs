//! The routes that take keys: `/v1/responses`, `/v1/chat/completions`, `/v1/messages`, their token count and the models.
//! What is switched off in the configuration is answered like a path that does not exist.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::turn::granted_tier;
use crate::api::{self, Access, Asked, CLAUDE_MODELS, chat, messages};
use crate::catalogue::MODELS;
use crate::config::{CompletedOutput, LabApi};
use crate::dialect::Dialect;
use crate::errors::{self, ErrorBody};
use crate::events::{self, Frame};
use crate::exchange::{Answer, AnswerBody, Arrived};
use crate::lab::Lab;

/// What came in, or why it is refused.
type Read = Result<Map<String, Value>, Box<Answer>>;

/// `POST /v1/responses`.
pub(super) fn responses(lab: &Lab, arrived: &Arrived) -> Answer {
    let api = &lab.shared().config.api;
    if !api.responses {
        return not_found(lab);
    }
    let body = match openai_body(lab, arrived, "input") {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let input = match body.get("input") {
        Some(Value::Array(items)) => items.clone(),
        other => vec![api::said("user", other.and_then(Value::as_str).unwrap_or_default())],
    };
    let tools = body.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
    let asked = api::ask(&body, arrived.body.len(), input, tools);
    let frame = Frame {
        id: lab.shared().next_id(),
        created_at: lab.clock().now(),
        model: asked.model.clone(),
        service_tier: granted_tier(body.get("service_tier").and_then(Value::as_str)).to_owned(),
        echo: Frame::echo_of(&body),
        usage: asked.usage,
        reasoning: false,
        encrypted_content: None,
        completed_output: CompletedOutput::Full,
        rate_limits: None,
    };
    let events = events::render(&frame, &asked.turn);
    if !asked.stream {
        let terminal = events.last().map(events::data_of).unwrap_or_default();
        return Answer::json(StatusCode::OK, terminal.get("response").unwrap_or(&Value::Null));
    }
    streamed(Dialect::Responses, events, &asked, frame.response_id())
}

/// `POST /v1/chat/completions`.
pub(super) fn chat_completions(lab: &Lab, arrived: &Arrived) -> Answer {
    if !lab.shared().config.api.chat {
        return not_found(lab);
    }
    let body = match openai_body(lab, arrived, "messages") {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let asked = chat::read(&body, arrived.body.len());
    let (id, created) = (lab.shared().next_id(), lab.clock().now());
    if !asked.stream {
        return Answer::json(StatusCode::OK, &chat::whole(&asked, &id, created));
    }
    let options = body.get("stream_options").and_then(|options| options.get("include_usage"));
    let with_usage = options.and_then(Value::as_bool).unwrap_or(false);
    let events = chat::render(&asked, &id, created, with_usage);
    streamed(Dialect::Chat, events, &asked, format!("chatcmpl-{id}"))
}

/// `POST /v1/messages`.
pub(super) fn create_message(lab: &Lab, arrived: &Arrived) -> Answer {
    let body = match anthropic_body(lab, arrived) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    if body.get("max_tokens").and_then(Value::as_u64).is_none_or(|most| most == 0) {
        return anthropic_wrong("max_tokens: Field required");
    }
    let asked = messages::read(&body, arrived.body.len());
    let thinks = lab.shared().config.api.thinks && messages::asks_to_think(&body);
    let id = lab.shared().next_id();
    let answer = if asked.stream {
        streamed(Dialect::Messages, messages::render(&asked, &id, thinks), &asked, format!("msg_{id}"))
    } else {
        Answer::json(StatusCode::OK, &messages::whole(&asked, &id, thinks))
    };
    answer.with("request-id", &format!("req_{id}"))
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count_tokens(lab: &Lab, arrived: &Arrived) -> Answer {
    match anthropic_body(lab, arrived) {
        Ok(_) => Answer::json(StatusCode::OK, &json!({"input_tokens": arrived.body.len().div_ceil(4)})),
        Err(refusal) => *refusal,
    }
}

/// `GET /v1/models`, in the shape of whoever asks.
pub(super) fn models(lab: &Lab, arrived: &Arrived) -> Answer {
    let api = &lab.shared().config.api;
    if !api.lists_models {
        return not_found(lab);
    }
    let of_anthropic = arrived.header("x-api-key").is_some() || arrived.header("anthropic-version").is_some();
    if of_anthropic {
        if let Some(refusal) = anthropic_refusal(lab, api::anthropic_access(api, arrived)) {
            return refusal;
        }
        let entry = |id: &&str| json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
        let data: Vec<Value> = CLAUDE_MODELS.iter().map(entry).collect();
        let ends = (CLAUDE_MODELS.first(), CLAUDE_MODELS.last());
        let body = json!({"data": data, "has_more": false, "first_id": ends.0, "last_id": ends.1});
        return Answer::json(StatusCode::OK, &body);
    }
    if let Some(refusal) = openai_refusal(lab, api::openai_access(api, arrived)) {
        return refusal;
    }
    let names = MODELS.iter().map(|model| model.slug).chain(api.models.iter().map(String::as_str));
    let entry = |id: &str| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "lab"});
    let data: Vec<Value> = names.map(entry).collect();
    Answer::json(StatusCode::OK, &json!({"object": "list", "data": data}))
}

fn streamed(dialect: Dialect, events: Vec<bytes::Bytes>, asked: &Asked, response_id: String) -> Answer {
    let body = AnswerBody::Turn { account: None, dialect, events, pause: asked.turn.pause, response_id };
    Answer { status: StatusCode::OK, headers: http::HeaderMap::new(), body }.with_event_stream()
}

fn not_found(lab: &Lab) -> Answer {
    Answer::error(&errors::NOT_FOUND, lab.clock().now())
}

/// The body of an OpenAI-shaped request; `prompt` is the field it must have.
fn openai_body(lab: &Lab, arrived: &Arrived, prompt: &str) -> Read {
    let api = &lab.shared().config.api;
    if let Some(refusal) = openai_refusal(lab, api::openai_access(api, arrived)) {
        return Err(refusal.into());
    }
    let wrong = |message: &str, param: Option<&str>| {
        let error =
            json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
        Answer::json(StatusCode::BAD_REQUEST, &json!({"error": error}))
    };
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrived.body) else {
        return Err(wrong("We could not parse the JSON body of your request.", None).into());
    };
    let model = body.get("model").and_then(Value::as_str);
    let model = model.ok_or_else(|| wrong("you must provide a model parameter", None))?;
    let given = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    if !body.get(prompt).is_some_and(given) {
        let message = format!("Missing required parameter: '{prompt}'.");
        return Err(wrong(&message, Some(prompt)).into());
    }
    if !api::knows(api, model) {
        return Err(openai_unknown_model(model).into());
    }
    Ok(body)
}

fn openai_unknown_model(model: &str) -> Answer {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": "model_not_found"});
    Answer::json(StatusCode::NOT_FOUND, &json!({"error": error}))
}

pub(super) fn openai_refusal(lab: &Lab, access: Access) -> Option<Answer> {
    let row = match access {
        Access::Granted => return None,
        Access::Missing => errors::OPENAI_NO_KEY,
        Access::Wrong => errors::OPENAI_INVALID_KEY,
    };
    Some(Answer::error(&row, lab.clock().now()))
}

fn anthropic_body(lab: &Lab, arrived: &Arrived) -> Read {
    let api: &LabApi = &lab.shared().config.api;
    if !api.messages {
        return Err(not_found(lab).into());
    }
    if let Some(refusal) = anthropic_refusal(lab, api::anthropic_access(api, arrived)) {
        return Err(refusal.into());
    }
    if arrived.header("x-api-key").is_some() && arrived.header("anthropic-version").is_none() {
        return Err(anthropic_wrong("anthropic-version: header is required").into());
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrived.body) else {
        return Err(anthropic_wrong("The request body is not valid JSON").into());
    };
    let Some(model) = body.get("model").and_then(Value::as_str) else {
        return Err(anthropic_wrong("model: Field required").into());
    };
    if body.get("messages").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(anthropic_wrong("messages: at least one message is required").into());
    }
    if !api::knows(api, model) {
        let body = json!({"type": "error", "error": {"type": "not_found_error", "message": format!("model: {model}")}});
        return Err(Answer::json(StatusCode::NOT_FOUND, &body).into());
    }
    if let Some(place) = messages::signed_elsewhere(&body).filter(|_| api.thinks) {
        return Err(anthropic_wrong(&format!("{place}: Invalid `signature` in `thinking` block")).into());
    }
    Ok(body)
}

fn anthropic_wrong(message: &str) -> Answer {
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
    Answer::json(StatusCode::BAD_REQUEST, &body)
}

fn anthropic_refusal(lab: &Lab, access: Access) -> Option<Answer> {
    let row: ErrorBody = match access {
        Access::Granted => return None,
        Access::Missing | Access::Wrong => errors::ANTHROPIC_INVALID_KEY,
    };
    Some(Answer::error(&row, lab.clock().now()))
}
