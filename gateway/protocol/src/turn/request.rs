//! A request in the internal language: what all dialects can say, and what one of them said that others cannot.
//!
//! Owned values, each text copied once. JSON that nobody looks into (schemas, hosted tools, metadata) keeps its bytes,
//! so that a schema's member order, which prompt caches depend on, survives.

use serde_json::value::RawValue;

use super::Dialect;

/// JSON kept byte for byte.
pub type Json = Box<RawValue>;

/// One turn asked of a model.
#[derive(Debug, Clone, Default)]
pub struct TurnRequest {
    /// The model asked for.
    pub model: String,
    /// System text that stands outside the conversation, part by part.
    pub instructions: Vec<String>,
    /// The conversation in its order.
    pub input: Vec<Item>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether and what it must call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// How to sample, and how much.
    pub sampling: Sampling,
    /// How much to think.
    pub reasoning: ReasoningOptions,
    /// The form of the text answer.
    pub output: OutputOptions,
    /// The caller's own labels.
    pub metadata: Option<Json>,
    /// Who the caller's user is.
    pub user: Option<String>,
    /// The same, hashed by the caller for abuse reports.
    pub safety_identifier: Option<String>,
    /// `auto`, `default`, `flex`, `priority` …
    pub service_tier: Option<String>,
    /// Whether the client wants events.
    pub stream: bool,
    /// Whether a chat stream ends with a usage chunk. The other dialects always tell usage.
    pub include_usage: bool,
    /// What ties requests with a common beginning together.
    pub prompt_cache_key: Option<String>,
    /// Whether the upstream keeps the answer.
    pub store: Option<bool>,
    /// The answer that this continues.
    pub previous_response_id: Option<String>,
    /// Extra answer parts asked for (`reasoning.encrypted_content` …).
    pub include: Vec<String>,
}

/// One thing in a conversation.
#[derive(Debug, Clone)]
pub enum Item {
    /// Somebody said something.
    Message(Message),
    /// The model called a tool of the client.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolOutput(ToolOutput),
    /// What the model thought.
    Reasoning(Reasoning),
    /// An item of one dialect that the others do not have (hosted tool calls, compactions, newer kinds).
    Opaque(Opaque),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The platform.
    System,
    /// The application.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What, in order. May be empty.
    pub parts: Vec<Part>,
    /// The participant's name, which only chat has.
    pub name: Option<String>,
}

/// One part of a message or of a tool's output.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image(Image),
    /// A document.
    File(File),
    /// A recording.
    Audio(Audio),
    /// The model's refusal.
    Refusal(String),
    /// A part that only one dialect has.
    Opaque(Opaque),
}

/// A picture.
#[derive(Debug, Clone)]
pub struct Image {
    /// Where it is.
    pub source: MediaSource,
    /// `low`, `high`, `auto`, `original`.
    pub detail: Option<String>,
}

/// A document.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it is.
    pub source: MediaSource,
    /// Its name or title.
    pub name: Option<String>,
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Audio {
    /// Base64.
    pub data: String,
    /// `wav`, `mp3` …
    pub format: String,
}

/// Where a picture's or document's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// Elsewhere. Never a `data:` URL; those are taken apart into `Base64`.
    Url(String),
    /// Here.
    Base64 {
        /// `image/png` …
        media_type: String,
        /// Base64, as it came.
        data: String,
    },
    /// Here, as plain text (documents only).
    Text(String),
    /// Uploaded to the upstream before.
    FileId(String),
}

/// Which of the two shapes a client's tool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolKind {
    /// Arguments are a JSON object's text.
    Function,
    /// The input is free text, maybe under a grammar.
    Custom,
}

/// A call of a client's tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// What the output refers to.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The namespace it is in, which only responses has.
    pub namespace: Option<String>,
    /// Its shape.
    pub kind: ToolKind,
    /// The arguments' JSON text, or the free text.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments of a function as JSON: a call without any says so, for what is no JSON would be refused for the
    /// rest of the conversation.
    #[must_use]
    pub fn json_arguments(&self) -> &str {
        if self.arguments.trim().is_empty() { "{}" } else { &self.arguments }
    }
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct ToolOutput {
    /// The call's id.
    pub call_id: String,
    /// The shape of the call, as far as the dialect tells it.
    pub kind: ToolKind,
    /// The answer.
    pub result: ToolResult,
    /// Whether the tool failed, which only messages can say.
    pub is_error: bool,
}

/// A tool's answer.
#[derive(Debug, Clone)]
pub enum ToolResult {
    /// Text alone.
    Text(String),
    /// Text, pictures, files.
    Parts(Vec<Part>),
}

impl ToolResult {
    /// All its text, parts joined by line ends.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
                    .collect();
                texts.join("\n")
            }
        }
    }
}

/// What the model thought.
#[derive(Debug, Clone, Default)]
pub struct Reasoning {
    /// The upstream's id of the item.
    pub id: Option<String>,
    /// What may be shown: summary parts (responses), thinking (messages), reasoning content (chat).
    pub summary: Vec<String>,
    /// The whole chain where an open model tells it beside the summary.
    pub text: Vec<String>,
    /// What only the provider can read and wants back.
    pub sealed: Option<Sealed>,
    /// The block has nothing to show but its seal (`redacted_thinking`).
    pub is_redacted: bool,
}

/// A provider's encrypted reasoning or signature. Only the dialect that sealed it may be sent it as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Who can open it.
    pub by: Dialect,
    /// The text.
    pub text: String,
}

impl Sealed {
    const MARK: &'static str = "switchyard:";

    /// Reads what a client of `dialect` sent back: its own provider's seal, or another's that we had marked.
    #[must_use]
    pub fn read(dialect: Dialect, text: String) -> Self {
        let marked = text.strip_prefix(Self::MARK).and_then(|rest| rest.split_once(':'));
        let maker = |word| {
            [Dialect::OpenAiResponses, Dialect::OpenAiChat, Dialect::AnthropicMessages]
                .into_iter()
                .find(|dialect| dialect.as_str() == word)
        };
        match marked.and_then(|(by, seal)| Some((maker(by)?, seal.to_owned()))) {
            Some((by, text)) => Self { by, text },
            None => Self { by: dialect, text },
        }
    }

    /// The text to show a client of `dialect`. A foreign seal is marked, so that it finds the way back to where it can
    /// be opened and never reaches a provider that would refuse it.
    #[must_use]
    pub fn write(&self, dialect: Dialect) -> String {
        if self.by == dialect {
            self.text.clone()
        } else {
            format!("{}{}:{}", Self::MARK, self.by.as_str(), self.text)
        }
    }

    /// The text for an upstream of `dialect`, if that one can open it.
    #[must_use]
    pub fn for_upstream(&self, dialect: Dialect) -> Option<&str> {
        (self.by == dialect).then_some(self.text.as_str())
    }
}

/// Something of one dialect, byte for byte.
#[derive(Debug, Clone)]
pub struct Opaque {
    /// Whose.
    pub dialect: Dialect,
    /// Its `type`.
    pub kind: String,
    /// The whole object.
    pub raw: Json,
}

/// Something the model may call.
#[derive(Debug, Clone)]
pub enum Tool {
    /// A client's function.
    Function {
        /// Name.
        name: String,
        /// The namespace it is in, which only responses has.
        namespace: Option<String>,
        /// What it does.
        description: Option<String>,
        /// JSON schema of the arguments.
        parameters: Option<Json>,
        /// Whether arguments must fit the schema exactly.
        strict: Option<bool>,
    },
    /// A client's tool with free text input.
    Custom {
        /// Name.
        name: String,
        /// The namespace it is in.
        namespace: Option<String>,
        /// What it does.
        description: Option<String>,
        /// The grammar, as responses writes it: `{"type":"grammar","syntax","definition"}`.
        format: Option<Json>,
    },
    /// A tool that the provider runs.
    Hosted(Opaque),
}

/// Whether and what the model must call.
#[derive(Debug, Clone)]
pub enum ToolChoice {
    /// It decides.
    Auto,
    /// Nothing.
    None,
    /// Something.
    Required,
    /// This one.
    Tool {
        /// Its shape.
        kind: ToolKind,
        /// Its name.
        name: String,
    },
    /// A choice that only one dialect has (hosted tools, allowed sets).
    Opaque(Opaque),
}

/// How to sample, and how much.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// Only messages has it.
    pub top_k: Option<u64>,
    /// The most tokens to write, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Texts to stop at.
    pub stop: Vec<String>,
    /// Only chat has it.
    pub frequency_penalty: Option<f64>,
    /// Only chat has it.
    pub presence_penalty: Option<f64>,
    /// Only chat has it.
    pub seed: Option<i64>,
    /// How many likely tokens to tell at each place; `Some(0)` asks for the chosen ones alone.
    pub top_logprobs: Option<u64>,
}

/// How much to think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReasoningOptions {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; newer words pass.
    pub effort: Option<String>,
    /// `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
    /// The most tokens to think, which only messages has.
    pub budget_tokens: Option<u64>,
}

/// The form of the text answer.
#[derive(Debug, Clone, Default)]
pub struct OutputOptions {
    /// `None` is plain text.
    pub format: Option<OutputFormat>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
}

/// Structured output.
#[derive(Debug, Clone)]
pub enum OutputFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Its name. Messages has none.
        name: Option<String>,
        /// What it is.
        description: Option<String>,
        /// The schema.
        schema: Json,
        /// Whether it must fit exactly.
        strict: Option<bool>,
    },
}

impl TurnRequest {
    /// How many items at the beginning are system or developer messages: what a dialect with one system text outside
    /// the conversation can lift.
    #[must_use]
    pub fn leading_system(&self) -> usize {
        self.input
            .iter()
            .take_while(|item| {
                matches!(item, Item::Message(message) if matches!(message.role, Role::System | Role::Developer))
            })
            .count()
    }
}

impl MediaSource {
    /// Takes a URL apart when it carries its bytes: `data:<type>[;params];base64,<data>`. A data URL in another
    /// encoding stays a URL.
    #[must_use]
    pub fn from_url(url: String) -> Self {
        let parts = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(','))
            .and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
        match parts {
            Some((head, data)) => {
                let media_type = head.split(';').next().unwrap_or_default().to_owned();
                Self::Base64 { media_type, data: data.to_owned() }
            }
            None => Self::Url(url),
        }
    }

    /// The URL that says the same: the URL itself or a `data:` URL. `None` for what has none.
    #[must_use]
    pub fn to_url(&self) -> Option<String> {
        match self {
            Self::Url(url) => Some(url.clone()),
            Self::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
            Self::Text(_) | Self::FileId(_) => None,
        }
    }
}
