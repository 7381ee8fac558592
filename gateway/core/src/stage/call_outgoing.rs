//! A call in the words of the account that serves it: as it came wherever the upstream has the same call; at the Codex
//! backend compaction and public image calls become turns.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{AccountKind, Dialect, Failure, FailureKind, Retry};
use gateway_protocol::calls::{TranscriptShape, transcription_for_codex};
use gateway_protocol::images::{ImageAction, ImageCall};
use gateway_protocol::messages::without_foreign_thinking;
use gateway_protocol::responses::{CodexBody, RequestError, compact_for_codex};
use gateway_protocol::turn::ToolNames;

use super::call::{self, Call};
use super::decode::{Decoded, invalid};
use super::outgoing::{Outgoing, Reading, refused_by_codex};
use crate::ports::{Destination, Endpoint};

/// How a call's answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallReading {
    /// It goes through as it is.
    Passed,
    /// Its transcript goes on as bare text.
    Transcript,
    /// Events of a turn that ends with a compaction.
    Compaction,
    /// Events of a turn that makes an image.
    Image(ImageAction),
}

/// Puts a call into the account's words.
pub(super) fn outgoing(decoded: &Decoded, call: Call, to: &Destination) -> Result<Outgoing, Failure> {
    let content_type = call::content_type(&decoded.headers);
    let notes = vec![call.note()];
    let is_codex = to.kind == AccountKind::Codex;
    let passed = |endpoint, body, reading, notes| Outgoing {
        endpoint,
        body,
        dialect: Dialect::OpenAiResponses,
        reading: Reading::Call(reading),
        names: ToolNames::default(),
        notes,
    };
    if is_codex && matches!(call, Call::Compact | Call::CodexCompact) {
        let CodexBody { body, edits } =
            compact_for_codex(&decoded.body).map_err(|error| refused_by_codex(&error))?;
        return Ok(passed(Endpoint::Responses, body, CallReading::Compaction, [notes, edits].concat()));
    }
    if let Some(action) = call.image_action().filter(|_| is_codex) {
        let read = if call::is_form(content_type) {
            ImageCall::read_form(action, content_type, &decoded.body)
        } else {
            ImageCall::read_json(action, &decoded.body)
        };
        let turn = read.map_err(|error| unable(&error))?.turn();
        let notes = [notes, vec!["image as a turn with a tool".into()]].concat();
        return Ok(passed(Endpoint::Responses, turn.into(), CallReading::Image(action), notes));
    }
    if is_codex && call == Call::Transcriptions {
        let sent = transcription_for_codex(content_type, &decoded.body);
        let (form, shape) = sent.map_err(|error| unable(&error))?;
        let reading = match shape {
            TranscriptShape::Json => CallReading::Passed,
            TranscriptShape::Text => CallReading::Transcript,
        };
        return Ok(passed(Endpoint::Transcriptions, Bytes::from(form), reading, notes));
    }
    if call == Call::CountTokens {
        return counting(decoded, to, notes);
    }
    let endpoint = match call {
        // The edge in front of the backend's transcription takes few headers; its endpoint knows which.
        Call::Transcribe if is_codex => Endpoint::Transcriptions,
        _ => call.endpoint(),
    };
    Ok(passed(endpoint, decoded.body.clone(), CallReading::Passed, notes))
}

/// The same question to an upstream that speaks Messages, without the thinking that it would refuse.
fn counting(decoded: &Decoded, to: &Destination, notes: Vec<Cow<'static, str>>) -> Result<Outgoing, Failure> {
    let speaks =
        to.kind != AccountKind::OpenAiCompatible || to.dialects.contains(&Dialect::AnthropicMessages);
    if !speaks {
        let why = "the account's upstream does not speak anthropic-messages";
        return Err(Failure::client(FailureKind::InvalidRequest, why).retry(Retry::OtherAccount));
    }
    Ok(Outgoing {
        endpoint: Endpoint::CountTokens,
        body: without_foreign_thinking(&decoded.body).map_or_else(|| decoded.body.clone(), Bytes::from),
        dialect: Dialect::AnthropicMessages,
        reading: Reading::Call(CallReading::Passed),
        names: ToolNames::default(),
        notes,
    })
}

/// Another kind of account may be able to.
fn unable(error: &RequestError) -> Failure {
    invalid(error).retry(Retry::OtherAccount)
}
