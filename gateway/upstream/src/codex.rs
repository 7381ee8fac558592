//! Where the Codex backend of ChatGPT has its endpoints (facts: codex-lb 1.1, clients 2.2).

use gateway_core::ports::Endpoint;

pub(crate) const MODELS: &str = "codex/models";
pub(crate) const USAGE: &str = "wham/usage";
pub(crate) const REDEEM: &str = "wham/rate-limit-reset-credits/consume";

/// The path below the backend's base. Chat, messages and embeddings do not exist there: they are translated before.
pub(crate) const fn path(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Responses => Some("codex/responses"),
        Endpoint::Compact => Some("codex/responses/compact"),
        Endpoint::ImageGenerations => Some("codex/images/generations"),
        Endpoint::ImageEdits => Some("codex/images/edits"),
        Endpoint::Transcriptions => Some("transcribe"),
        Endpoint::ChatCompletions
        | Endpoint::Messages
        | Endpoint::CountTokens
        | Endpoint::Embeddings
        | Endpoint::Backend => None,
    }
}
