//! Every error answer that the upstream is known to give, as the first answer to a turn: who else is asked, what the
//! client gets, and what becomes of the account.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_core::decisions::{DecisionState, Outcome};
use gateway_lab::{ERROR_BODIES, ErrorBody, ErrorPlace, FaultRule, LabConfig, Route};
use gateway_scheduler::Availability;
use serde_json::json;
use switchyard_tests::{Answer, InProcess, events_of};

use super::{completed, lab};

/// What one row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The account's limit: another account, 429.
    Quota,
    /// A passing limit: another account, 429.
    Rate,
    /// Overload: another account, 503.
    Overload,
    /// A fault: another account, 502.
    Broken,
    /// Silence in front of the backend: another account, 504.
    Slow,
    /// The token ended: renewed, and the same account serves; 503 when that does not help.
    Expired,
    /// The account is dead: another account, and its owner must sign in again.
    Dead,
    /// The account may not: another account, 503.
    Barred,
    /// The account does not have the model: another account, 404.
    NoModel,
    /// The request itself is wrong: told at once, with the upstream's status and this code.
    Refused(u16, &'static str),
}
use Class::{Barred, Broken, Dead, Expired, NoModel, Overload, Quota, Rate, Refused, Slow};

/// The meaning of every row; a row that is added to the lab's table must be added here.
const MEANINGS: &[(&str, Class)] = &[
    ("usage_limit_reached", Quota),
    ("usage_limit_reached_with_code", Quota),
    ("usage_limit_reached_without_reset", Quota),
    ("usage_limit_reached_as_403", Quota),
    ("usage_limit_text_403", Quota),
    ("insufficient_quota", Quota),
    ("quota_exceeded", Quota),
    ("usage_not_included", Quota),
    ("rate_limit_exceeded", Rate),
    ("rate_limit_exceeded_retry_after", Rate),
    ("rate_limit_exceeded_long_hint", Rate),
    ("rate_limited_without_code", Rate),
    ("rate_limited_null_code", Rate),
    ("rate_limited_empty", Rate),
    ("rate_limited_http_date", Rate),
    ("rate_limited_far_date", Rate),
    ("server_is_overloaded", Overload),
    ("slow_down", Overload),
    ("overloaded_error", Overload),
    ("model_at_capacity", Overload),
    ("unavailable_plain_text", Overload),
    ("unavailable_retry_after", Overload),
    ("server_error", Broken),
    ("upstream_error", Broken),
    ("bad_gateway_empty", Broken),
    ("bad_gateway_html", Broken),
    ("message_only", Broken),
    ("truncated_json", Broken),
    ("cloudflare_challenge", Broken),
    ("client_too_old", Broken),
    ("gateway_timeout_html", Slow),
    ("token_expired", Expired),
    ("unauthorized_detail", Expired),
    ("unparsable_token_detail", Expired),
    ("unauthorized_empty", Expired),
    ("missing_scope", Barred),
    ("token_invalidated", Dead),
    ("token_revoked", Dead),
    ("app_session_terminated", Dead),
    ("account_session_expired", Dead),
    ("account_auth_invalidated", Dead),
    ("account_deactivated", Dead),
    ("account_suspended", Dead),
    ("account_deleted", Dead),
    ("deactivated_workspace", Dead),
    ("deactivated_workspace_403", Dead),
    ("account_deactivated_message_only", Barred),
    ("payment_required_detail", Barred),
    ("forbidden_detail", Barred),
    ("agent_runtime_deleted", Barred),
    ("model_not_supported", NoModel),
    ("model_not_supported_detail", NoModel),
    ("unknown_provider_for_model", NoModel),
    ("model_not_found", NoModel),
    ("top_level_fields", Refused(400, "invalid_request")),
    ("context_length_exceeded", Refused(400, "context_length_exceeded")),
    ("invalid_prompt", Refused(400, "invalid_prompt")),
    ("cyber_policy", Refused(400, "invalid_prompt")),
    ("previous_response_not_found", Refused(400, "previous_response_not_found")),
    ("invalid_previous_response_id", Refused(400, "invalid_request_error")),
    ("missing_tool_output", Refused(400, "invalid_request_error")),
    ("invalid_encrypted_content", Refused(400, "invalid_encrypted_content")),
    ("unsupported_value", Refused(400, "unsupported_value")),
    ("unsupported_parameter_detail", Refused(400, "invalid_request_error")),
    ("instructions_required_detail", Refused(400, "invalid_request_error")),
    ("not_found_detail", Refused(404, "invalid_request_error")),
    ("payload_too_large_detail", Refused(413, "invalid_request_error")),
];

impl Class {
    /// The label of the failed try.
    const fn label(self) -> &'static str {
        match self {
            Quota => "usage_limit_reached",
            Rate => "rate_limit_exceeded",
            Overload => "server_is_overloaded",
            Broken => "upstream_fault",
            Slow => "upstream_timeout",
            Expired | Dead | Barred => "account_unauthorized",
            NoModel => "model_not_supported",
            Refused(..) => "upstream_refused",
        }
    }

    /// Status and code when nobody can serve.
    const fn told(self) -> (u16, &'static str) {
        match self {
            Quota | Rate => (429, self.label()),
            Overload | Expired | Dead | Barred => (503, self.label()),
            Broken => (502, self.label()),
            Slow => (504, self.label()),
            NoModel => (404, "model_not_found"),
            Refused(status, code) => (status, code),
        }
    }
}

/// The pools, and how often the row is answered: once, or until it is taken back.
const CASES: [(usize, Option<u32>); 4] = [(1, Some(1)), (1, None), (3, Some(1)), (3, None)];

fn rows() -> impl Iterator<Item = &'static ErrorBody> {
    ERROR_BODIES.iter().filter(|row| row.place == ErrorPlace::Backend)
}

fn meaning(row: &ErrorBody) -> Result<Class> {
    let found = MEANINGS.iter().find(|(name, _)| *name == row.name);
    Ok(found.with_context(|| format!("{} has no meaning yet", row.name))?.1)
}

fn long_lived(accounts: usize) -> LabConfig {
    // Tokens must not end while the clock runs from one row to the next.
    LabConfig { access_token_lifetime: Duration::from_hours(24 * 3650), ..lab(accounts) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_body_is_understood_by_a_single_account() -> Result<()> {
    walk(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_body_moves_to_another_account_or_comes_back() -> Result<()> {
    walk(3).await
}

async fn walk(accounts: usize) -> Result<()> {
    let gateway = InProcess::start(long_lived(accounts)).await?;
    for row in rows() {
        for (_, times) in CASES.into_iter().filter(|(pool, _)| *pool == accounts) {
            for stream in [true, false] {
                let case = format!("{}, {accounts} account(s), times {times:?}, stream {stream}", row.name);
                one(&gateway, row, accounts, times, stream).await.context(case)?;
                recover(&gateway).await?;
            }
        }
    }
    gateway.stop().await
}

async fn one(
    gateway: &InProcess,
    row: &ErrorBody,
    pool: usize,
    times: Option<u32>,
    stream: bool,
) -> Result<()> {
    let class = meaning(row)?;
    let rule = FaultRule { times, ..FaultRule::new(*row).on(Route::Responses) };
    let rule = gateway.lab.script(rule);
    let answer = gateway.ask(&json!({ "model": "gpt-5.5", "input": "hello", "stream": stream })).await?;
    let fired = gateway.lab.fired(rule);
    gateway.lab.unscript(rule);
    let decision = gateway.decision(&answer.headers)?;
    ensure!(answer.header("x-request-id").is_some());
    let asked = match (class, times) {
        // A renewed token is tried on the same account.
        (Expired, None) => 2 * pool,
        (Refused(..), _) | (_, Some(_)) => 1,
        (_, None) => pool,
    };
    ensure!(fired as usize == asked, "the row was answered {fired} times, not {asked}");
    let saved = times.is_some() && (class == Expired || (pool > 1 && !matches!(class, Refused(..))));
    if saved {
        served(&answer, stream)?
    } else {
        told(&answer, class, row)?
    }
    tried(&decision, row, class, pool, saved)?;
    marked(gateway, class, pool)
}

fn served(answer: &Answer, stream: bool) -> Result<()> {
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    if stream {
        return completed(&events_of(&answer.text())?);
    }
    ensure!(answer.json()["status"] == "completed", "{}", answer.text());
    Ok(())
}

fn told(answer: &Answer, class: Class, row: &ErrorBody) -> Result<()> {
    let error = answer.error()?;
    ensure!((answer.status, error.code.as_str()) == class.told(), "{} {error:?}", answer.status);
    ensure!(!error.message.contains('<'), "a page is no message: {}", error.message);
    let retry_after =
        answer.header("retry-after").map(str::parse::<u64>).transpose().context("retry-after")?;
    ensure!(answer.status != 429 || retry_after.is_some_and(|seconds| seconds >= 1), "{retry_after:?}");
    let wanted = match row.name {
        "rate_limit_exceeded" => Some(2),
        "rate_limit_exceeded_retry_after" | "rate_limited_empty" => Some(7),
        "rate_limit_exceeded_long_hint" => Some(3_723),
        "unavailable_retry_after" => Some(2),
        _ => None,
    };
    ensure!(wanted.is_none() || retry_after == wanted, "retry-after {retry_after:?}, not {wanted:?}");
    if row.name.starts_with("usage_limit_reached") && row.text.contains("@RESETS_AT@") {
        ensure!(error.kind == "usage_limit_reached" && error.object["resets_at"].is_i64(), "{error:?}");
    }
    Ok(())
}

/// The decision shows every try with its account, its reason and the ranking that chose it.
fn tried(decision: &DecisionState, row: &ErrorBody, class: Class, pool: usize, saved: bool) -> Result<()> {
    let attempts = &decision.attempts;
    let expected = match (class, saved) {
        (Expired, true) | (Refused(..), _) => 1,
        (_, true) => 2,
        (_, false) if decision.outcome == Outcome::Completed => 0,
        // One that failed once in a pool of one, or everywhere.
        (_, false) => pool,
    };
    ensure!(attempts.len() == expected, "{} tries, not {expected}: {attempts:?}", attempts.len());
    let failing = if saved { attempts.len() - 1 } else { attempts.len() };
    for attempt in attempts.iter().take(failing) {
        ensure!(attempt.outcome.label() == class.label(), "{attempt:?}");
        ensure!(attempt.upstream_status == Some(row.status), "{attempt:?}");
    }
    let last = attempts.last().context("no try")?;
    ensure!((last.outcome == Outcome::Completed) == saved, "{last:?}");
    ensure!(decision.outcome == last.outcome && decision.status.is_some());
    for (nth, attempt) in attempts.iter().enumerate() {
        let ranking = decision.rankings.get(attempt.ranking).context("a try without its ranking")?;
        ensure!(!ranking.decision.reason.is_empty() && ranking.input.tried.len() == nth, "{ranking:?}");
        let again = attempts.iter().filter(|other| other.account == attempt.account).count();
        ensure!(again == 1, "an account was tried twice: {attempts:?}");
    }
    Ok(())
}

/// Dead accounts, and only those, wait for their owner.
fn marked(gateway: &InProcess, class: Class, pool: usize) -> Result<()> {
    let waiting = waiting(gateway);
    ensure!(
        if class == Dead { waiting >= 1 } else { waiting == 0 },
        "{waiting} of {pool} wait for a sign-in"
    );
    Ok(())
}

fn waiting(gateway: &InProcess) -> usize {
    let dead = |slot: &&gateway_scheduler::Slot| matches!(slot.availability, Availability::SignInNeeded(_));
    gateway.running.gateway.with_pool(|pool| pool.members().filter(dead).count())
}

/// Lets every cooldown end and signs in again where that is needed.
async fn recover(gateway: &InProcess) -> Result<()> {
    gateway.lab.advance(Duration::from_hours(2));
    if waiting(gateway) > 0 {
        for index in 0..gateway.lab.accounts().count() {
            gateway.import(index).await?;
        }
    }
    // Some last longer than that.
    let inner = &gateway.running.gateway;
    for id in inner.accounts().keys() {
        inner.clear_cooldowns(id)?;
    }
    Ok(())
}
