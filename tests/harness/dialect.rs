//! The dialects as their clients see them: how the same question is asked in each, and what an answer says in each, read
//! strictly. Tests compare what was heard, whatever the dialect it came in.

#![expect(clippy::indexing_slicing, reason = "indexing JSON never panics: what is not there is null")]

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{Answer, Event, events_of};

/// A picture of one pixel.
pub const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// OpenAI responses.
    Responses,
    /// OpenAI chat completions.
    Chat,
    /// Anthropic messages.
    Messages,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// With what, as JSON.
    pub arguments: Value,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// As its dialect ends a whole answer.
    Well,
    /// With the dialect's error, as the last thing that came.
    Failed(Value),
    /// Without a word.
    Silently,
}

/// An answer, whatever the dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// All of its text.
    pub text: String,
    /// The tools it calls.
    pub calls: Vec<Call>,
    /// Tokens in and out, if they were told.
    pub usage: Option<(u64, u64)>,
    /// How it ended.
    pub ended: Ended,
}

impl Speaks {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Responses, Self::Chat, Self::Messages];

    /// Where it is asked.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Responses => "/v1/responses",
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// A question.
    #[must_use]
    pub fn question(self, model: &str, text: &str, stream: bool) -> Value {
        self.around(model, stream, json!([{ "role": "user", "content": text }]))
    }

    /// A question with a picture.
    #[must_use]
    pub fn with_picture(self, model: &str, text: &str, stream: bool) -> Value {
        let url = format!("data:image/png;base64,{PIXEL}");
        let content = match self {
            Self::Responses => {
                json!([{"type": "input_image", "image_url": url}, {"type": "input_text", "text": text}])
            }
            Self::Chat => {
                json!([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}])
            }
            Self::Messages => json!([
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {"type": "text", "text": text},
            ]),
        };
        self.around(model, stream, json!([{ "role": "user", "content": content }]))
    }

    /// A question that comes with the tool `add`.
    #[must_use]
    pub fn with_tool(self, model: &str, text: &str, stream: bool) -> Value {
        let mut body = self.question(model, text, stream);
        body["tools"] = self.tools();
        body
    }

    /// The conversation after the tool was called: what was asked, the call, and what the tool returned.
    #[must_use]
    pub fn with_result(self, model: &str, text: &str, call: &Call, result: &str, stream: bool) -> Value {
        let arguments = call.arguments.to_string();
        let turns = match self {
            Self::Responses => json!([
                {"role": "user", "content": text},
                {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments},
                {"type": "function_call_output", "call_id": call.id, "output": result},
            ]),
            Self::Chat => json!([
                {"role": "user", "content": text},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}},
                ]},
                {"role": "tool", "tool_call_id": call.id, "content": result},
            ]),
            Self::Messages => json!([
                {"role": "user", "content": text},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": call.id, "content": result},
                ]},
            ]),
        };
        let mut body = self.around(model, stream, turns);
        body["tools"] = self.tools();
        body
    }

    fn tools(self) -> Value {
        let schema = json!({"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]});
        match self {
            Self::Responses => {
                json!([{"type": "function", "name": "add", "description": "adds", "parameters": schema}])
            }
            Self::Chat => json!([
                {"type": "function", "function": {"name": "add", "description": "adds", "parameters": schema}},
            ]),
            Self::Messages => json!([{"name": "add", "description": "adds", "input_schema": schema}]),
        }
    }

    fn around(self, model: &str, stream: bool, turns: Value) -> Value {
        match self {
            Self::Responses => json!({"model": model, "input": turns, "stream": stream}),
            Self::Chat if stream => json!({
                "model": model, "messages": turns, "stream": true, "stream_options": {"include_usage": true},
            }),
            Self::Chat => json!({"model": model, "messages": turns}),
            Self::Messages => {
                json!({"model": model, "max_tokens": 512, "messages": turns, "stream": stream})
            }
        }
    }

    /// Reads a good answer.
    ///
    /// # Errors
    /// It is no answer of this dialect.
    pub fn hear(self, answer: &Answer) -> Result<Heard> {
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let kind = answer.header("content-type").unwrap_or_default();
        let heard = if kind.starts_with("text/event-stream") {
            self.hear_events(&answer.text())
        } else {
            ensure!(kind == "application/json", "the answer is {kind}");
            self.hear_object(&answer.json())
        };
        heard.with_context(|| answer.text())
    }

    /// Reads the error of an answer that is one: its type and its message, checked for the dialect's shape.
    ///
    /// # Errors
    /// It is no error of this dialect.
    pub fn error(self, answer: &Answer) -> Result<(String, String)> {
        if self != Self::Messages {
            let error = answer.error()?;
            return Ok((error.kind, error.message));
        }
        ensure!(answer.status >= 400, "{} is no error: {}", answer.status, answer.text());
        ensure!(answer.header("content-type") == Some("application/json"), "{:?}", answer.headers);
        let body = answer.json();
        ensure!(body["type"] == "error", "{body}");
        let text = |name: &str| body["error"][name].as_str().map(str::to_owned);
        let message = text("message").filter(|message| !message.is_empty()).context("no message")?;
        Ok((text("type").with_context(|| format!("no type in {body}"))?, message))
    }

    fn hear_events(self, body: &str) -> Result<Heard> {
        match self {
            Self::Responses => responses_events(&events_of(body)?),
            Self::Chat => {
                // The last line of a whole answer is the only one that is no JSON.
                let (events, done) = match body.strip_suffix("data: [DONE]\n\n") {
                    Some(events) => (events, true),
                    None => (body, false),
                };
                chat_events(&events_of(events)?, done)
            }
            Self::Messages => messages_events(&events_of(body)?),
        }
    }

    fn hear_object(self, body: &Value) -> Result<Heard> {
        match self {
            Self::Responses => responses_object(body),
            Self::Chat => chat_object(body),
            Self::Messages => messages_object(body),
        }
    }
}

impl Heard {
    fn nothing() -> Self {
        Self { text: String::new(), calls: Vec::new(), usage: None, ended: Ended::Silently }
    }
}

fn text_at(value: &Value, place: &str) -> Result<String> {
    let found = value.pointer(place).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no text at {place} of {value}"))?.to_owned())
}

fn call(id: &Value, name: &Value, arguments: &str) -> Result<Call> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    let arguments = serde_json::from_str(arguments).with_context(|| format!("arguments {arguments:?}"))?;
    Ok(Call { id: text(id)?, name: text(name)?, arguments })
}

fn tokens(usage: &Value, input: &str, output: &str) -> Option<(u64, u64)> {
    Some((usage[input].as_u64()?, usage[output].as_u64()?))
}

fn responses_object(response: &Value) -> Result<Heard> {
    let mut heard = Heard::nothing();
    for item in response["output"].as_array().context("no output")? {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().context("no content")? {
                    heard.text.push_str(&text_at(part, "/text")?);
                }
            }
            Some("function_call") => {
                let arguments = text_at(item, "/arguments")?;
                heard.calls.push(call(&item["call_id"], &item["name"], &arguments)?);
            }
            _ => {}
        }
    }
    heard.usage = tokens(&response["usage"], "input_tokens", "output_tokens");
    heard.ended = match response["status"].as_str() {
        Some("completed") => Ended::Well,
        Some("failed") => Ended::Failed(response["error"].clone()),
        other => bail!("the status is {other:?}"),
    };
    Ok(heard)
}

fn responses_events(events: &[Event]) -> Result<Heard> {
    let mut heard = Heard::nothing();
    for event in events {
        ensure!(heard.ended == Ended::Silently, "{} comes after the end", event.name);
        ensure!(event.data["type"] == event.name.as_str(), "{} carries {}", event.name, event.data["type"]);
        match event.name.as_str() {
            "response.output_text.delta" => heard.text.push_str(&text_at(&event.data, "/delta")?),
            "response.output_item.done" if event.data["item"]["type"] == "function_call" => {
                let item = &event.data["item"];
                heard.calls.push(call(&item["call_id"], &item["name"], &text_at(item, "/arguments")?)?);
            }
            "response.completed" => {
                let whole = responses_object(&event.data["response"])?;
                heard.usage = whole.usage;
                heard.ended = Ended::Well;
            }
            "response.failed" => heard.ended = Ended::Failed(event.data["response"]["error"].clone()),
            "error" => heard.ended = Ended::Failed(event.data.clone()),
            _ => {}
        }
    }
    Ok(heard)
}

fn chat_object(body: &Value) -> Result<Heard> {
    let mut heard = Heard::nothing();
    ensure!(body["object"] == "chat.completion", "the object is {}", body["object"]);
    let message = &body["choices"][0]["message"];
    ensure!(message["role"] == "assistant", "{message}");
    heard.text = message["content"].as_str().unwrap_or_default().to_owned();
    for one in message["tool_calls"].as_array().into_iter().flatten() {
        let arguments = text_at(one, "/function/arguments")?;
        heard.calls.push(call(&one["id"], &one["function"]["name"], &arguments)?);
    }
    heard.usage = tokens(&body["usage"], "prompt_tokens", "completion_tokens");
    let finish = text_at(body, "/choices/0/finish_reason")?;
    ensure!((finish == "tool_calls") != heard.calls.is_empty(), "finished with {finish}");
    heard.ended = Ended::Well;
    Ok(heard)
}

fn chat_events(events: &[Event], done: bool) -> Result<Heard> {
    let mut heard = Heard::nothing();
    let mut calls: BTreeMap<u64, (Value, Value, String)> = BTreeMap::new();
    let mut finished = false;
    for event in events {
        ensure!(heard.ended == Ended::Silently, "a chunk comes after the error");
        if let Some(error) = event.data.get("error") {
            heard.ended = Ended::Failed(error.clone());
            continue;
        }
        ensure!(event.data["object"] == "chat.completion.chunk", "{}", event.data);
        heard.usage = tokens(&event.data["usage"], "prompt_tokens", "completion_tokens").or(heard.usage);
        let choice = &event.data["choices"][0];
        heard.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        for piece in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let place = piece["index"].as_u64().context("a piece of a call without its index")?;
            let entry = calls
                .entry(place)
                .or_insert_with(|| (piece["id"].clone(), piece["function"]["name"].clone(), String::new()));
            entry.2.push_str(piece["function"]["arguments"].as_str().unwrap_or_default());
        }
        finished |= choice["finish_reason"].is_string();
    }
    for (id, name, arguments) in calls.into_values() {
        // Half a call is told as it came; only a whole one must be readable.
        if finished {
            heard.calls.push(call(&id, &name, &arguments)?);
        }
    }
    match heard.ended {
        Ended::Failed(_) => ensure!(!done, "[DONE] follows the error"),
        _ if done && finished => heard.ended = Ended::Well,
        _ if done => bail!("[DONE] without a finish_reason"),
        _ => {}
    }
    Ok(heard)
}

fn messages_object(body: &Value) -> Result<Heard> {
    let mut heard = Heard::nothing();
    ensure!(body["type"] == "message" && body["role"] == "assistant", "{body}");
    for block in body["content"].as_array().context("no content")? {
        match block["type"].as_str() {
            Some("text") => heard.text.push_str(&text_at(block, "/text")?),
            Some("tool_use") => {
                heard.calls.push(call(&block["id"], &block["name"], &block["input"].to_string())?);
            }
            _ => {}
        }
    }
    heard.usage = tokens(&body["usage"], "input_tokens", "output_tokens");
    let stop = text_at(body, "/stop_reason")?;
    ensure!((stop == "tool_use") != heard.calls.is_empty(), "stopped with {stop}");
    heard.ended = Ended::Well;
    Ok(heard)
}

fn messages_events(events: &[Event]) -> Result<Heard> {
    let mut heard = Heard::nothing();
    let mut open: BTreeMap<u64, (Value, String)> = BTreeMap::new();
    let (mut input, mut output, mut stopped) = (None, None, false);
    for event in events {
        ensure!(heard.ended == Ended::Silently, "{} comes after the end", event.name);
        ensure!(event.data["type"] == event.name.as_str(), "{} carries {}", event.name, event.data["type"]);
        let place = event.data["index"].as_u64();
        match event.name.as_str() {
            "message_start" => input = event.data["message"]["usage"]["input_tokens"].as_u64(),
            "content_block_start" => {
                open.insert(place.context("no index")?, (event.data["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                let (_, json) = open.get_mut(&place.context("no index")?).context("no such block is open")?;
                heard.text.push_str(event.data["delta"]["text"].as_str().unwrap_or_default());
                json.push_str(event.data["delta"]["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" => {
                let (block, json) =
                    open.remove(&place.context("no index")?).context("no such block is open")?;
                if block["type"] == "tool_use" {
                    heard.calls.push(call(&block["id"], &block["name"], &json)?);
                }
            }
            "message_delta" => {
                stopped = event.data["delta"]["stop_reason"].is_string();
                input = event.data["usage"]["input_tokens"].as_u64().or(input);
                output = event.data["usage"]["output_tokens"].as_u64();
            }
            "message_stop" => {
                ensure!(stopped && open.is_empty(), "it stops inside a block, or without a reason");
                heard.ended = Ended::Well;
            }
            "error" => heard.ended = Ended::Failed(event.data["error"].clone()),
            _ => {}
        }
    }
    heard.usage = input.zip(output);
    Ok(heard)
}
