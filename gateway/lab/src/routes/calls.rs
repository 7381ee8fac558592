//! What is no turn: compaction, embeddings, transcriptions, images and files, at the backend and at the API with keys.
//! Refuses what the real ones refuse, the backend's transcription above all: the edge in front of it counts headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::api::openai_refusal;
use super::backend;
use crate::api;
use crate::config::LabApi;
use crate::dialect::{Dialect, named};
use crate::errors;
use crate::exchange::{Answer, AnswerBody, Arrived};
use crate::lab::Lab;
use crate::multipart;

/// What the edge in front of `/transcribe` lets through besides `x-openai-*` and `x-codex-*`.
const TRANSCRIBE_HEADERS: [&str; 6] =
    ["authorization", "chatgpt-account-id", "user-agent", "content-type", "content-length", "host"];

/// `POST /backend-api/transcribe`.
pub(super) fn transcribe(lab: &Lab, arrived: &Arrived) -> Answer {
    if let Err(failure) = arrived.caller {
        return backend::refused(lab, failure);
    }
    let is_odd = |name: &str| {
        !TRANSCRIBE_HEADERS.contains(&name) && !name.starts_with("x-openai-") && !name.starts_with("x-codex-")
    };
    if arrived.parts.headers.keys().any(|name| is_odd(name.as_str())) {
        return errors::ErrorBody::named("cloudflare_challenge")
            .map_or_else(|| not_found(lab), |row| Answer::error(&row, lab.clock().now()));
    }
    let Some(fields) = multipart::fields(arrived.header("content-type"), &arrived.body) else {
        return wrong("Input should be a form", "file");
    };
    match fields.iter().find(|field| field.name == "file" && field.is_file) {
        Some(_) if fields.iter().any(|field| !matches!(field.name.as_str(), "file" | "prompt")) => {
            wrong("Extra inputs are not permitted", "body")
        }
        Some(file) => Answer::json(StatusCode::OK, &json!({"text": heard(file.content)})),
        None => wrong("Field required", "file"),
    }
}

fn heard(sound: &[u8]) -> String {
    format!("I heard {} bytes.", sound.len())
}

/// `POST /backend-api/files`: an id that only this account knows.
pub(super) fn create_file(lab: &Lab, arrived: &Arrived) -> Answer {
    let account = match arrived.caller {
        Ok(account) => account,
        Err(failure) => return backend::refused(lab, failure),
    };
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrived.body) else {
        return wrong("Input should be an object", "body");
    };
    if !body.get("file_size").is_some_and(Value::is_u64)
        || !body.get("file_name").is_some_and(Value::is_string)
    {
        return wrong("Field required", "file_name");
    }
    let id = format!("file-lab{account}x{}", lab.shared().next_id());
    let url = format!("https://files.example.test/{id}?sig=lab");
    Answer::json(StatusCode::OK, &json!({"file_id": id, "upload_url": url}))
}

/// `POST /backend-api/files/{id}/uploaded`.
pub(super) fn file_uploaded(lab: &Lab, arrived: &Arrived) -> Answer {
    let account = match arrived.caller {
        Ok(account) => account,
        Err(failure) => return backend::refused(lab, failure),
    };
    let id = arrived.parts.uri.path().split('/').nth(3).unwrap_or_default();
    if !id.starts_with(&format!("file-lab{account}x")) {
        return not_found(lab);
    }
    let body = json!({"status": "success", "download_url": format!("https://files.example.test/{id}"),
        "file_name": "lab.txt", "mime_type": "text/plain", "file_size_bytes": 3});
    Answer::json(StatusCode::OK, &body)
}

/// The control routes: whoever is signed in is heard. Reports are taken without an answer.
pub(super) fn control(lab: &Lab, arrived: &Arrived) -> Answer {
    let account = match arrived.caller {
        Ok(account) => account,
        Err(failure) => return backend::refused(lab, failure),
    };
    if arrived.parts.uri.path().ends_with("/analytics-events/events") {
        let mut taken = Answer::json(StatusCode::NO_CONTENT, &Value::Null);
        taken.body = AnswerBody::Whole(Bytes::new());
        return taken;
    }
    let workspace = lab.shared().accounts.get(account).map(|found| found.config.workspace_id.clone());
    let said: Value = serde_json::from_slice(&arrived.body).unwrap_or_default();
    Answer::json(
        StatusCode::OK,
        &json!({"workspace": workspace, "query": arrived.parts.uri.query(), "said": said}),
    )
}

/// `POST /backend-api/codex/images/generations`, which Codex's own image tool calls.
pub(super) fn codex_images(lab: &Lab, arrived: &Arrived) -> Answer {
    if let Err(failure) = arrived.caller {
        return backend::refused(lab, failure);
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrived.body) else {
        return wrong("Input should be an object", "body");
    };
    match body.get("prompt").and_then(Value::as_str) {
        Some(prompt) => Answer::json(StatusCode::OK, &image_answer(lab, prompt)),
        None => wrong("Field required", "prompt"),
    }
}

/// `POST /v1/responses/compact`.
pub(super) fn compact(lab: &Lab, arrived: &Arrived) -> Answer {
    let body = match keyed(lab, arrived, lab.shared().config.api.compact) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    if !body.contains_key("input") {
        return openai_wrong("Missing required parameter: 'input'.", "input");
    }
    let id = lab.shared().next_id();
    let input = (arrived.body.len() as u64).div_ceil(4);
    let answer = json!({
        "id": format!("resp_{id}"),
        "object": "response.compaction",
        "created_at": lab.clock().now(),
        "output": [{"id": format!("cmp_{id}"), "type": "compaction", "encrypted_content": "gAAAAAlab.api"}],
        "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 16,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + 16},
    });
    Answer::json(StatusCode::OK, &answer)
}

/// `POST /v1/embeddings`.
pub(super) fn embeddings(lab: &Lab, arrived: &Arrived) -> Answer {
    let body = match keyed(lab, arrived, lab.shared().config.api.embeddings) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let inputs = match body.get("input") {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => return openai_wrong("Missing required parameter: 'input'.", "input"),
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let length = input.to_string().len();
            json!({"object": "embedding", "index": index, "embedding": [length, 0.5, -0.25]})
        })
        .collect();
    let tokens = (arrived.body.len() as u64).div_ceil(4);
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Answer::json(
        StatusCode::OK,
        &json!({"object": "list", "data": data, "model": body.get("model"), "usage": usage}),
    )
}

/// `POST /v1/audio/transcriptions`.
pub(super) fn transcriptions(lab: &Lab, arrived: &Arrived) -> Answer {
    if let Some(refusal) = keyed_refusal(lab, arrived, lab.shared().config.api.audio) {
        return refusal;
    }
    let Some(fields) = multipart::fields(arrived.header("content-type"), &arrived.body) else {
        return openai_wrong("Could not parse multipart form", "file");
    };
    let Some(file) = fields.iter().find(|field| field.name == "file" && field.is_file) else {
        return openai_wrong("Missing required parameter: 'file'.", "file");
    };
    if multipart::text(&fields, "model").is_none() {
        return openai_wrong("you must provide a model parameter", "model");
    }
    let text = heard(file.content);
    let usage = json!({"type": "tokens", "input_tokens": 14, "output_tokens": 4, "total_tokens": 18});
    if multipart::text(&fields, "stream") == Some("true") {
        let event = |kind: &str, mut data: Value| {
            if let Some(members) = data.as_object_mut() {
                members.insert("type".to_owned(), kind.into());
            }
            Bytes::from(format!("data: {data}\n\n"))
        };
        let (head, tail) = text.split_at(text.len() / 2);
        let events = vec![
            event("transcript.text.delta", json!({"delta": head})),
            event("transcript.text.delta", json!({"delta": tail})),
            event("transcript.text.done", json!({"text": text, "usage": usage})),
        ];
        return stream(events);
    }
    match multipart::text(&fields, "response_format") {
        Some("text") => plain(text + "\n"),
        Some("srt") => plain(format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n")),
        _ => Answer::json(StatusCode::OK, &json!({"text": text, "usage": usage})),
    }
}

/// `POST /v1/images/generations`.
pub(super) fn image_generations(lab: &Lab, arrived: &Arrived) -> Answer {
    if let Some(refusal) = keyed_refusal(lab, arrived, lab.shared().config.api.images) {
        return refusal;
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrived.body) else {
        return openai_wrong("We could not parse the JSON body of your request.", "body");
    };
    let Some(prompt) = body.get("prompt").and_then(Value::as_str) else {
        return openai_wrong("Missing required parameter: 'prompt'.", "prompt");
    };
    let answer = image_answer(lab, prompt);
    if body.get("stream").and_then(Value::as_bool) == Some(true) {
        return image_stream("image_generation", &answer);
    }
    Answer::json(StatusCode::OK, &answer)
}

/// `POST /v1/images/edits`, a form.
pub(super) fn image_edits(lab: &Lab, arrived: &Arrived) -> Answer {
    if let Some(refusal) = keyed_refusal(lab, arrived, lab.shared().config.api.images) {
        return refusal;
    }
    let Some(fields) = multipart::fields(arrived.header("content-type"), &arrived.body) else {
        return openai_wrong("Could not parse multipart form", "image");
    };
    let images = fields.iter().filter(|field| field.is_file && field.name.starts_with("image")).count();
    let Some(prompt) = multipart::text(&fields, "prompt").filter(|_| images > 0) else {
        return openai_wrong("Missing required parameter: 'image'.", "image");
    };
    let answer = image_answer(lab, &format!("{prompt} of {images}"));
    if multipart::text(&fields, "stream") == Some("true") {
        return image_stream("image_edit", &answer);
    }
    Answer::json(StatusCode::OK, &answer)
}

/// What the lab draws: its prompt, in base64.
pub(crate) fn drawn(prompt: &str) -> String {
    STANDARD.encode(format!("lab image: {prompt}"))
}

fn image_answer(lab: &Lab, prompt: &str) -> Value {
    json!({
        "created": lab.clock().now(),
        "data": [{"b64_json": drawn(prompt)}],
        "size": "1024x1024",
        "usage": {"input_tokens": 11, "output_tokens": 196, "total_tokens": 207,
            "input_tokens_details": {"text_tokens": 11, "image_tokens": 0}},
    })
}

fn image_stream(kind: &str, answer: &Value) -> Answer {
    let event = |step: &str, data: &Map<String, Value>| {
        let kind = format!("{kind}.{step}");
        let mut data = data.clone();
        data.insert("type".to_owned(), kind.as_str().into());
        named(&kind, &Value::Object(data))
    };
    let image = answer.pointer("/data/0").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut last = image.clone();
    last.insert("usage".to_owned(), answer.get("usage").cloned().unwrap_or_default());
    stream(vec![event("partial_image", &image), event("completed", &last)])
}

fn stream(events: Vec<Bytes>) -> Answer {
    let body = AnswerBody::Turn {
        account: None,
        dialect: Dialect::Chat,
        events,
        pause: None,
        response_id: String::new(),
    };
    Answer { status: StatusCode::OK, headers: http::HeaderMap::new(), body }.with_event_stream()
}

fn plain(text: String) -> Answer {
    let mut answer =
        Answer::json(StatusCode::OK, &Value::Null).with("content-type", "text/plain; charset=utf-8");
    answer.body = AnswerBody::Whole(Bytes::from(text));
    answer
}

fn keyed_refusal(lab: &Lab, arrived: &Arrived, offered: bool) -> Option<Answer> {
    let api: &LabApi = &lab.shared().config.api;
    if !offered || arrived.parts.method != Method::POST {
        return Some(not_found(lab));
    }
    openai_refusal(lab, api::openai_access(api, arrived))
}

/// A JSON body with a model.
fn keyed(lab: &Lab, arrived: &Arrived, offered: bool) -> Result<Map<String, Value>, Box<Answer>> {
    if let Some(refusal) = keyed_refusal(lab, arrived, offered) {
        return Err(refusal.into());
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrived.body) else {
        return Err(openai_wrong("We could not parse the JSON body of your request.", "body").into());
    };
    if body.get("model").and_then(Value::as_str).is_none() {
        return Err(openai_wrong("you must provide a model parameter", "model").into());
    }
    Ok(body)
}

fn not_found(lab: &Lab) -> Answer {
    Answer::error(&errors::NOT_FOUND, lab.clock().now())
}

fn wrong(message: &str, place: &str) -> Answer {
    let detail = json!([{"loc": ["body", place], "msg": message, "type": "value_error"}]);
    Answer::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"detail": detail}))
}

fn openai_wrong(message: &str, param: &str) -> Answer {
    let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
    Answer::json(StatusCode::BAD_REQUEST, &json!({"error": error}))
}
