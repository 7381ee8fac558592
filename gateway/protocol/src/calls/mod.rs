//! Calls that pass through as they came: embeddings, transcriptions, images, compaction, files. Only what routing and
//! settling need is read of them.
//!
//! Refuses to rewrite: a body that is sent to its own kind of upstream keeps its bytes.

mod answer;
mod form;

pub use answer::{CallEvent, call_error_event, read_call_event, uploaded_file, usage_of};
pub use form::{Form, MAX_PARTS, Part};

use gateway_domain::ModelName;

use crate::json::{Members, kind_of, text_of};
use crate::responses::RequestError;

/// The longest id of a file that is looked for, in bytes.
const MAX_FILE_ID: usize = 128;

/// What routing needs of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// The model asked for; some calls may leave it out.
    pub model: Option<ModelName>,
    /// Whether the client wants events.
    pub stream: bool,
}

/// A member that a call must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// A text that is not empty.
    Text(&'static str),
    /// A text, or a list that is not empty.
    TextOrList(&'static str),
    /// A file of a form, under one of these names; in JSON any value that is not null.
    File(&'static [&'static str]),
}

/// Reads a JSON call.
///
/// # Errors
/// It is no JSON object, or a member is missing or wrong.
pub fn read_json_call(body: &[u8], needed: &[Needed]) -> Result<CallFacts, RequestError> {
    let members = Members::read(body).map_err(|error| RequestError::NotJson(error.to_string()))?;
    for need in needed {
        check_member(&members, *need)?;
    }
    let model = match members.get("model") {
        None | Some("null") => None,
        Some(value) => {
            let wrong = RequestError::WrongType { member: "model", wanted: "a string", got: kind_of(value) };
            Some(model_name(&text_of(value).ok_or(wrong)?)?)
        }
    };
    let stream = match members.get("stream") {
        None | Some("null" | "false") => false,
        Some("true") => true,
        Some(other) => {
            let wanted = "true or false";
            return Err(RequestError::WrongType { member: "stream", wanted, got: kind_of(other) });
        }
    };
    Ok(CallFacts { model, stream })
}

fn check_member(members: &Members<'_>, need: Needed) -> Result<(), RequestError> {
    let value = |name: &'static str| {
        members.get(name).filter(|value| *value != "null").ok_or(RequestError::Missing(name))
    };
    let wrong =
        |member, wanted, value: &str| Err(RequestError::WrongType { member, wanted, got: kind_of(value) });
    match need {
        Needed::Text(name) => match value(name)? {
            text if !text.starts_with('"') => wrong(name, "a string", text),
            r#""""# => Err(empty(name)),
            _ => Ok(()),
        },
        Needed::TextOrList(name) => match value(name)? {
            text if !text.starts_with(['"', '[']) => wrong(name, "a string or an array", text),
            text if matches!(text, r#""""#) || is_empty_list(text) => Err(empty(name)),
            _ => Ok(()),
        },
        Needed::File(names) => {
            let given = names.iter().any(|name| members.get(name).is_some_and(|value| value != "null"));
            if given { Ok(()) } else { Err(RequestError::Missing(names.first().unwrap_or(&"file"))) }
        }
    }
}

fn is_empty_list(text: &str) -> bool {
    text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(']'))
}

fn empty(member: &'static str) -> RequestError {
    RequestError::Invalid { member, why: "it is empty".to_owned() }
}

/// Reads a call that came as a form.
///
/// # Errors
/// It is no form, or a field is missing, wrong, or there twice.
pub fn read_form_call(
    content_type: Option<&str>,
    body: &[u8],
    needed: &[Needed],
) -> Result<CallFacts, RequestError> {
    let form = Form::read(content_type, body)?;
    for need in needed {
        match need {
            Needed::Text(name) | Needed::TextOrList(name) => {
                if form.text(name)?.ok_or(RequestError::Missing(name))?.is_empty() {
                    return Err(empty(name));
                }
            }
            Needed::File(names) => {
                let first = names.first().copied().unwrap_or("file");
                let found = form.parts().iter().find(|part| names.contains(&part.name));
                let file = found.ok_or(RequestError::Missing(first))?;
                if file.content.is_empty() {
                    return Err(empty(first));
                }
            }
        }
    }
    let model = form.text("model")?.map(model_name).transpose()?;
    let stream = match form.text("stream")? {
        None | Some("false" | "") => false,
        Some("true") => true,
        Some(_) => {
            let why = "it must be true or false".to_owned();
            return Err(RequestError::Invalid { member: "stream", why });
        }
    };
    Ok(CallFacts { model, stream })
}

fn model_name(text: &str) -> Result<ModelName, RequestError> {
    ModelName::parse(text).map_err(|error| RequestError::Invalid { member: "model", why: error.to_string() })
}

/// The form of a transcription as the ChatGPT backend takes it: the sound and what it is about, nothing else.
///
/// # Errors
/// It asks for something that the backend cannot do.
pub fn transcription_for_codex(
    content_type: Option<&str>,
    body: &[u8],
) -> Result<(Vec<u8>, TranscriptShape), RequestError> {
    let form = Form::read(content_type, body)?;
    let unable = |member, why: &str| RequestError::Invalid { member, why: why.to_owned() };
    if form.text("stream")? == Some("true") {
        return Err(unable("stream", "a ChatGPT account transcribes in one piece; leave it out"));
    }
    let shape = match form.text("response_format")? {
        None | Some("json" | "") => TranscriptShape::Json,
        Some("text") => TranscriptShape::Text,
        Some(_) => {
            return Err(unable("response_format", "a ChatGPT account answers `json` and `text` only"));
        }
    };
    Ok((form.with_only(|part| matches!(part.name, "file" | "prompt")), shape))
}

/// How a client wants its transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscriptShape {
    /// `{"text": …}`, as the backend answers.
    Json,
    /// The text alone.
    Text,
}

/// The text alone of `{"text": …}`.
#[must_use]
pub fn transcript_text(answer: &[u8]) -> Option<String> {
    text_of(Members::read(answer).ok()?.get("text")?)
}

/// The uploaded files that a body names (`"file_id": "…"`), at most `limit`: only the account that took a file can
/// read it.
#[must_use]
pub fn files_named(body: &[u8], limit: usize) -> Vec<String> {
    const NAME: &[u8] = b"\"file_id\"";
    const SEDIMENT: &[u8] = b"sediment://";
    let mut found: Vec<String> = Vec::new();
    let mut add = |id: &[u8]| {
        if let Ok(id) = std::str::from_utf8(id)
            && !id.is_empty()
            && found.len() < limit
            && !found.iter().any(|known| known == id)
        {
            found.push(id.to_owned());
        }
    };
    for at in memchr::memmem::find_iter(body, NAME) {
        let rest = body.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        let rest = rest.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        if let Some(rest) = rest.strip_prefix(b"\"") {
            add(id_at(rest));
        }
    }
    for at in memchr::memmem::find_iter(body, SEDIMENT) {
        add(id_at(body.get(at + SEDIMENT.len()..).unwrap_or_default()));
    }
    found
}

/// The id that stands at the beginning: letters, digits, `-` and `_`.
fn id_at(text: &[u8]) -> &[u8] {
    let is_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let end = text.iter().position(|byte| !is_id(byte)).unwrap_or(text.len()).min(MAX_FILE_ID);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMBEDDING: &[Needed] = &[Needed::Text("model"), Needed::TextOrList("input")];

    #[test]
    fn calls_name_what_is_wrong_with_them() {
        let read = |body: &str| read_json_call(body.as_bytes(), EMBEDDING);
        let facts = read(r#"{"model":"m","input":["a"],"stream":true}"#).unwrap();
        assert_eq!((facts.model.unwrap().as_str(), facts.stream), ("m", true));
        for (body, param) in [
            ("[]", None),
            ("", None),
            (r#"{"input":"x"}"#, Some("model")),
            (r#"{"model":7,"input":"x"}"#, Some("model")),
            (r#"{"model":"","input":"x"}"#, Some("model")),
            (r#"{"model":null,"input":"x"}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("input")),
            (r#"{"model":"m","input":[ ]}"#, Some("input")),
            (r#"{"model":"m","input":""}"#, Some("input")),
            (r#"{"model":"m","input":{}}"#, Some("input")),
            (r#"{"model":"m","input":"x","stream":"yes"}"#, Some("stream")),
        ] {
            assert_eq!(read(body).unwrap_err().param(), param, "{body}");
        }
    }

    #[test]
    fn files_are_found_by_their_id_and_by_their_address() {
        let body = br#"{"input":[{"type":"input_file","file_id" : "file-A1"},{"file_id":"file-A1"},
            {"image_url":"sediment://file_b2?x"},{"text":"say \"file_id\": \"file-no\""},{"file_id":null}]}"#;
        assert_eq!(files_named(body, 8), ["file-A1", "file_b2"]);
        assert_eq!(files_named(body, 1), ["file-A1"]);
        assert!(files_named(b"\"file_id\"", 8).is_empty());
    }

    #[test]
    fn the_backend_is_sent_the_sound_and_its_prompt_only() {
        let field = |name: &str, more: &str, text: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
        };
        let kind = Some("multipart/form-data; boundary=b");
        let form = |format: &str| {
            [
                field("model", "", "whisper-1"),
                field("file", "; filename=\"a\"", "RIFF"),
                field("response_format", "", format),
                "--b--\r\n".to_owned(),
            ]
            .concat()
        };
        let (sent, shape) = transcription_for_codex(kind, form("text").as_bytes()).unwrap();
        assert_eq!(shape, TranscriptShape::Text);
        let sent = String::from_utf8(sent).unwrap();
        assert!(
            sent.contains("RIFF") && !sent.contains("whisper") && !sent.contains("response_format"),
            "{sent}"
        );
        let error = transcription_for_codex(kind, form("srt").as_bytes()).unwrap_err();
        assert_eq!(error.param(), Some("response_format"));
        assert_eq!(transcript_text(br#"{"text":"a\nb","x":1}"#).as_deref(), Some("a\nb"));
    }
}
