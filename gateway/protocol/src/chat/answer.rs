//! A whole chat answer, read and written.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::chunk::{Head, WireUsage, finish_reason, usage};
use super::decode_stream::{CallDelta, CustomDelta, Decoder, FunctionDelta, WireDelta};
use crate::openai::WireError;
use crate::turn::{
    AnswerBlock, AnswerContext, EventDecoder, Started, StopReason, ToolCall, ToolKind, TurnAnswer, TurnError,
    TurnEvent, Usage,
};

#[derive(Deserialize)]
struct WireAnswer<'a> {
    id: Option<String>,
    model: Option<String>,
    created: Option<u64>,
    service_tier: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Option<FunctionDelta>,
    custom: Option<CustomDelta>,
}

/// Reads an answer as the one delta it would be in a stream.
pub(super) fn decode(body: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
    let bad = |why: String| TurnError::BadAnswer(why);
    let answer: WireAnswer<'_> = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    if let Some(error) = answer.error.filter(|error| error.get() != "null") {
        let error: WireError<'_> = serde_json::from_str(error.get()).unwrap_or_default();
        out.push(TurnEvent::Failed(error.report(None)));
        return Ok(());
    }
    let choice = answer.choices.unwrap_or_default().into_iter().next();
    let choice = choice.ok_or_else(|| bad("it has no choice".to_owned()))?;
    let message = choice.message.ok_or_else(|| bad("its choice has no message".to_owned()))?;
    let mut decoder = Decoder::default();
    let started = Started {
        id: answer.id.unwrap_or_default(),
        model: answer.model.unwrap_or_default(),
        created: answer.created,
        service_tier: answer.service_tier,
    };
    decoder.started(started, out);
    let calls = message.tool_calls.unwrap_or_default();
    let calls = calls.into_iter().zip(0..).map(|(call, nth)| CallDelta {
        index: Some(nth),
        id: call.id,
        function: call.function,
        custom: call.custom,
    });
    let delta = WireDelta {
        content: message.content,
        refusal: message.refusal,
        reasoning_content: message.reasoning_content,
        reasoning: message.reasoning,
        tool_calls: Some(calls.collect()),
    };
    decoder.delta(delta, out);
    decoder.stopped(choice.finish_reason.unwrap_or_else(|| "stop".to_owned()), answer.usage.map(Usage::from));
    decoder.finish(out);
    Ok(())
}

/// Writes an answer.
pub(super) fn encode(answer: &TurnAnswer, context: &AnswerContext) -> Vec<u8> {
    let head = Head::new(&answer.started, context);
    let stop = answer.stop.clone().unwrap_or(StopReason::Length);
    let mut body = Map::new();
    body.insert("id".into(), head.id.into());
    body.insert("object".into(), "chat.completion".into());
    body.insert("created".into(), head.created.into());
    body.insert("model".into(), head.model.into());
    let choice = json!({
        "index": 0,
        "message": message(answer),
        "logprobs": null,
        "finish_reason": finish_reason(&stop),
    });
    body.insert("choices".into(), json!([choice]));
    if let Some(told) = answer.usage {
        body.insert("usage".into(), usage(told));
    }
    if let Some(tier) = &answer.started.service_tier {
        body.insert("service_tier".into(), tier.as_str().into());
    }
    Value::Object(body).to_string().into_bytes()
}

fn message(answer: &TurnAnswer) -> Value {
    let (mut text, mut refusal, mut thoughts, mut calls) =
        (String::new(), String::new(), Vec::new(), Vec::new());
    for block in &answer.blocks {
        match block {
            AnswerBlock::Text(more) => text.push_str(more),
            AnswerBlock::Refusal(more) => refusal.push_str(more),
            AnswerBlock::Reasoning(thought) => {
                let told = if thought.summary.is_empty() { &thought.text } else { &thought.summary };
                thoughts.extend(told.iter().filter(|part| !part.is_empty()).map(String::as_str));
            }
            AnswerBlock::ToolCall(call) => calls.push(call_value(call)),
            AnswerBlock::Opaque(_) => {}
        }
    }
    let told = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
    let has_text = answer.blocks.iter().any(|block| matches!(block, AnswerBlock::Text(_)));
    let content =
        if has_text || (calls.is_empty() && refusal.is_empty()) { Value::String(text) } else { Value::Null };
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), content);
    message.insert("refusal".into(), told(refusal));
    if !thoughts.is_empty() {
        message.insert("reasoning_content".into(), thoughts.join("\n\n").into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Value::Object(message)
}

fn call_value(call: &ToolCall) -> Value {
    match call.kind {
        ToolKind::Function => {
            let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
            let function = json!({ "name": call.name, "arguments": arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        }
        ToolKind::Custom => {
            let custom = json!({ "name": call.name, "input": call.arguments });
            json!({ "id": call.id, "type": "custom", "custom": custom })
        }
    }
}
