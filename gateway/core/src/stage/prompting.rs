//! Request filters on one prompt: shown as each wants to see it, changed as each answers, refused in the end or not.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use gateway_domain::{Dialect, Failure, FailureKind};
use gateway_protocol::texts::{PromptTexts, Speaker, TextEdit};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::acting;
use super::decode::{Decoded, INLINE_DECODE_BYTES};
use crate::decisions::{Act, Decision};
use crate::extensions::Attached;
use crate::hooks::{
    BodyView, Edit, FilterOutcome, FilterVerdict, HookError, Mode, PromptBody, PromptFilter, RequestContext,
    Role, TextPart, check_outcome,
};

/// A prompt on its way through the filters.
pub(crate) struct Prompt {
    dialect: Dialect,
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
            BodyView::TextParts => PromptTexts::read(self.dialect, &body),
            BodyView::None | BodyView::RawJson => None,
        };
        let parts = texts.as_ref().map(parts).unwrap_or_default();
        let shown = match (view, &texts) {
            (BodyView::RawJson, _) => PromptBody::RawJson(&body),
            (BodyView::TextParts, Some(texts)) => {
                PromptBody::Parts { parts: &parts, messages: texts.messages() }
            }
            _ => PromptBody::Absent,
        };
        let outcome = check_outcome(shown, filter.filter_request(context, shown)?)?;
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

    fn edit(
        &mut self,
        texts: Option<PromptTexts<'_>>,
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
            None => PromptTexts::read(self.dialect, body).ok_or_else(broken)?,
        };
        self.body = texts.edited(&text_edits).ok_or_else(broken)?.into();
        self.is_changed = true;
        Ok(())
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
