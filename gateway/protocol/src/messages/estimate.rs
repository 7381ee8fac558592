//! How many tokens a request has, estimated here: for `count_tokens` where the upstream of a model cannot be asked.
//!
//! No tokenizer: the tables of one weigh megabytes and fit one family of models. Instead letters are counted. English
//! text and code have 3.5 to 4.5 ASCII characters per token; 3.5 is taken, so that the estimate errs on the high side
//! (a client shortens its conversation a little early instead of too late). Other scripts cost about half a token per
//! two-byte letter and one per longer one. Pictures and documents are guessed by kind and size, because their bytes
//! are not looked into: 1,600 tokens per picture, which is what the largest one costs after it was scaled down, and
//! one token per 30 bytes of a document, at least 1,500.
//!
//! Against the counts that providers tell, expect 10 to 25 % too much for prose and code, and less certainty for other
//! scripts, pictures and PDF. It is a guide for when to compact, not a basis for money.

use serde_json::value::RawValue;

use crate::turn::{
    Item, MediaSource, Message, OutputFormat, Part, Reasoning, Tool, ToolCall, ToolResult, TurnRequest,
};

/// What surrounds a request, a message and a tool.
const PER_REQUEST: u64 = 8;
const PER_ITEM: u64 = 4;
const PER_TOOL: u64 = 12;
/// What a model is told about tools as soon as there is one.
const TOOLS_PREAMBLE: u64 = 300;
const PER_IMAGE: u64 = 1_600;
const DOCUMENT_BYTES_PER_TOKEN: u64 = 30;
const MIN_DOCUMENT: u64 = 1_500;
/// A second of speech is some 10 tokens and some 16 kB of base64.
const AUDIO_BYTES_PER_TOKEN: u64 = 1_600;

/// An estimate of the request's input tokens; how, and how well, is told above.
#[must_use]
pub fn estimate_input_tokens(request: &TurnRequest) -> u64 {
    let mut letters = Letters::default();
    let mut flat = PER_REQUEST;
    for instruction in &request.instructions {
        letters.add(instruction);
    }
    for item in &request.input {
        flat += PER_ITEM + self::item(item, &mut letters);
    }
    if !request.tools.is_empty() {
        flat += TOOLS_PREAMBLE;
    }
    for tool in &request.tools {
        flat += PER_TOOL;
        self::tool(tool, &mut letters);
    }
    if let Some(OutputFormat::JsonSchema { schema, .. }) = &request.output.format {
        letters.add(schema.get());
    }
    flat.saturating_add(letters.tokens())
}

/// Letters seen, by what they cost.
#[derive(Debug, Default)]
struct Letters {
    ascii: u64,
    two_bytes: u64,
    longer: u64,
}

impl Letters {
    fn add(&mut self, text: &str) {
        let (mut ascii, mut two_bytes, mut longer) = (0_u64, 0_u64, 0_u64);
        for byte in text.bytes() {
            // Each letter is counted by its first byte.
            match byte {
                0..0x80 => ascii += 1,
                0xC0..0xE0 => two_bytes += 1,
                0xE0.. => longer += 1,
                0x80..0xC0 => {}
            }
        }
        self.ascii = self.ascii.saturating_add(ascii);
        self.two_bytes = self.two_bytes.saturating_add(two_bytes);
        self.longer = self.longer.saturating_add(longer);
    }

    fn tokens(&self) -> u64 {
        (self.ascii.saturating_mul(2).div_ceil(7))
            .saturating_add(self.two_bytes.div_ceil(2))
            .saturating_add(self.longer)
    }
}

/// Adds an item's letters; answers with what it costs beside them.
fn item(item: &Item, letters: &mut Letters) -> u64 {
    match item {
        Item::Message(Message { parts, .. }) => self::parts(parts, letters),
        Item::ToolCall(ToolCall { name, arguments, .. }) => {
            letters.add(name);
            letters.add(arguments);
            0
        }
        Item::ToolOutput(output) => match &output.result {
            ToolResult::Text(text) => {
                letters.add(text);
                0
            }
            ToolResult::Parts(parts) => self::parts(parts, letters),
        },
        Item::Reasoning(Reasoning { summary, text, .. }) => {
            // The seal is about what was thought, which is more than what is shown; providers count it once.
            summary.iter().chain(text).for_each(|part| letters.add(part));
            0
        }
        Item::Opaque(opaque) => {
            letters.add(opaque.raw.get());
            0
        }
    }
}

fn parts(parts: &[Part], letters: &mut Letters) -> u64 {
    let mut flat = 0_u64;
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => letters.add(text),
            Part::Image(_) => flat = flat.saturating_add(PER_IMAGE),
            Part::File(file) => match &file.source {
                MediaSource::Text(text) => letters.add(text),
                MediaSource::Base64 { data, .. } => {
                    let bytes = bytes(data) / 4 * 3;
                    flat = flat.saturating_add((bytes / DOCUMENT_BYTES_PER_TOKEN).max(MIN_DOCUMENT));
                }
                MediaSource::Url(_) | MediaSource::FileId(_) => flat = flat.saturating_add(MIN_DOCUMENT),
            },
            Part::Audio(audio) => flat = flat.saturating_add(bytes(&audio.data) / AUDIO_BYTES_PER_TOKEN),
            Part::Opaque(opaque) => letters.add(opaque.raw.get()),
        }
    }
    flat
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

fn tool(tool: &Tool, letters: &mut Letters) {
    let (name, description, schema): (_, _, Option<&RawValue>) = match tool {
        Tool::Function { name, description, parameters, .. } => {
            (name.as_str(), description.as_deref(), parameters.as_deref())
        }
        Tool::Custom { name, description, format, .. } => {
            (name.as_str(), description.as_deref(), format.as_deref())
        }
        Tool::Hosted(opaque) => (opaque.kind.as_str(), None, Some(&*opaque.raw)),
    };
    letters.add(name);
    letters.add(description.unwrap_or_default());
    letters.add(schema.map_or("", RawValue::get));
}

/// The answer of `count_tokens`.
#[must_use]
pub fn count_body(input_tokens: u64) -> Vec<u8> {
    format!("{{\"input_tokens\":{input_tokens}}}").into_bytes()
}

/// Whether an upstream's answer is one to `count_tokens`.
#[must_use]
pub fn is_count(answer: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Count {
        #[serde(rename = "input_tokens")]
        _input_tokens: u64,
    }
    serde_json::from_slice::<Count>(answer).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_is_a_count() {
        assert!(is_count(&count_body(7)) && is_count(br#"{"input_tokens":1,"context_management":null}"#));
        for other in
            ["", "<html>", "[]", r#"{"tokens":1}"#, r#"{"input_tokens":"1"}"#, r#"{"input_tokens":-1}"#]
        {
            assert!(!is_count(other.as_bytes()), "{other}");
        }
    }
    use crate::messages::decode_count_request;

    fn estimate(body: &str) -> u64 {
        estimate_input_tokens(&decode_count_request(body.as_bytes()).unwrap().request)
    }

    fn said(text: &str) -> u64 {
        estimate(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#))
    }

    #[test]
    fn a_body_without_max_tokens_is_counted() {
        // What Claude Code sends 25 times at once for its overview.
        assert_eq!(estimate(r#"{"model":"m","messages":[{"role":"user","content":"foo"}],"tools":[]}"#), 13);
        assert_eq!(count_body(13), br#"{"input_tokens":13}"#);
    }

    #[test]
    fn more_text_is_more_tokens_in_every_script() {
        let words = "The quick brown fox jumps over the lazy dog. ".repeat(20);
        let tokens = said(&words);
        // A tokenizer says 200.
        assert!((200..=270).contains(&tokens), "{tokens}");
        assert!(said("你好世界") > said("abcd"));
        assert!(said("привет мир") > said("privet mir"));
    }

    #[test]
    fn pictures_documents_and_tools_count() {
        let image = r#"{"model":"m","messages":[{"role":"user","content":[
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#;
        assert!(estimate(image) >= PER_IMAGE);
        let pdf = r#"{"model":"m","messages":[{"role":"user","content":[
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]}"#;
        assert!(estimate(pdf) >= MIN_DOCUMENT);
        let tool = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],
            "tools":[{"name":"w","description":"d","input_schema":{"type":"object"}}]}"#;
        assert!(estimate(tool) > said("hi") + TOOLS_PREAMBLE);
    }
}
