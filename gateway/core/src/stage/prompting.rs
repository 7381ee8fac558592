//! Request filters on one prompt: shown as each wants to see it, changed as each answers, refused in the end or not.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use gateway_domain::{Dialect, Failure, FailureKind};
use gateway_protocol::calls::Form;
use gateway_protocol::texts::{PromptTexts, Speaker, TextEdit};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::call::{self, CallText};
use super::decode::{Decoded, INLINE_DECODE_BYTES};
use super::{Route, acting};
use crate::decisions::{Act, Decision};
use crate::extensions::Attached;
use crate::hooks::{
    BodyView, Edit, FilterOutcome, FilterVerdict, HookError, Mode, PromptBody, PromptFilter, RequestContext,
    Role, TextPart, check_outcome,
};

/// A prompt on its way through the filters.
pub(crate) struct Prompt {
    dialect: Dialect,
    /// What stands where, when it is a call that is no turn.
    call: Option<CallText>,
    /// How the body is written, where that is told.
    content_type: Option<String>,
    body: Bytes,
    headers: Option<HeaderMap>,
    is_changed: bool,
}

/// What one filter made of it.
pub(crate) enum Judged {
    /// It goes on; this is for the filter's other half.
    GoesOn(Vec<u8>),
    /// The filter answers itself.
    Answered(String),
}

impl Prompt {
    pub(crate) fn new(decoded: &Decoded) -> Self {
        Self {
            dialect: decoded.route.dialect(),
            call: match decoded.route {
                Route::Call(call) => call.text(),
                _ => None,
            },
            content_type: call::content_type(&decoded.headers).map(str::to_owned),
            body: decoded.body.clone(),
            headers: None,
            is_changed: false,
        }
    }

    pub(crate) const fn is_changed(&self) -> bool {
        self.is_changed || self.headers.is_some()
    }

    /// Asks one filter and carries its answer out.
    ///
    /// # Errors
    /// It refuses, or failed where that closes the way.
    pub(crate) fn judge(
        &mut self,
        attached: &Attached,
        context: &Arc<RequestContext>,
        decision: &Decision,
    ) -> Result<Judged, Failure> {
        let Some(filter) = attached.extension.prompt.clone() else { return Ok(Judged::GoesOn(Vec::new())) };
        let may_block = attached.extension.may_block || self.body.len() > INLINE_DECODE_BYTES;
        let answer = acting::run(may_block, || self.ask(&*filter, attached.at.mode, context, decision));
        let FilterOutcome { verdict, carry, hits } = match answer {
            Ok(outcome) => outcome,
            Err(error) => {
                return acting::failed(decision, attached, &error)
                    .map_or(Ok(Judged::GoesOn(Vec::new())), Err);
            }
        };
        let monitored = attached.at.mode == Mode::Monitor;
        let act = match &verdict {
            _ if monitored => Act::Passed,
            FilterVerdict::Pass => Act::Passed,
            FilterVerdict::Edits(edits) if edits.is_empty() => Act::Passed,
            FilterVerdict::Edits(_) | FilterVerdict::ReplaceRaw(_) => Act::Changed,
            FilterVerdict::Answer(_) => Act::Answered,
            FilterVerdict::Refuse(_) => Act::Refused,
        };
        if act != Act::Passed || !hits.is_empty() || (monitored && verdict != FilterVerdict::Pass) {
            acting::note(decision, attached, act, &hits);
        }
        match verdict {
            // Its other half would put back what was never taken out.
            _ if monitored => Ok(Judged::GoesOn(Vec::new())),
            FilterVerdict::Refuse(rejection) => Err(acting::refused(&rejection)),
            FilterVerdict::Answer(text) => Ok(Judged::Answered(text)),
            _ => Ok(Judged::GoesOn(carry)),
        }
    }

    /// One question; what it wants changed is changed.
    fn ask(
        &mut self,
        filter: &dyn PromptFilter,
        mode: Mode,
        context: &Arc<RequestContext>,
        decision: &Decision,
    ) -> Result<FilterOutcome, HookError> {
        let body = self.body.clone();
        let view = filter.view();
        let texts = match view {
            BodyView::TextParts => self.texts(&body),
            BodyView::None | BodyView::RawJson => None,
        };
        let parts = texts.as_ref().map(Texts::parts).unwrap_or_default();
        let shown = match (view, &texts) {
            (BodyView::RawJson, _) if !self.is_form() => PromptBody::RawJson(&body),
            (BodyView::TextParts, Some(texts)) => {
                PromptBody::Parts { parts: &parts, messages: texts.messages() }
            }
            _ => PromptBody::Absent,
        };
        let outcome = check_outcome(shown, filter.filter_request(context, shown)?)?;
        if self.call.is_some() && matches!(outcome.verdict, FilterVerdict::Answer(_)) {
            let why = "a text of its own is no answer to a call that is no turn; let it refuse instead";
            return Err(HookError::InvalidOutput(why.to_owned()));
        }
        if mode == Mode::Enforce {
            match &outcome.verdict {
                FilterVerdict::Edits(edits) => self.edit(texts, &body, edits, decision)?,
                FilterVerdict::ReplaceRaw(bytes) => {
                    self.body = Bytes::copy_from_slice(bytes);
                    self.is_changed = true;
                }
                FilterVerdict::Pass | FilterVerdict::Answer(_) | FilterVerdict::Refuse(_) => {}
            }
        }
        Ok(outcome)
    }

    /// The texts of a body, wherever they stand.
    fn texts<'b>(&self, body: &'b Bytes) -> Option<Texts<'b>> {
        match self.call {
            None | Some(CallText::Conversation) => PromptTexts::read(self.dialect, body).map(Texts::Json),
            Some(CallText::Member(name)) if self.is_form() => {
                let form = Form::read(self.content_type.as_deref(), body).ok()?;
                let text = form.text(name).ok()?.unwrap_or_default().to_owned();
                Some(Texts::Field { name, text })
            }
            Some(CallText::Member(name)) => PromptTexts::read_member(name, body).map(Texts::Json),
        }
    }

    fn is_form(&self) -> bool {
        self.call.is_some() && call::is_form(self.content_type.as_deref())
    }

    fn edit(
        &mut self,
        texts: Option<Texts<'_>>,
        body: &Bytes,
        edits: &[Edit],
        decision: &Decision,
    ) -> Result<(), HookError> {
        let mut text_edits = Vec::new();
        for edit in edits {
            match edit {
                Edit::SetHeader { name, value } => {
                    let name = HeaderName::try_from(name.as_str());
                    let value = HeaderValue::try_from(value.as_str());
                    if let (Ok(name), Ok(value)) = (name, value) {
                        self.headers.get_or_insert_default().insert(name, value);
                    }
                }
                Edit::SetTag { name, value } => decision.update(|state| state.tag(name, value)),
                Edit::ReplaceText { part, text } => {
                    text_edits.push(TextEdit::Replace { segment: *part as usize, text });
                }
                Edit::RemoveMessage(message) => text_edits.push(TextEdit::Remove(*message)),
                // They are about a conversation, and a call that is no turn is none.
                Edit::Insert(_) if matches!(self.call, Some(CallText::Member(_))) => {}
                Edit::SetField { .. } if self.call.is_some() => {}
                Edit::Insert(one) => text_edits.push(TextEdit::Insert {
                    before: one.before_message,
                    speaker: speaker(one.role),
                    text: &one.text,
                }),
                Edit::SetField { name, value_json } => {
                    text_edits.push(TextEdit::Field { name, value: value_json.as_deref() });
                }
            }
        }
        if text_edits.is_empty() {
            return Ok(());
        }
        let broken = || HookError::InvalidOutput("its edits leave no body that can be read".to_owned());
        let texts = match texts {
            Some(texts) => texts,
            None => self.texts(body).ok_or_else(broken)?,
        };
        let edited = match &texts {
            Texts::Json(_) if self.takes_messages_out(&text_edits) => {
                let why =
                    "a call that is no turn has no message to take out; let it refuse, or change the text";
                return Err(HookError::InvalidOutput(why.to_owned()));
            }
            Texts::Json(texts) => texts.edited(&text_edits),
            Texts::Field { name, .. } => {
                self.edited_field(body, name, &text_edits).ok_or_else(broken).map(Some)?
            }
        };
        self.body = edited.ok_or_else(broken)?.into();
        self.is_changed = true;
        Ok(())
    }

    /// Whether it wants a message out where there are none.
    fn takes_messages_out(&self, edits: &[TextEdit<'_>]) -> bool {
        let is_no_conversation = matches!(self.call, Some(CallText::Member(_)));
        is_no_conversation && edits.iter().any(|edit| matches!(edit, TextEdit::Remove(_)))
    }

    /// A form with another text in its field; the last one counts.
    fn edited_field(&self, body: &Bytes, name: &'static str, edits: &[TextEdit<'_>]) -> Option<Vec<u8>> {
        let form = Form::read(self.content_type.as_deref(), body).ok()?;
        match edits.last()? {
            TextEdit::Replace { segment: 0, text } => form.with_text(name, text),
            _ => None,
        }
    }

    /// The request with what filters made of its body and headers.
    ///
    /// # Errors
    /// What they made of it cannot be read.
    pub(crate) async fn into_request(self, mut decoded: Decoded) -> Result<Decoded, Failure> {
        if let Some(headers) = self.headers {
            // Tries share them; these are another request's.
            Arc::make_mut(&mut decoded.headers).extend(headers);
        }
        if !self.is_changed {
            return Ok(decoded);
        }
        let reread = decoded.reread(self.body).await;
        reread.map_err(|failure| {
            // The client's own body was fine.
            let message = format!("a filter left a body that cannot be sent: {}", failure.message);
            Failure::extension(FailureKind::ExtensionRefused, message)
        })
    }
}

/// The texts of one body.
enum Texts<'b> {
    /// JSON.
    Json(PromptTexts<'b>),
    /// One field of a form.
    Field {
        /// Its name.
        name: &'static str,
        /// Its text; empty when it is not there.
        text: String,
    },
}

impl Texts<'_> {
    fn messages(&self) -> u32 {
        match self {
            Self::Json(texts) => texts.messages(),
            Self::Field { text, .. } => u32::from(!text.is_empty()),
        }
    }

    fn parts(&self) -> Vec<TextPart<'_>> {
        match self {
            Self::Json(texts) => parts(texts),
            Self::Field { text, .. } if text.is_empty() => Vec::new(),
            Self::Field { text, .. } => {
                vec![TextPart { part: 0, message: 0, role: Role::User, text: Cow::Borrowed(text) }]
            }
        }
    }
}

fn parts<'a>(texts: &'a PromptTexts<'_>) -> Vec<TextPart<'a>> {
    let segments = (0_u32..).zip(texts.segments());
    let part = |(part, segment): (u32, &'a gateway_protocol::texts::Segment<'_>)| TextPart {
        part,
        message: segment.message,
        role: role(segment.speaker),
        text: Cow::Borrowed(&*segment.text),
    };
    segments.map(part).collect()
}

const fn role(speaker: Speaker) -> Role {
    match speaker {
        Speaker::System => Role::System,
        Speaker::Developer => Role::Developer,
        Speaker::User => Role::User,
        Speaker::Assistant => Role::Assistant,
        Speaker::Tool => Role::Tool,
    }
}

const fn speaker(role: Role) -> Speaker {
    match role {
        Role::System => Speaker::System,
        Role::Developer => Speaker::Developer,
        Role::User => Speaker::User,
        Role::Assistant => Speaker::Assistant,
        Role::Tool => Speaker::Tool,
    }
}
