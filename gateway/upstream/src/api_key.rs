//! Where the OpenAI API and servers that resemble it have their endpoints.

use gateway_core::ports::Endpoint;

use crate::address::Base;

pub(crate) const MODELS: &str = "models";

/// What people paste behind the base.
const ENDS: &[&str] =
    &["/chat/completions", "/completions", "/responses", "/messages", "/models", "/embeddings"];

/// The base that SDKs are given: with its version. A bare host means `/v1`, where every such server has it.
pub(crate) fn base(base: Base) -> Base {
    let base = base.without_end(ENDS);
    if base.path().is_empty() { base.with_path("/v1") } else { base }
}

/// The OpenAI API itself speaks no messages.
pub(crate) const fn openai_path(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Messages | Endpoint::CountTokens => None,
        other => compatible_path(other),
    }
}

/// Others may speak anything.
pub(crate) const fn compatible_path(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::Backend => return None,
        Endpoint::Responses => "responses",
        Endpoint::Compact => "responses/compact",
        Endpoint::ChatCompletions => "chat/completions",
        Endpoint::Messages => "messages",
        Endpoint::CountTokens => "messages/count_tokens",
        Endpoint::ImageGenerations => "images/generations",
        Endpoint::ImageEdits => "images/edits",
        Endpoint::Transcriptions => "audio/transcriptions",
        Endpoint::Embeddings => "embeddings",
    })
}
