//! What a request says about itself besides its texts, for mappings and filters.

use super::retarget::effort;
use crate::json::Members;
use crate::turn::Dialect;

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The reasoning effort.
    pub effort: Option<String>,
    /// The most output.
    pub max_output_tokens: Option<u32>,
}

impl Wishes {
    /// Reads a body; what it does not say is absent.
    #[must_use]
    pub fn read(dialect: Dialect, body: &[u8]) -> Self {
        let Ok(members) = Members::read(body) else { return Self::default() };
        let number = |name: &str| members.get(name)?.parse().ok();
        let max_output_tokens = match dialect {
            Dialect::OpenAiResponses => number("max_output_tokens"),
            Dialect::OpenAiChat => number("max_completion_tokens").or_else(|| number("max_tokens")),
            Dialect::AnthropicMessages => number("max_tokens"),
        };
        Self { effort: effort(dialect, &members), max_output_tokens }
    }
}
