//! The events of a turn that makes an image, as the answer or the events of the Images API.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ImageAction;
use crate::sse::{self, EventLines};

/// What an image tells about itself, under the same names on both sides.
const TRAITS: [&str; 4] = ["background", "output_format", "quality", "size"];

/// Gathers what a turn says about its image.
#[derive(Debug)]
pub struct ImageAnswer {
    action: ImageAction,
    streams: bool,
    created_at: u64,
    images: Vec<Map<String, Value>>,
    usage: Value,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    item: Option<Map<String, Value>>,
    #[serde(default)]
    response: Option<Response>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    tool_usage: Option<Value>,
    #[serde(default)]
    output: Vec<Value>,
}

impl ImageAnswer {
    /// For one answer; `created_at` in seconds since 1970.
    #[must_use]
    pub const fn new(action: ImageAction, streams: bool, created_at: u64) -> Self {
        Self { action, streams, created_at, images: Vec::new(), usage: Value::Null }
    }

    /// Whether an image is there.
    #[must_use]
    pub fn has_image(&self) -> bool {
        !self.images.is_empty()
    }

    /// Takes the next event of the turn, as the framer showed it; what its client hears is added to `out`.
    pub fn take(&mut self, event: &[u8], out: &mut BytesMut) {
        let lines = EventLines::read(event);
        let Some(data) = lines.data else { return };
        // Most events of a turn are about text; only these are looked into.
        let signs: [&[u8]; 3] = [b"image_generation", b"\"response.completed\"", b"\"response.done\""];
        if !signs.iter().any(|sign| memchr::memmem::find(data, sign).is_some()) {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
        match event.kind.as_str() {
            "response.image_generation_call.partial_image" if self.streams => {
                out.extend_from_slice(&self.partial(&event.rest));
            }
            "response.output_item.done" => self.keep(event.item),
            "response.completed" | "response.done" => self.end(event.response),
            _ => {}
        }
    }

    fn end(&mut self, response: Option<Response>) {
        let Some(response) = response else { return };
        self.usage = usage(&response);
        if self.images.is_empty() {
            for item in response.output {
                self.keep(item.as_object().cloned());
            }
        }
    }

    fn keep(&mut self, item: Option<Map<String, Value>>) {
        let is_image = |item: &Map<String, Value>| {
            item.get("type").and_then(Value::as_str) == Some("image_generation_call")
                && item.get("result").and_then(Value::as_str).is_some_and(|result| !result.is_empty())
        };
        self.images.extend(item.filter(is_image));
    }

    fn prefix(&self) -> &'static str {
        match self.action {
            ImageAction::Generate => "image_generation",
            ImageAction::Edit => "image_edit",
        }
    }

    fn partial(&self, told: &Map<String, Value>) -> Bytes {
        let kind = format!("{}.partial_image", self.prefix());
        let mut event = traits(told);
        event.insert("type".into(), kind.as_str().into());
        event.insert("created_at".into(), self.created_at.into());
        for (ours, theirs) in
            [("b64_json", "partial_image_b64"), ("partial_image_index", "partial_image_index")]
        {
            event.insert(ours.into(), told.get(theirs).cloned().unwrap_or_default());
        }
        sse::event(&kind, Value::Object(event).to_string().as_bytes())
    }

    /// The last event, once the turn's last event came: the image itself.
    #[must_use]
    pub fn completed(&self) -> Option<Bytes> {
        let image = self.images.last()?;
        let kind = format!("{}.completed", self.prefix());
        let mut event = traits(image);
        event.insert("type".into(), kind.as_str().into());
        event.insert("created_at".into(), self.created_at.into());
        event.insert("b64_json".into(), image.get("result").cloned().unwrap_or_default());
        event.insert("usage".into(), self.usage.clone());
        Some(sse::event(&kind, Value::Object(event).to_string().as_bytes()))
    }

    /// The whole answer, once the turn's last event came.
    #[must_use]
    pub fn whole(&self) -> Option<Bytes> {
        let image = self.images.last()?;
        let mut answer = traits(image);
        let mut one = Map::new();
        one.insert("b64_json".into(), image.get("result").cloned().unwrap_or_default());
        if let Some(prompt) = image.get("revised_prompt").filter(|prompt| prompt.is_string()) {
            one.insert("revised_prompt".into(), prompt.clone());
        }
        answer.insert("created".into(), self.created_at.into());
        answer.insert("data".into(), Value::Array(vec![Value::Object(one)]));
        answer.insert("usage".into(), self.usage.clone());
        Some(Bytes::from(Value::Object(answer).to_string()))
    }
}

fn traits(of: &Map<String, Value>) -> Map<String, Value> {
    let told = TRAITS.iter().filter_map(|name| Some(((*name).to_owned(), of.get(*name)?.clone())));
    told.filter(|(_, value)| !value.is_null()).collect()
}

/// The image's own tokens where the turn tells them, the turn's otherwise; clients need every member.
fn usage(response: &Response) -> Value {
    let of_image = response.tool_usage.as_ref().and_then(|usage| usage.get("image_gen"));
    let Some(told) = of_image.or(response.usage.as_ref()).filter(|told| told.is_object()) else {
        return Value::Null;
    };
    let count = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or(0);
    let (input, output) = (count(told.get("input_tokens")), count(told.get("output_tokens")));
    let details = told.get("input_tokens_details");
    let image_tokens = count(details.and_then(|details| details.get("image_tokens")));
    json!({
        "input_tokens": input,
        "output_tokens": output,
        "total_tokens": input + output,
        "input_tokens_details": { "image_tokens": image_tokens, "text_tokens": input.saturating_sub(image_tokens) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = r#"data: {"type":"response.output_item.done","item":{"type":"image_generation_call","id":"ig_1","result":"QUJD","size":"1024x1024","quality":"high","revised_prompt":"a cat","background":null}}"#;
    const END: &str = r#"data: {"type":"response.completed","response":{"output":[],"usage":{"input_tokens":9,"output_tokens":4},"tool_usage":{"image_gen":{"input_tokens":7,"output_tokens":100,"input_tokens_details":{"image_tokens":5,"text_tokens":2}}},"tools":[{"type":"image_generation"}]}}"#;

    fn gathered(action: ImageAction, streams: bool, events: &[&str]) -> (ImageAnswer, String) {
        let (mut answer, mut out) = (ImageAnswer::new(action, streams, 7), BytesMut::new());
        for event in events {
            answer.take(event.as_bytes(), &mut out);
        }
        (answer, String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn a_turn_becomes_one_answer() {
        let (answer, told) = gathered(ImageAction::Generate, false, &[DONE, END]);
        assert!(told.is_empty() && answer.has_image());
        let whole: Value = serde_json::from_slice(&answer.whole().unwrap()).unwrap();
        assert_eq!(whole["data"], json!([{"b64_json": "QUJD", "revised_prompt": "a cat"}]));
        assert_eq!((&whole["created"], &whole["size"]), (&json!(7), &json!("1024x1024")));
        assert_eq!(whole["usage"]["total_tokens"], 107);
        assert_eq!(whole["usage"]["input_tokens_details"], json!({"image_tokens": 5, "text_tokens": 2}));
        assert!(whole.get("background").is_none());
    }

    #[test]
    fn a_turn_becomes_events() {
        let partial = r#"data: {"type":"response.image_generation_call.partial_image","partial_image_index":0,"partial_image_b64":"QQ==","size":"auto"}"#;
        let (answer, told) = gathered(ImageAction::Edit, true, &[partial, DONE, END]);
        assert!(
            told.starts_with("event: image_edit.partial_image\n") && told.contains(r#""b64_json":"QQ==""#),
            "{told}"
        );
        let last = answer.completed().unwrap();
        let last = String::from_utf8(last.to_vec()).unwrap();
        assert!(last.starts_with("event: image_edit.completed\n") && last.contains("QUJD"), "{last}");
    }

    #[test]
    fn the_last_event_alone_may_hold_the_image_and_a_turn_may_hold_none() {
        let end = r#"data: {"type":"response.completed","response":{"output":[{"type":"image_generation_call","result":"QQ=="}],"usage":null}}"#;
        assert!(gathered(ImageAction::Generate, false, &[end]).0.has_image());
        let (answer, _) = gathered(ImageAction::Generate, true, &[END]);
        assert!(!answer.has_image() && answer.completed().is_none());
    }
}
