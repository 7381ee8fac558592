//! An answer that came whole: its texts as if they had been streamed, and the same answer with what was told instead.

use super::ending::EndReason;
use super::retell::Retell;
use super::shown::{Shown, What};
use super::splice::{Splice, elements, members, place, quoted, spliced, text_member, unquoted};
use super::totals::{answer_literals, answer_usage, model_of, response_stop};
use super::{Place, TextKind};
use crate::turn::Dialect;

/// One whole answer.
#[derive(Debug)]
pub struct AnswerTexts<'a> {
    dialect: Dialect,
    answer: &'a str,
    literals: Vec<(Place, &'a str)>,
}

impl<'a> AnswerTexts<'a> {
    /// Reads an answer; `None` when it is no JSON object.
    #[must_use]
    pub fn read(dialect: Dialect, answer: &'a [u8]) -> Option<Self> {
        let answer = std::str::from_utf8(answer).ok()?.trim();
        answer.starts_with('{').then(|| Self { dialect, answer, literals: answer_literals(dialect, answer) })
    }

    /// What it says, one text after the other.
    pub fn shown(&self, retell: &mut Retell) -> Vec<Shown> {
        let mut shown = vec![Retell::whole_start()];
        for (at, literal) in &self.literals {
            // The input of a tool is JSON itself where it is no text.
            let text = match unquoted(literal) {
                Some(text) => text.into_owned(),
                None => (*literal).to_owned(),
            };
            if !text.is_empty() {
                shown.push(retell.whole(*at, None, text));
            }
        }
        shown.extend(Retell::whole_end(answer_usage(self.dialect, self.answer), self.reason()));
        shown
    }

    fn reason(&self) -> String {
        let fields = members(self.answer);
        match self.dialect {
            Dialect::OpenAiResponses => {
                let status = text_member(&fields, "status").unwrap_or_default();
                response_stop(&format!("response.{status}"), &fields)
            }
            Dialect::AnthropicMessages => text_member(&fields, "stop_reason").unwrap_or_default(),
            Dialect::OpenAiChat => {
                let choices = fields.get("choices").map(elements).unwrap_or_default();
                let first = choices.first().map(|choice| members(choice)).unwrap_or_default();
                text_member(&first, "finish_reason").unwrap_or_default()
            }
        }
    }

    /// The answer as it was told; `None` when that is as it came.
    #[must_use]
    pub fn retold(&self, retell: &Retell) -> Option<Vec<u8>> {
        let mut splices: Vec<_> = self
            .literals
            .iter()
            .filter_map(|(at, literal)| {
                let told = retell.changed(*at)?;
                let is_json = at.kind == TextKind::Arguments && !literal.starts_with('"');
                let told = if is_json {
                    serde_json::from_str::<serde_json::Value>(told).is_ok().then(|| told.to_owned())?
                } else {
                    quoted(told)
                };
                Some((place(self.answer, literal)?, told))
            })
            .collect();
        if let (Some(model), Some(literal)) = (retell.model(), model_of(self.dialect, self.answer))
            && quoted(model) != literal
            && let Some(at) = place(self.answer, literal)
        {
            splices.push((at, quoted(model)));
        }
        splices.extend(retell.ended.into_iter().flat_map(|reason| self.ended(reason)));
        (!splices.is_empty()).then(|| spliced(self.answer, splices).into_bytes())
    }
}

impl AnswerTexts<'_> {
    /// What says that the answer ended for this reason.
    fn ended(&self, reason: EndReason) -> Vec<Splice> {
        let fields = members(self.answer);
        let put = |literal: Option<&str>, text: String| Some((place(self.answer, literal?)?, text));
        match self.dialect {
            Dialect::OpenAiChat => {
                let choices = fields.get("choices").map(elements).unwrap_or_default();
                let told =
                    |choice: &&str| put(members(choice).get("finish_reason"), quoted(reason.in_chat()));
                choices.iter().filter_map(told).collect()
            }
            Dialect::AnthropicMessages => {
                put(fields.get("stop_reason"), quoted(reason.in_messages())).into_iter().collect()
            }
            Dialect::OpenAiResponses => {
                let Some(why) = reason.in_responses() else { return Vec::new() };
                let details = serde_json::json!({ "reason": why }).to_string();
                let known = fields.get("incomplete_details");
                let status = match known {
                    Some(_) => quoted("incomplete"),
                    None => format!(r#""incomplete","incomplete_details":{details}"#),
                };
                [put(fields.get("status"), status), put(known, details)].into_iter().flatten().collect()
            }
        }
    }
}

impl Shown {
    /// Whether it is a piece of a text.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self.what, What::Delta { .. })
    }
}
