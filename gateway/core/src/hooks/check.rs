//! An extension proposes, the host disposes: what a mapping or a filter answered is checked before it is carried out.
//! What is too long or does not exist is a failure of the extension, never cut in silence.

use std::collections::HashSet;

use gateway_scheduler::Rejection;
use serde_json::value::RawValue;

use super::{
    Batch, Edit, Emission, FilterOutcome, FilterVerdict, Hit, HookError, Mapping, PromptBody, Resolution,
    Step, Target,
};

/// The largest `carry`, in bytes.
pub const MAX_CARRY_BYTES: usize = 16 * 1024;
/// The most edits of one prompt.
pub const MAX_EDITS: usize = 4_096;
/// All texts of one answer together, in bytes.
pub const MAX_EDIT_BYTES: usize = 8 * 1024 * 1024;
/// The most hits of one answer.
pub const MAX_HITS: usize = 256;
/// The most targets of one mapping.
pub const MAX_TARGETS: usize = 16;
/// The longest name of anything: a rule, a tag, a header, a member, a model.
const MAX_NAME_BYTES: usize = 256;
const MAX_RULE_BYTES: usize = 64;
const MAX_HEADER_VALUE_BYTES: usize = 4 * 1024;

/// Members whose meaning the gateway relies on.
const FIELDS_OF_THE_GATEWAY: [&str; 2] = ["model", "stream"];

/// Headers of the connection, of credentials and of the body.
const HEADERS_OF_THE_GATEWAY: [&str; 21] = [
    "accept-encoding",
    "authorization",
    "chatgpt-account-id",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "openai-organization",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-goog-api-key",
];

type Checked<T> = Result<T, HookError>;

fn invalid<T>(what: impl Into<String>) -> Checked<T> {
    Err(HookError::InvalidOutput(what.into()))
}

/// Checks a request filter's answer against the prompt it was shown.
///
/// # Errors
/// It names what is not there, may not be changed, or is too large.
pub fn check_outcome(body: PromptBody<'_>, outcome: FilterOutcome) -> Checked<FilterOutcome> {
    check_carry(&outcome.carry)?;
    check_hits(&outcome.hits)?;
    match &outcome.verdict {
        FilterVerdict::Pass => {}
        FilterVerdict::Edits(edits) => check_edits(body, edits)?,
        FilterVerdict::ReplaceRaw(bytes) => {
            if !matches!(body, PromptBody::RawJson(_)) {
                return invalid("it replaced a body that it was not shown");
            }
            if serde_json::from_slice::<&RawValue>(bytes).is_err() {
                return invalid("it replaced the body by something that is no JSON");
            }
        }
        FilterVerdict::Answer(text) => check_length("an answer", text.len(), MAX_EDIT_BYTES)?,
        FilterVerdict::Refuse(rejection) => check_rejection(rejection)?,
    }
    Ok(outcome)
}

/// Checks a response filter's answer to this many events.
///
/// # Errors
/// Steps are missing or too many, or something is too large.
pub fn check_batch(events: usize, batch: Batch) -> Checked<Batch> {
    check_carry(&batch.carry)?;
    check_hits(&batch.hits)?;
    let ends = |step: &Step| matches!(step, Step::Finish(_) | Step::Abort(_));
    let expected = batch.steps.iter().position(ends).map_or(events, |end| events.min(end + 1));
    if batch.steps.len() != expected {
        return invalid(format!("{} steps for {expected} events", batch.steps.len()));
    }
    let mut bytes = 0_usize;
    for step in &batch.steps {
        match step {
            Step::Replace(emissions) | Step::InsteadOfHeld(emissions) => {
                bytes += emissions.iter().map(text_bytes).sum::<usize>();
            }
            Step::ReplaceAndHold { send, hold } => {
                bytes += send.iter().map(text_bytes).sum::<usize>() + text_bytes(hold);
            }
            Step::Finish(reason) => check_name("a reason to finish", reason)?,
            Step::Abort(rejection) => check_rejection(rejection)?,
            Step::Pass | Step::Discard | Step::Hold => {}
        }
    }
    check_length("what it sends", bytes, MAX_EDIT_BYTES)?;
    Ok(batch)
}

/// Checks a mapping's answer.
///
/// # Errors
/// No target, too many of them, or a name that is none.
pub fn check_resolution(resolution: Resolution) -> Checked<Resolution> {
    if let Some(name) = &resolution.report_as {
        check_name("the reported model", name)?;
    }
    match &resolution.mapping {
        Mapping::Unchanged => {}
        Mapping::Targets(targets) if (1..=MAX_TARGETS).contains(&targets.len()) => {
            targets.iter().try_for_each(check_target)?;
        }
        Mapping::Targets(targets) => {
            return invalid(format!("{} targets; 1 to {MAX_TARGETS} fit", targets.len()));
        }
        Mapping::Refuse(rejection) => check_rejection(rejection)?,
    }
    Ok(resolution)
}

fn check_target(target: &Target) -> Checked<()> {
    check_name("a model", &target.model)?;
    for (what, word) in [
        ("a provider", &target.provider),
        ("a group", &target.group),
        ("a reasoning effort", &target.reasoning_effort),
    ] {
        if let Some(word) = word {
            check_name(what, word)?;
        }
    }
    Ok(())
}

fn check_edits(body: PromptBody<'_>, edits: &[Edit]) -> Checked<()> {
    check_length("the number of edits", edits.len(), MAX_EDITS)?;
    let (known, messages) = match body {
        PromptBody::Parts { parts, messages } => (parts.iter().map(|part| part.part).collect(), messages),
        PromptBody::Absent | PromptBody::RawJson(_) => (HashSet::new(), 0),
    };
    let mut bytes = 0_usize;
    for edit in edits {
        match edit {
            Edit::ReplaceText { part, text } => {
                bytes += text.len();
                if !known.contains(part) {
                    return invalid(format!("it replaced part {part}, which it was not shown"));
                }
            }
            Edit::RemoveMessage(at) if *at >= messages => {
                return invalid(format!("it removed message {at} of {messages}"));
            }
            Edit::RemoveMessage(_) => {}
            Edit::Insert(insertion) if insertion.before_message > messages => {
                return invalid(format!(
                    "it inserted before message {} of {messages}",
                    insertion.before_message
                ));
            }
            Edit::Insert(insertion) => bytes += insertion.text.len(),
            Edit::SetField { name, value_json } => {
                bytes += value_json.as_ref().map_or(0, String::len);
                check_field(name, value_json.as_deref())?;
            }
            Edit::SetHeader { name, value } => check_header(name, value)?,
            Edit::SetTag { name, value } => {
                check_name("a tag", name)?;
                check_length("a tag's value", value.len(), MAX_NAME_BYTES)?;
            }
        }
    }
    check_length("the new texts", bytes, MAX_EDIT_BYTES)
}

fn check_field(name: &str, value_json: Option<&str>) -> Checked<()> {
    check_name("a member", name)?;
    if FIELDS_OF_THE_GATEWAY.contains(&name) {
        return invalid(format!("it may not set `{name}`; a mapping chooses the model"));
    }
    match value_json {
        Some(json) if serde_json::from_str::<&RawValue>(json).is_err() => {
            invalid(format!("it set `{name}` to something that is no JSON"))
        }
        _ => Ok(()),
    }
}

fn check_header(name: &str, value: &str) -> Checked<()> {
    check_name("a header", name)?;
    let is_token = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !is_token {
        return invalid(format!("the header `{}` is not in lower case", name.escape_debug()));
    }
    if HEADERS_OF_THE_GATEWAY.contains(&name) {
        return invalid(format!("it may not set the header `{name}`"));
    }
    check_length("a header's value", value.len(), MAX_HEADER_VALUE_BYTES)?;
    if value.bytes().any(|b| b != b'\t' && (b < b' ' || b == 0x7f)) {
        return invalid(format!("the header `{name}` holds a control character"));
    }
    Ok(())
}

fn check_hits(hits: &[Hit]) -> Checked<()> {
    check_length("the number of hits", hits.len(), MAX_HITS)?;
    for hit in hits {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if hit.rule.is_empty() || hit.rule.len() > MAX_RULE_BYTES || !hit.rule.bytes().all(allowed) {
            // Not shown: what is no name of a rule may be text of a prompt.
            return invalid("a hit names a rule that is not made of a-z, 0-9, dot, dash and underscore");
        }
        if !(0.0..=1.0).contains(&hit.score) {
            return invalid(format!("the rule {} scores {}", hit.rule, hit.score));
        }
    }
    Ok(())
}

fn check_rejection(rejection: &Rejection) -> Checked<()> {
    if !(400..=599).contains(&rejection.http_status) {
        return invalid(format!("it refused with status {}", rejection.http_status));
    }
    check_name("the code of a refusal", &rejection.code)?;
    check_length("the message of a refusal", rejection.message.len(), 4 * MAX_NAME_BYTES)
}

fn check_carry(carry: &[u8]) -> Checked<()> {
    check_length("what it carries", carry.len(), MAX_CARRY_BYTES)
}

fn check_name(what: &str, name: &str) -> Checked<()> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return invalid(format!("{what} is empty or holds a control character"));
    }
    check_length(what, name.len(), MAX_NAME_BYTES)
}

fn check_length(what: &str, found: usize, most: usize) -> Checked<()> {
    if found <= most { Ok(()) } else { invalid(format!("{what} has {found}; {most} fit")) }
}

fn text_bytes(emission: &Emission) -> usize {
    match emission {
        Emission::Text { text, .. } | Emission::Reasoning { text, .. } => text.len(),
        Emission::ToolCall { name, arguments, .. } => arguments.len() + name.as_ref().map_or(0, String::len),
    }
}

#[cfg(test)]
mod tests;
