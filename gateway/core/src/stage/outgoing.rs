//! The request in the words of the account that serves it: which endpoint, which body, and how the answer is to be
//! read.
//!
//! Same dialect on both sides: the bytes go through. Otherwise the request is translated once per dialect, and the
//! answer will be.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{AccountKind, Dialect, Failure, FailureKind, Retry};
use gateway_protocol::messages;
use gateway_protocol::responses::{self, CallerKind, CodexBody, RequestError};
use gateway_protocol::translate::codec;
use gateway_protocol::turn::{Dropped, ToolNames, TurnError, TurnRequest};

use super::call_outgoing::{self, CallReading};
use super::decode::{Asked, Decoded, bad_turn};
use crate::ports::{Destination, Endpoint};

/// What is noted when thinking was left out that the upstream could not have read.
const FOREIGN_THINKING: &str = "thinking of another provider left out";

/// One request, ready for one account.
pub(crate) struct Outgoing {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: Bytes,
    /// What the account speaks.
    pub(crate) dialect: Dialect,
    pub(crate) reading: Reading,
    /// Tools that had to be called otherwise.
    pub(crate) names: ToolNames,
    /// What was changed or left out.
    pub(crate) notes: Vec<Cow<'static, str>>,
}

/// How the answer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Responses events that go through as they are.
    Responses,
    /// Events that go through as they are.
    Along,
    /// Events that are put into the client's dialect.
    Translated,
    /// One object that goes through as it is.
    Whole,
    /// The answer of a call.
    Call(CallReading),
}

/// Puts the request into the account's words.
///
/// # Errors
/// The account's upstream cannot serve it; another kind of account may.
pub(crate) fn outgoing(decoded: &Decoded, to: &Destination) -> Result<Outgoing, Failure> {
    let dialect = dialect_of(to, decoded.asked.dialect());
    match &decoded.asked {
        Asked::Call { call, .. } => call_outgoing::outgoing(decoded, *call, to),
        Asked::Responses { for_codex, .. } if to.kind == AccountKind::Codex => codex_turn(for_codex),
        asked if asked.dialect() == dialect && to.kind != AccountKind::Codex => {
            Ok(unchanged(decoded, dialect))
        }
        asked => translated(decoded, asked, to, dialect),
    }
}

/// What an account is asked in: the client's own dialect where it speaks that one.
fn dialect_of(to: &Destination, client: Dialect) -> Dialect {
    let speaks = |dialect| to.dialects.contains(&dialect);
    match to.kind {
        AccountKind::Codex => Dialect::OpenAiResponses,
        AccountKind::Anthropic => Dialect::AnthropicMessages,
        AccountKind::Gateway => client,
        AccountKind::OpenAi if client == Dialect::AnthropicMessages => Dialect::OpenAiResponses,
        AccountKind::OpenAi => client,
        AccountKind::OpenAiCompatible if speaks(client) => client,
        AccountKind::OpenAiCompatible => {
            [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages]
                .into_iter()
                .find(|dialect| speaks(*dialect))
                // Not looked at yet: nearly all of them speak this one.
                .unwrap_or(Dialect::OpenAiChat)
        }
    }
}

const fn endpoint_of(dialect: Dialect) -> Endpoint {
    match dialect {
        Dialect::OpenAiResponses => Endpoint::Responses,
        Dialect::OpenAiChat => Endpoint::ChatCompletions,
        Dialect::AnthropicMessages => Endpoint::Messages,
    }
}

fn codex_turn(for_codex: &Result<CodexBody, RequestError>) -> Result<Outgoing, Failure> {
    let CodexBody { body, mut edits } = for_codex.as_ref().map_err(refused_by_codex)?.clone();
    let cleaned = responses::without_foreign_reasoning(&body);
    edits.extend(cleaned.iter().map(|_| Cow::Borrowed(FOREIGN_THINKING)));
    let body = cleaned.map_or(body, Bytes::from);
    Ok(Outgoing {
        endpoint: Endpoint::Responses,
        body,
        dialect: Dialect::OpenAiResponses,
        reading: Reading::Responses,
        names: ToolNames::default(),
        notes: edits,
    })
}

fn unchanged(decoded: &Decoded, dialect: Dialect) -> Outgoing {
    let reading = match (decoded.wants_stream, dialect) {
        (false, _) => Reading::Whole,
        (true, Dialect::OpenAiResponses) => Reading::Responses,
        (true, _) => Reading::Along,
    };
    // Thinking that another provider wrote has a signature that this one refuses; without it the rest is fine.
    let cleaned = match dialect {
        Dialect::AnthropicMessages => messages::without_foreign_thinking(&decoded.body),
        Dialect::OpenAiResponses => responses::without_foreign_reasoning(&decoded.body),
        Dialect::OpenAiChat => None,
    };
    let notes = cleaned.iter().map(|_| Cow::Borrowed(FOREIGN_THINKING)).collect();
    Outgoing {
        endpoint: endpoint_of(dialect),
        body: cleaned.map_or_else(|| decoded.body.clone(), Bytes::from),
        dialect,
        reading,
        names: ToolNames::default(),
        notes,
    }
}

fn translated(
    decoded: &Decoded,
    asked: &Asked,
    to: &Destination,
    dialect: Dialect,
) -> Result<Outgoing, Failure> {
    let mut dropped = Dropped::default();
    let mut request = match asked {
        Asked::Turn { request, dropped: earlier, .. } => {
            dropped.extend(earlier.clone());
            TurnRequest::clone(request)
        }
        // A call is worded before; as a turn it could not be read.
        Asked::Responses { .. } | Asked::Call { .. } => {
            let read = codec(Dialect::OpenAiResponses).decode_request(&decoded.body);
            let read = read.map_err(|error| untranslatable(error, asked.dialect()))?;
            dropped.extend(read.dropped);
            read.request
        }
    };
    // Events can be folded for a client that wants one object; an object cannot be made events of.
    request.stream = true;
    request.include_usage = true;
    let names = match dialect {
        Dialect::OpenAiResponses => ToolNames::default(),
        Dialect::OpenAiChat | Dialect::AnthropicMessages if ToolNames::is_needed(&request) => {
            ToolNames::flatten(&mut request)
        }
        Dialect::OpenAiChat | Dialect::AnthropicMessages => ToolNames::default(),
    };
    let body = codec(dialect)
        .encode_request(&request, &mut dropped)
        .map_err(|error| untranslatable(error, asked.dialect()))?;
    let mut body = Bytes::from(body);
    let mut notes: Vec<Cow<'static, str>> = dropped.notes().to_vec();
    if to.kind == AccountKind::Codex {
        let fit = responses::decode(body, CallerKind::Foreign).and_then(|decoded| decoded.for_codex);
        let CodexBody { body: fitted, edits } = fit.map_err(|error| refused_by_codex(&error))?;
        body = fitted;
        notes.extend(edits);
    }
    Ok(Outgoing { endpoint: endpoint_of(dialect), body, dialect, reading: Reading::Translated, names, notes })
}

fn untranslatable(error: TurnError, client: Dialect) -> Failure {
    let error = error.in_words_of(client);
    match error {
        // Another kind of upstream may have what this one lacks.
        TurnError::Unsupported { .. } => bad_turn(&error).retry(Retry::OtherAccount),
        _ => bad_turn(&error),
    }
}

pub(super) fn refused_by_codex(error: &RequestError) -> Failure {
    let failure = Failure::client(FailureKind::InvalidRequest, error.to_string()).retry(Retry::OtherAccount);
    match (error, error.param()) {
        // Clients that know this code send their whole conversation again.
        (RequestError::PreviousResponse, param) => Failure { kind: FailureKind::Refused, ..failure }
            .answered(gateway_domain::Answer {
                status: 400,
                code: Some("previous_response_not_found".to_owned()),
                param: param.map(str::to_owned),
            }),
        (_, Some(param)) => failure.param(param),
        (_, None) => failure,
    }
}
