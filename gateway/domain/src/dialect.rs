//! Wire protocols by name. What they look like is the business of the protocol crate.

use serde::{Deserialize, Serialize};

/// A wire protocol, spoken by a client or by an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dialect {
    /// `POST /v1/responses`.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// `POST /v1/chat/completions`.
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    /// `POST /v1/messages`.
    #[serde(rename = "anthropic-messages")]
    AnthropicMessages,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAiResponses, Self::OpenAiChat, Self::AnthropicMessages];

    /// The word for it in configuration, the API, logs and decisions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiChat => "openai-chat",
            Self::AnthropicMessages => "anthropic-messages",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == word)
    }
}
