//! Translation between any two dialects: what the pipeline calls when a client and an upstream differ.
//!
//! A request is decoded once and encoded for each account that is tried. The answer comes back as a stream of bytes in
//! any pieces, as a stream for a client that asked for none, or whole. Same dialect on both sides is not translated:
//! those bytes pass through untouched.

mod answer;
mod stream;

use bytes::Bytes;

pub use answer::{FoldState, StreamFold, WholeAnswer, translate_answer, translate_error};
pub use stream::{StreamEnd, StreamTranslator};

use crate::chat::Chat;
use crate::messages::Messages;
use crate::responses::Responses;
pub use crate::turn::Dialect;
use crate::turn::{AnswerContext, Codec, Dropped, ErrorReport, ToolNames, TurnError, TurnRequest};

/// The dialect's codec.
#[must_use]
pub fn codec(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::OpenAiResponses => &Responses,
        Dialect::OpenAiChat => &Chat,
        Dialect::AnthropicMessages => &Messages,
    }
}

/// A client's request, understood, ready to be written for one upstream or another.
#[derive(Debug)]
pub struct RequestTranslator {
    client: Dialect,
    request: TurnRequest,
    dropped: Dropped,
}

impl RequestTranslator {
    /// Reads a client's request.
    ///
    /// # Errors
    /// It is malformed; the error names the member.
    pub fn decode(client: Dialect, body: &[u8]) -> Result<Self, TurnError> {
        let decoded = codec(client).decode_request(body)?;
        Ok(Self { client, request: decoded.request, dropped: decoded.dropped })
    }

    /// What was asked: model, stream and cache key are what routing needs.
    #[must_use]
    pub const fn request(&self) -> &TurnRequest {
        &self.request
    }

    /// The same, for filters that change it.
    pub const fn request_mut(&mut self) -> &mut TurnRequest {
        &mut self.request
    }

    /// Writes it for an upstream. `model` is what the mapping resolved the asked one to.
    ///
    /// # Errors
    /// It asks for something that has no counterpart there.
    pub fn encode(&self, upstream: Dialect, model: &str) -> Result<TranslatedRequest, TurnError> {
        let mut dropped = self.dropped.clone();
        let is_renamed = self.request.model != model;
        let must_flatten = upstream != Dialect::OpenAiResponses && ToolNames::is_needed(&self.request);
        let (body, names) = if is_renamed || must_flatten {
            let mut request = self.request.clone();
            model.clone_into(&mut request.model);
            let names = if must_flatten { ToolNames::flatten(&mut request) } else { ToolNames::default() };
            (codec(upstream).encode_request(&request, &mut dropped), names)
        } else {
            (codec(upstream).encode_request(&self.request, &mut dropped), ToolNames::default())
        };
        let body = body.map_err(|error| self.in_client_words(error))?;
        let route = AnswerRoute {
            client: self.client,
            upstream,
            model: self.request.model.clone(),
            include_usage: self.request.include_usage,
            names,
        };
        Ok(TranslatedRequest { body: body.into(), dropped, route })
    }

    /// An encoder names the conversation as the internal language does; its places mean nothing to a client that
    /// wrote messages.
    fn in_client_words(&self, error: TurnError) -> TurnError {
        let is_items = error.param().is_some_and(|param| param == "input" || param.starts_with("input["));
        match error {
            TurnError::Unsupported { why, .. } if is_items && self.client != Dialect::OpenAiResponses => {
                TurnError::unsupported("messages", why)
            }
            other => other,
        }
    }
}

/// A request in the upstream's dialect.
#[derive(Debug)]
pub struct TranslatedRequest {
    /// The body to send.
    pub body: Bytes,
    /// What it does not say, for the decision record.
    pub dropped: Dropped,
    /// The way back.
    pub route: AnswerRoute,
}

/// What an answer's translation must know of its request.
#[derive(Debug, Clone)]
pub struct AnswerRoute {
    client: Dialect,
    upstream: Dialect,
    /// The model as the client named it.
    model: String,
    include_usage: bool,
    names: ToolNames,
}

impl AnswerRoute {
    /// The client's dialect.
    #[must_use]
    pub const fn client(&self) -> Dialect {
        self.client
    }

    /// The upstream's dialect.
    #[must_use]
    pub const fn upstream(&self) -> Dialect {
        self.upstream
    }

    fn context(&self, stamp: &Stamp) -> AnswerContext {
        AnswerContext {
            model: self.model.clone(),
            fallback_id: stamp.id.clone(),
            now: stamp.now,
            include_usage: self.include_usage,
        }
    }
}

/// What stands in for an id and a time that the upstream did not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Any unique text; the request's id.
    pub id: String,
    /// Seconds since 1970.
    pub now: u64,
}

/// Decodes and encodes in one step, for callers with one upstream.
///
/// # Errors
/// As [`RequestTranslator::decode`] and [`RequestTranslator::encode`].
pub fn translate_request(
    client: Dialect,
    upstream: Dialect,
    body: &[u8],
    model: Option<&str>,
) -> Result<TranslatedRequest, TurnError> {
    let translator = RequestTranslator::decode(client, body)?;
    translator.encode(upstream, model.unwrap_or(&translator.request.model))
}

/// An error body in a client's dialect.
#[must_use]
pub fn error_body(client: Dialect, report: &ErrorReport) -> Bytes {
    codec(client).encode_error(report).into()
}

#[cfg(test)]
mod tests;
