//! A call of the Images API, as the turn that makes the image.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::calls::{Form, Part};
use crate::responses::RequestError;

/// The model whose turn calls the tool; the picture itself is made by the one that was asked for.
pub const HOST_MODEL: &str = "gpt-5.5";
/// What the tool is asked for when the call names no model.
const DEFAULT_MODEL: &str = "gpt-image-2";
/// Images that one edit may start from.
pub const MAX_INPUT_IMAGES: usize = 16;

/// What the tool takes as it stands; the second says whether a form's text is a number.
const OPTIONS: [(&str, Kind); 8] = [
    ("size", Kind::Text),
    ("quality", Kind::Text),
    ("background", Kind::Text),
    ("output_format", Kind::Text),
    ("moderation", Kind::Text),
    ("input_fidelity", Kind::Text),
    ("output_compression", Kind::Number),
    ("partial_images", Kind::Number),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageAction {
    /// An image from words.
    Generate,
    /// An image from images and words.
    Edit,
}

/// A call that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageCall {
    /// What is done.
    pub action: ImageAction,
    /// Whether the client wants events.
    pub stream: bool,
    prompt: String,
    model: String,
    images: Vec<String>,
    mask: Option<String>,
    options: Map<String, Value>,
}

impl ImageCall {
    /// Reads a JSON call.
    ///
    /// # Errors
    /// It is malformed, or asks for what the tool cannot do.
    pub fn read_json(action: ImageAction, body: &[u8]) -> Result<Self, RequestError> {
        let members: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| RequestError::NotJson(error.to_string()))?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        check_limits(members.get("n").and_then(Value::as_u64), text("response_format"))?;
        let mut images = Vec::new();
        for name in ["image", "images"] {
            match members.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::Array(all)) => {
                    for one in all {
                        images.push(address(one)?);
                    }
                }
                Some(one) => images.push(address(one)?),
            }
        }
        let mask = members.get("mask").filter(|mask| !mask.is_null()).map(address).transpose()?;
        let options = OPTIONS.iter().filter_map(|(name, _)| {
            let value = members.get(*name).filter(|value| !value.is_null())?;
            Some(((*name).to_owned(), value.clone()))
        });
        Self {
            action,
            stream: members.get("stream").and_then(Value::as_bool).unwrap_or(false),
            prompt: with_style(text("prompt"), text("style"))?,
            model: text("model").unwrap_or(DEFAULT_MODEL).to_owned(),
            images,
            mask,
            options: options.collect(),
        }
        .checked()
    }

    /// Reads a call that came as a form.
    ///
    /// # Errors
    /// It is malformed, or asks for what the tool cannot do.
    pub fn read_form(
        action: ImageAction,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Self, RequestError> {
        let form = Form::read(content_type, body)?;
        let count = form.text("n")?.filter(|n| !n.is_empty()).map(|n| n.parse().unwrap_or(u64::MAX));
        check_limits(count, form.text("response_format")?)?;
        let images = form.parts().iter().filter(|part| matches!(part.name, "image" | "image[]"));
        let mut options = Map::new();
        for (name, kind) in OPTIONS {
            let Some(text) = form.text(name)?.filter(|text| !text.is_empty()) else { continue };
            let number = text.parse::<u64>().ok().filter(|_| kind == Kind::Number);
            options.insert(name.to_owned(), number.map_or_else(|| Value::from(text), Value::from));
        }
        Self {
            action,
            stream: form.text("stream")? == Some("true"),
            prompt: with_style(form.text("prompt")?, form.text("style")?)?,
            model: form.text("model")?.filter(|model| !model.is_empty()).unwrap_or(DEFAULT_MODEL).to_owned(),
            images: images.map(data_url).collect(),
            mask: form.only("mask")?.map(data_url),
            options,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, RequestError> {
        if self.images.len() > MAX_INPUT_IMAGES {
            let why = format!("at most {MAX_INPUT_IMAGES} images can be edited together");
            return Err(RequestError::Invalid { member: "image", why });
        }
        if self.action == ImageAction::Edit && self.images.is_empty() {
            return Err(RequestError::Missing("image"));
        }
        Ok(self)
    }

    /// The turn that makes it.
    #[must_use]
    pub fn turn(&self) -> Vec<u8> {
        let mut tool = self.options.clone();
        tool.insert("type".into(), "image_generation".into());
        tool.insert("model".into(), self.model.as_str().into());
        let action = match self.action {
            ImageAction::Generate => "generate",
            ImageAction::Edit => "edit",
        };
        tool.insert("action".into(), action.into());
        if let Some(mask) = &self.mask {
            tool.insert("input_image_mask".into(), json!({ "image_url": mask }));
        }
        let mut content = vec![json!({ "type": "input_text", "text": self.prompt })];
        content.extend(self.images.iter().map(|image| json!({ "type": "input_image", "image_url": image })));
        let turn = json!({
            "model": HOST_MODEL,
            "instructions": "",
            "input": [{ "type": "message", "role": "user", "content": content }],
            "tools": [tool],
            "tool_choice": { "type": "image_generation" },
            "parallel_tool_calls": false,
            "store": false,
            "stream": true,
        });
        turn.to_string().into_bytes()
    }
}

/// The tool makes one image and hands it over.
fn check_limits(count: Option<u64>, format: Option<&str>) -> Result<(), RequestError> {
    if count.is_some_and(|count| count != 1) {
        let why = "a ChatGPT account makes one image at a time; leave it out".to_owned();
        return Err(RequestError::Invalid { member: "n", why });
    }
    if format.is_some_and(|format| !matches!(format, "b64_json" | "")) {
        let why = "a ChatGPT account answers `b64_json` only".to_owned();
        return Err(RequestError::Invalid { member: "response_format", why });
    }
    Ok(())
}

fn with_style(prompt: Option<&str>, style: Option<&str>) -> Result<String, RequestError> {
    let prompt = prompt.filter(|prompt| !prompt.is_empty()).ok_or(RequestError::Missing("prompt"))?;
    Ok(match style.filter(|style| !style.is_empty()) {
        Some(style) => format!("{prompt}\n\nStyle: {style}"),
        None => prompt.to_owned(),
    })
}

/// An image as JSON names it: its address or data, bare or in an object.
fn address(image: &Value) -> Result<String, RequestError> {
    let url = image.as_str().or_else(|| image.get("image_url").and_then(Value::as_str));
    url.map(str::to_owned).ok_or_else(|| RequestError::Invalid {
        member: "image",
        why: "a ChatGPT account takes images as `image_url` (an address or data), not as uploaded files"
            .to_owned(),
    })
}

fn data_url(part: &Part<'_>) -> String {
    let kind = part.content_type.filter(|kind| kind.starts_with("image/")).unwrap_or("image/png");
    let mut url = format!("data:{kind};base64,");
    STANDARD.encode_string(part.content, &mut url);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn_of(call: &ImageCall) -> Value {
        serde_json::from_slice(&call.turn()).unwrap()
    }

    #[test]
    fn words_become_a_turn_that_must_use_the_tool() {
        let body = json!({"prompt": "a cat", "style": "vivid", "size": "1024x1024", "quality": null, "stream": true, "partial_images": 2});
        let call = ImageCall::read_json(ImageAction::Generate, body.to_string().as_bytes()).unwrap();
        assert!(call.stream);
        let turn = turn_of(&call);
        let tool = &turn["tools"][0];
        assert_eq!(
            tool,
            &json!({"type": "image_generation", "model": "gpt-image-2", "action": "generate", "size": "1024x1024", "partial_images": 2})
        );
        assert_eq!(turn["tool_choice"]["type"], "image_generation");
        assert_eq!(turn["input"][0]["content"][0]["text"], "a cat\n\nStyle: vivid");
    }

    #[test]
    fn a_form_brings_its_images_along() {
        let field = |name: &str, more: &str, text: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
        };
        let file = "; filename=\"x\"\r\nContent-Type: image/webp";
        let body = [
            field("prompt", "", "a hat"),
            field("image[]", file, "AB"),
            field("image[]", file, "C"),
            field("mask", "; filename=\"m\"", "M"),
            field("output_compression", "", "80"),
            "--b--\r\n".to_owned(),
        ]
        .concat();
        let kind = Some("multipart/form-data; boundary=b");
        let call = ImageCall::read_form(ImageAction::Edit, kind, body.as_bytes()).unwrap();
        let turn = turn_of(&call);
        let content = &turn["input"][0]["content"];
        assert_eq!(content[1]["image_url"], "data:image/webp;base64,QUI=");
        assert_eq!(content.as_array().unwrap().len(), 3);
        assert_eq!(turn["tools"][0]["output_compression"], 80);
        assert_eq!(turn["tools"][0]["input_image_mask"]["image_url"], "data:image/png;base64,TQ==");
    }

    #[test]
    fn what_the_tool_cannot_do_is_refused_by_name() {
        let seventeen: Vec<Value> = (0..17).map(|_| json!("data:image/png;base64,QQ==")).collect();
        for (action, body, param) in [
            (ImageAction::Generate, json!({}), "prompt"),
            (ImageAction::Generate, json!({"prompt": ""}), "prompt"),
            (ImageAction::Generate, json!({"prompt": "x", "n": 2}), "n"),
            (ImageAction::Generate, json!({"prompt": "x", "response_format": "url"}), "response_format"),
            (ImageAction::Edit, json!({"prompt": "x"}), "image"),
            (ImageAction::Edit, json!({"prompt": "x", "images": [{"file_id": "file-1"}]}), "image"),
            (ImageAction::Edit, json!({"prompt": "x", "image": seventeen}), "image"),
        ] {
            let error = ImageCall::read_json(action, body.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.param(), Some(param), "{body}");
        }
    }
}
