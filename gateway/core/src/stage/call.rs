//! Calls that are no turns: what each takes, which kinds of account can serve it, and how its failures count.
//!
//! Refuses: any call that is not named here. In particular the backend's routes that open an account owner's connected
//! apps, spend what the owner bought, or lead traffic past the gateway are not passed on to holders of a client key.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{AccountKind, Failure, FailureKind, ModelName, Retry};
use gateway_protocol::calls::{CallFacts, Needed, read_form_call, read_json_call};
use gateway_protocol::images::ImageAction;
use gateway_protocol::responses::RequestError;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::decode::{Asked, Decoded};
use crate::ports::Endpoint;

/// A route that carries one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `POST /v1/responses/compact`.
    Compact,
    /// `POST /backend-api/codex/responses/compact`.
    CodexCompact,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/audio/transcriptions`.
    Transcriptions,
    /// `POST /backend-api/transcribe`.
    Transcribe,
    /// `POST /v1/images/generations`.
    ImageGenerations,
    /// `POST /v1/images/edits`.
    ImageEdits,
    /// `POST /backend-api/codex/images/generations`.
    CodexImageGenerations,
    /// `POST /backend-api/codex/images/edits`.
    CodexImageEdits,
    /// `POST /backend-api/files`: its id is known to one account only.
    CreateFile,
    /// `POST /backend-api/files/{id}/uploaded`.
    FileUploaded,
    /// `POST /v1/messages/count_tokens`, where an account can tell (see `counting`).
    CountTokens,
    /// A control route of the ChatGPT backend (see [`CONTROL_ROUTES`]).
    Control,
}

/// The control routes of the ChatGPT backend that are passed on, below `/backend-api/`: method and path
/// (facts: codex-lb 1.1, clients 2.5).
pub const CONTROL_ROUTES: &[(&str, &str)] = &[
    ("GET", "codex/thread/goal/get"),
    ("POST", "codex/thread/goal/get"),
    ("POST", "codex/thread/goal/set"),
    ("POST", "codex/thread/goal/clear"),
    ("POST", "codex/analytics-events/events"),
    ("POST", "codex/memories/trace_summarize"),
    ("POST", "codex/safety/arc"),
    ("POST", "codex/alpha/search"),
    ("GET", "codex/agent-identities/jwks"),
    ("GET", "wham/agent-identities/jwks"),
    ("GET", "wham/settings/user"),
    ("GET", "ps/plugins/installed"),
    ("GET", "ps/plugins/suggested/codex"),
];

const MIB: usize = 1024 * 1024;

/// Where the text of a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallText {
    /// It is a conversation as Responses write it.
    Conversation,
    /// In this member, or in the field of this name when the body is a form.
    Member(&'static str),
}

/// How a call's body is written.
enum Form {
    Json,
    Multipart,
    /// Both are taken; the content type tells.
    Either,
    /// Nobody reads it here.
    Opaque,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Compact,
        Self::CodexCompact,
        Self::Embeddings,
        Self::Transcriptions,
        Self::Transcribe,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::CodexImageGenerations,
        Self::CodexImageEdits,
        Self::CreateFile,
        Self::FileUploaded,
        Self::Control,
    ];

    /// Bounded label for metrics, logs and decisions.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Compact => "/v1/responses/compact",
            Self::CodexCompact => "/backend-api/codex/responses/compact",
            Self::Embeddings => "/v1/embeddings",
            Self::Transcriptions => "/v1/audio/transcriptions",
            Self::Transcribe => "/backend-api/transcribe",
            Self::ImageGenerations => "/v1/images/generations",
            Self::ImageEdits => "/v1/images/edits",
            Self::CodexImageGenerations => "/backend-api/codex/images/generations",
            Self::CodexImageEdits => "/backend-api/codex/images/edits",
            Self::CreateFile => "/backend-api/files",
            Self::FileUploaded => "/backend-api/files/{id}/uploaded",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Control => "/backend-api/control",
        }
    }

    /// The largest body, after decompression. Sound and images follow the providers' own limits.
    #[must_use]
    pub const fn max_body_bytes(self) -> usize {
        match self {
            Self::Compact
            | Self::CodexCompact
            | Self::ImageEdits
            | Self::CodexImageEdits
            | Self::CountTokens => 64 * MIB,
            Self::Transcriptions | Self::Transcribe => 26 * MIB,
            Self::Embeddings => 16 * MIB,
            Self::ImageGenerations | Self::CodexImageGenerations | Self::Control => 8 * MIB,
            Self::CreateFile | Self::FileUploaded => MIB,
        }
    }

    /// The kinds of account that can serve it; nobody else is a candidate.
    #[must_use]
    pub const fn kinds(self) -> &'static [AccountKind] {
        use AccountKind::{Anthropic, Codex, Gateway, OpenAi, OpenAiCompatible};
        match self {
            // Those that speak Messages; of the compatible ones not all do.
            Self::CountTokens => &[Anthropic, OpenAiCompatible, Gateway],
            Self::Embeddings => &[OpenAi, OpenAiCompatible, Gateway],
            // These are the backend's own: only it, or a gateway in front of it, has them.
            Self::Transcribe | Self::CreateFile | Self::FileUploaded | Self::Control => &[Codex, Gateway],
            _ => &[Codex, OpenAi, OpenAiCompatible, Gateway],
        }
    }

    /// Where it goes at an upstream that offers it under its own name; the others are asked by their path.
    pub(super) const fn endpoint(self) -> Endpoint {
        match self {
            Self::Compact | Self::CodexCompact => Endpoint::Compact,
            Self::Embeddings => Endpoint::Embeddings,
            Self::Transcriptions => Endpoint::Transcriptions,
            Self::ImageGenerations | Self::CodexImageGenerations => Endpoint::ImageGenerations,
            Self::ImageEdits | Self::CodexImageEdits => Endpoint::ImageEdits,
            Self::CountTokens => Endpoint::CountTokens,
            Self::Transcribe | Self::CreateFile | Self::FileUploaded | Self::Control => Endpoint::Backend,
        }
    }

    /// What is done, for the public image routes: ChatGPT accounts do it with a tool.
    pub(super) const fn image_action(self) -> Option<ImageAction> {
        match self {
            Self::ImageGenerations => Some(ImageAction::Generate),
            Self::ImageEdits => Some(ImageAction::Edit),
            _ => None,
        }
    }

    /// Whether it asks for a model at all: what an account's operator allowed is about models.
    pub(super) const fn asks_for_a_model(self) -> bool {
        !matches!(self, Self::CreateFile | Self::FileUploaded | Self::Control)
    }

    /// Whether doing it twice leaves nothing behind that doing it once would not.
    pub(super) const fn may_be_repeated(self) -> bool {
        self.asks_for_a_model()
    }

    /// Whether what an upstream answers says anything about the turns of the account. Counting has limits of its own
    /// there.
    const fn is_like_a_turn(self) -> bool {
        self.asks_for_a_model() && !matches!(self, Self::CountTokens)
    }

    const fn form(self) -> Form {
        match self {
            Self::Transcriptions | Self::Transcribe => Form::Multipart,
            Self::ImageEdits | Self::CodexImageEdits => Form::Either,
            Self::CreateFile | Self::FileUploaded | Self::Control => Form::Opaque,
            _ => Form::Json,
        }
    }

    /// Where its text stands that filters may see; `None` when it has none.
    pub(super) const fn text(self) -> Option<CallText> {
        match self {
            Self::Compact | Self::CodexCompact => Some(CallText::Conversation),
            Self::Embeddings => Some(CallText::Member("input")),
            Self::Transcriptions
            | Self::Transcribe
            | Self::ImageGenerations
            | Self::CodexImageGenerations
            | Self::ImageEdits
            | Self::CodexImageEdits => Some(CallText::Member("prompt")),
            Self::CreateFile | Self::FileUploaded | Self::Control => None,
            // Where filters read requests nobody upstream is asked (see `counting`).
            Self::CountTokens => None,
        }
    }

    /// The members without which every upstream would refuse it.
    const fn needed(self) -> &'static [Needed] {
        match self {
            Self::Compact | Self::CodexCompact => &[Needed::Text("model"), Needed::TextOrList("input")],
            Self::Embeddings => &[Needed::Text("model"), Needed::TextOrList("input")],
            Self::CountTokens => &[Needed::Text("model"), Needed::TextOrList("messages")],
            Self::Transcriptions => &[Needed::Text("model"), Needed::File(&["file"])],
            Self::Transcribe => &[Needed::File(&["file"])],
            Self::ImageGenerations | Self::CodexImageGenerations => &[Needed::Text("prompt")],
            Self::ImageEdits | Self::CodexImageEdits => {
                &[Needed::Text("prompt"), Needed::File(&["image", "image[]", "images"])]
            }
            Self::CreateFile | Self::FileUploaded | Self::Control => &[],
        }
    }

    /// What a call is filed under that names no model.
    const fn default_model(self) -> &'static str {
        match self {
            Self::ImageGenerations | Self::ImageEdits => "gpt-image-2",
            Self::CodexImageGenerations | Self::CodexImageEdits => "gpt-image-2",
            Self::Transcriptions | Self::Transcribe => "gpt-4o-transcribe",
            Self::CreateFile | Self::FileUploaded => "files",
            _ => "control",
        }
    }

    /// Why only some kinds of account are candidates, for the decision record.
    pub(super) fn note(self) -> Cow<'static, str> {
        Cow::Owned(format!("only accounts of kind {} offer {}", self.kinds_in_words(), self.label()))
    }

    fn kinds_in_words(self) -> String {
        let kinds: Vec<&str> = self.kinds().iter().map(|kind| kind.as_str()).collect();
        match kinds.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

/// Whether a body is a form.
pub(super) fn is_form(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"))
}

/// The content type that a client told.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Reads what routing needs: the model, and whether events are wanted.
pub(super) fn read(
    call: Call,
    content_type: Option<&str>,
    body: &Bytes,
) -> Result<(ModelName, bool), RequestError> {
    let needed = call.needed();
    let facts = match call.form() {
        Form::Json => read_json_call(body, needed)?,
        Form::Multipart => read_form_call(content_type, body, needed)?,
        Form::Either if is_form(content_type) => read_form_call(content_type, body, needed)?,
        Form::Either => read_json_call(body, needed)?,
        Form::Opaque => CallFacts::default(),
    };
    let model = match facts.model {
        Some(model) => model,
        None => ModelName::parse(call.default_model()).map_err(|_| RequestError::Missing("model"))?,
    };
    Ok((model, facts.stream && call != Call::CountTokens))
}

/// The call that a request is, if it is one.
pub(super) const fn of(decoded: &Decoded) -> Option<Call> {
    match &decoded.asked {
        Asked::Call { call, .. } => Some(*call),
        Asked::Responses { .. } | Asked::Turn { .. } => None,
    }
}

/// Nobody serves a call: said in words that its caller can act on.
pub(super) fn explained(decoded: &Decoded, failure: Failure) -> Failure {
    let Some(call) = of(decoded).filter(|_| failure.kind == FailureKind::ModelNotSupported) else {
        return failure;
    };
    let message =
        format!("no account may serve this: {}; add one, or see what the accounts are allowed", call.note());
    Failure { message, ..failure }
}

/// What an upstream's refusal of a call means. An endpoint that is missing is no fault of the request, and what a
/// control route answers says nothing about an account's turns.
pub(super) fn judged(decoded: &Decoded, failure: Failure) -> Failure {
    let Some(call) = of(decoded) else { return failure };
    let answer = failure.answer.as_ref();
    let status = answer.map_or(0, |answer| answer.status);
    if !call.is_like_a_turn() {
        return match failure.kind {
            FailureKind::AccountUnauthorized if status == 401 => failure,
            _ => Failure { kind: FailureKind::Refused, ..failure }.retry(Retry::Never),
        };
    }
    let is_about_model = answer.and_then(|answer| answer.code.as_deref()) == Some("model_not_found");
    if matches!(status, 404 | 405 | 501) && !is_about_model {
        let message = format!("the account's upstream has no endpoint for {}", call.label());
        return Failure::upstream(FailureKind::UnknownRoute, message).retry(Retry::OtherAccount);
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_in_their_own_form() {
        let json = Bytes::from_static(br#"{"model":"m","input":"x","prompt":"p","image":"data:"}"#);
        let form = Bytes::from_static(
            b"--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\np\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"i\"\r\n\r\nI\r\n--b--",
        );
        let kind = Some("multipart/form-data; boundary=b");
        assert_eq!(read(Call::Embeddings, None, &json).unwrap().0.as_str(), "m");
        assert_eq!(read(Call::ImageEdits, kind, &form).unwrap().0.as_str(), "gpt-image-2");
        assert_eq!(read(Call::ImageEdits, Some("application/json"), &json).unwrap().0.as_str(), "m");
        assert!(read(Call::Transcriptions, Some("application/json"), &json).is_err());
        assert_eq!(read(Call::Control, None, &Bytes::new()).unwrap().0.as_str(), "control");
    }

    #[test]
    fn every_call_says_who_offers_it() {
        assert_eq!(
            Call::Embeddings.note(),
            "only accounts of kind openai, openai-compatible or gateway offer /v1/embeddings"
        );
        assert!(Call::Control.note().contains("codex or gateway"));
    }
}
