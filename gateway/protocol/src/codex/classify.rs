//! The one table of upstream errors: what a status and a body mean, and where the request may go next.
//!
//! Facts: codex-lb 1.8, codex2api 1.10. Codes come first; texts are matched only where the backend sends no code.

use std::time::{Duration, UNIX_EPOCH};

use gateway_domain::{Answer, Failure, FailureKind, QuotaSnapshot, Retry, Timestamp};
use serde_json::Value;

/// The longest wait taken from an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest message of the upstream that is passed on, in bytes.
const MAX_MESSAGE_BYTES: usize = 2_000;

/// The Anthropic API's type for a request with too many bytes.
const TOO_LARGE: &str = "request_too_large";

/// What an error body says, whatever its shape.
#[derive(Debug, Default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    resets_at: Option<Timestamp>,
    resets_in: Option<Duration>,
}

/// One class of trouble.
struct Class {
    kind: FailureKind,
    retry: Retry,
}

const fn class(kind: FailureKind, retry: Retry) -> Class {
    Class { kind, retry }
}

const fn elsewhere(kind: FailureKind) -> Class {
    class(kind, Retry::OtherAccount)
}

/// Classifies an answer that is not a success. `retry_after` is the header's text; `quota` what its other headers told.
#[must_use]
pub fn classify_answer(
    status: u16,
    body: &[u8],
    retry_after: Option<&str>,
    quota: &QuotaSnapshot,
    now: Timestamp,
) -> Failure {
    let said = read_body(body);
    let class = by_code(said.code.as_deref())
        .or_else(|| by_text(said.message.as_deref()))
        .unwrap_or_else(|| by_status(status, body, quota));
    let wait =
        retry_after.and_then(|text| wait_told(text, now)).or_else(|| hinted_wait(said.message.as_deref()));
    let window_reset = (class.kind == FailureKind::QuotaExhausted).then(|| exhausted_reset(quota)).flatten();
    build(class, &said, status, wait, said.resets_at.or(window_reset), now)
}

/// Classifies the error object of an event inside a stream.
#[must_use]
pub fn classify_error_object(error: &str, now: Timestamp) -> Failure {
    let said = serde_json::from_str::<Value>(error).map(|value| read_object(&value)).unwrap_or_default();
    let class = by_code(said.code.as_deref())
        .or_else(|| by_text(said.message.as_deref()))
        .or_else(|| by_family(said.code.as_deref()))
        .unwrap_or_else(|| elsewhere(FailureKind::UpstreamFault));
    let wait = hinted_wait(said.message.as_deref());
    // An event has no status; clients tell this one by it.
    let status = if said.code.as_deref() == Some(TOO_LARGE) { 413 } else { 200 };
    build(class, &said, status, wait, said.resets_at, now)
}

fn build(
    class: Class,
    said: &Said,
    status: u16,
    wait: Option<Duration>,
    resets_at: Option<Timestamp>,
    now: Timestamp,
) -> Failure {
    let resets_at = resets_at.or_else(|| said.resets_in.map(|span| now.plus(span)));
    let message = said.message.clone().unwrap_or_else(|| match said.code.as_deref() {
        Some(code) => format!("the upstream answered {status} ({code})"),
        None => format!("the upstream answered {status}"),
    });
    // Clients go by the wait: without it they would ask again long before the limit ends.
    let until_reset = || resets_at.map(|at| Duration::from_millis(now.millis_until(at)));
    Failure::upstream(class.kind, message)
        .retry(class.retry)
        .after(wait.or_else(until_reset))
        .resets_at(resets_at)
        .answered(Answer { status, code: said.code.clone(), param: said.param.clone() })
}

fn by_code(code: Option<&str>) -> Option<Class> {
    Some(match code? {
        "usage_limit_reached" | "insufficient_quota" | "usage_not_included" | "quota_exceeded" => {
            elsewhere(FailureKind::QuotaExhausted)
        }
        "rate_limit_exceeded" | "rate_limit_error" | "too_many_requests" => {
            elsewhere(FailureKind::RateLimited)
        }
        code if dead_token_code(code) => elsewhere(FailureKind::AccountUnauthorized),
        "token_expired" | "invalid_api_key" | "authentication_error" | "unauthorized" => {
            class(FailureKind::AccountUnauthorized, Retry::SameAccount)
        }
        // Another token of the same account would have the same rights: nothing is renewed.
        "deactivated_workspace"
        | "missing_scope"
        | "permission_error"
        | "unsupported_country_region_territory" => elsewhere(FailureKind::AccountUnauthorized),
        "server_is_overloaded" | "slow_down" | "overloaded_error" | "model_at_capacity" => {
            elsewhere(FailureKind::Overloaded)
        }
        "server_error" | "upstream_error" | "internal_error" => elsewhere(FailureKind::UpstreamFault),
        "timeout_error" => elsewhere(FailureKind::UpstreamTimeout),
        "context_length_exceeded"
        | "invalid_prompt"
        | "previous_response_not_found"
        | "unsupported_value"
        | "invalid_encrypted_content"
        | "content_policy_violation"
        | "string_above_max_length"
        | TOO_LARGE => class(FailureKind::Refused, Retry::Never),
        // The Anthropic API has no code of its own for a model that it does not know.
        "model_not_found" | "not_found_error" => elsewhere(FailureKind::ModelNotSupported),
        _ => return None,
    })
}

/// Events have no status: there, whose fault it is shows in what the code begins with. The caller's own faults must not
/// be tried elsewhere, nor count against an account.
fn by_family(code: Option<&str>) -> Option<Class> {
    let code = code?;
    let of_the_request = ["invalid_", "context_", "unsupported", "bad_request", "missing_"];
    let is_refused =
        code.ends_with("_above_max_length") || of_the_request.iter().any(|head| code.starts_with(head));
    is_refused.then(|| class(FailureKind::Refused, Retry::Never))
}

/// Codes after which only a new sign-in helps (facts: codex-lb 1.6).
#[must_use]
pub fn dead_token_code(code: &str) -> bool {
    matches!(
        code,
        "refresh_token_expired"
            | "refresh_token_reused"
            | "refresh_token_invalidated"
            | "invalid_refresh_token"
            | "invalid_grant"
            | "invalid_client"
            | "unauthorized_client"
            | "access_denied"
            | "token_invalidated"
            | "token_revoked"
            | "app_session_terminated"
            | "account_session_expired"
            | "account_auth_invalidated"
            | "account_deactivated"
            | "account_suspended"
            | "account_deleted"
    )
}

/// The backend sends these without a code.
fn by_text(message: Option<&str>) -> Option<Class> {
    // Typographic apostrophes occur in the backend's texts.
    let text = message?.to_lowercase().replace('\u{2019}', "'");
    let says = |part: &str| text.contains(part);
    if says("is not supported when using codex") || says("unknown provider for model") {
        Some(elsewhere(FailureKind::ModelNotSupported))
    } else if says("at capacity") {
        Some(elsewhere(FailureKind::Overloaded))
    } else if says("you've hit your usage limit")
        || says("purchase more credits")
        || says("codex/settings/usage")
        || says("credit balance is too low")
    {
        Some(elsewhere(FailureKind::QuotaExhausted))
    } else if says("account has been deactivated") || says("agent runtime has been deleted") {
        Some(elsewhere(FailureKind::AccountUnauthorized))
    } else {
        None
    }
}

fn by_status(status: u16, body: &[u8], quota: &QuotaSnapshot) -> Class {
    let is_html = body.trim_ascii_start().starts_with(b"<");
    match status {
        401 => class(FailureKind::AccountUnauthorized, Retry::SameAccount),
        // A page instead of JSON comes from the edge in front of the backend, not from the account.
        403 if is_html => elsewhere(FailureKind::UpstreamFault),
        402 | 403 => elsewhere(FailureKind::AccountUnauthorized),
        408 | 504 => elsewhere(FailureKind::UpstreamTimeout),
        // A 429 without a code is a burst limit, unless its headers show an exhausted window.
        429 if exhausted_reset(quota).is_some() => elsewhere(FailureKind::QuotaExhausted),
        429 => elsewhere(FailureKind::RateLimited),
        503 | 529 => elsewhere(FailureKind::Overloaded),
        // A child gateway found that it leads back to us: no fault of its account, and another one may not.
        508 => elsewhere(FailureKind::GatewayLoop),
        426 | 500.. => elsewhere(FailureKind::UpstreamFault),
        _ => class(FailureKind::Refused, Retry::Never),
    }
}

/// When the fullest exhausted window resets.
fn exhausted_reset(quota: &QuotaSnapshot) -> Option<Timestamp> {
    [quota.short, quota.long]
        .into_iter()
        .flatten()
        .filter(|window| window.used >= 1.0)
        .filter_map(|window| window.resets_at)
        .max()
}

fn read_body(body: &[u8]) -> Said {
    serde_json::from_slice::<Value>(body).map(|value| read_object(&value)).unwrap_or_default()
}

/// Reads `{"error":{..}}`, `{"error":"code","error_description":".."}`, `{"detail":..}` and bare objects.
fn read_object(value: &Value) -> Said {
    let inner = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let inner = inner.get("detail").filter(|detail| detail.is_object()).unwrap_or(inner);
    let text = |name: &str| inner.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number =
        |name: &str| inner.get(name).and_then(Value::as_f64).filter(|secs| (0.0..1e11).contains(secs));
    let bare_code = value.get("error").and_then(Value::as_str);
    // `error` as a type is only the frame's own kind, never a class.
    let code = text("code").or_else(|| text("type").filter(|kind| *kind != "error")).or(bare_code);
    let message = text("message").or_else(|| text("detail")).or_else(|| text("error_description"));
    Said {
        code: code.map(str::to_lowercase),
        message: message.map(clipped),
        param: text("param").map(str::to_owned),
        resets_at: number("resets_at").map(timestamp),
        resets_in: number("resets_in_seconds").map(Duration::from_secs_f64),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller checked the range")]
fn timestamp(secs: f64) -> Timestamp {
    Timestamp::from_secs(secs.ceil() as i64)
}

fn clipped(text: &str) -> String {
    let end =
        (0..=MAX_MESSAGE_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// `retry-after`: whole seconds, or a date. One that is over says nothing, and neither does one that no limit reaches.
fn wait_told(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let at = Timestamp::from_millis(i64::try_from(date.as_millis()).ok()?);
    let wait = Duration::from_millis(now.millis_until(at));
    (!wait.is_zero() && wait <= LONGEST_WAIT).then_some(wait)
}

/// "try again in 1h2m3s", "… 11.054s", "… 500ms".
fn hinted_wait(message: Option<&str>) -> Option<Duration> {
    let text = message?.to_lowercase();
    let (_, after) = text.split_once("try again in ")?;
    let mut total = 0.0;
    let mut rest = after;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, unit) = rest.split_at_checked(digits)?;
        let Ok(value) = number.parse::<f64>() else { break };
        let (scale, length) = match unit.as_bytes() {
            [b'm', b's', ..] => (0.001, 2),
            [b'h', ..] => (3600.0, 1),
            [b'm', ..] => (60.0, 1),
            [b's', ..] => (1.0, 1),
            _ => break,
        };
        total += value * scale;
        rest = unit.get(length..)?;
    }
    (total > 0.0).then(|| Duration::from_secs_f64(total.min(LONGEST_WAIT.as_secs_f64())))
}

#[cfg(test)]
mod tests;
