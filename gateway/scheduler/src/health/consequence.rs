//! The one table of what a failure does: whom it concerns, what mark it leaves, how long it keeps requests away.
//!
//! Faults of the client, of the gateway and of the network between us and the provider never count against an account.

use std::time::Duration;

use gateway_domain::{Failure, FailureKind, ModelName, Timestamp};

/// A rate limit without any hint: this long, doubling with each in a row.
pub const RATE_LIMIT_BASE: Duration = Duration::from_secs(1);
/// The most a rate limit without a hint costs.
pub const RATE_LIMIT_CEILING: Duration = Duration::from_secs(60);
/// A usage limit whose reset nobody told.
pub const QUOTA_UNKNOWN_RESET: Duration = Duration::from_secs(60 * 60);
/// A reset further away than this is not believed.
pub const FURTHEST_RESET: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// A token that was refused although it had just been refreshed, doubling with each in a row.
pub const UNAUTHORIZED_PAUSE: Duration = Duration::from_secs(60);
/// The most a refused token costs; an account that is dead for good is marked by the token's keeper, not by time.
pub const UNAUTHORIZED_CEILING: Duration = Duration::from_secs(60 * 60);
/// All seats of a workspace that was switched off. The others find out for themselves afterwards.
pub const WORKSPACE_PAUSE: Duration = Duration::from_secs(5 * 60);
/// An account whose agent runtime was deleted. It does not come back by itself, and its tokens look good all the while.
pub const RUNTIME_DELETED_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// A model that the account's plan does not have.
pub const MODEL_NOT_SUPPORTED_PAUSE: Duration = Duration::from_secs(30 * 60);
/// Upstream faults in a row before the account is left alone.
pub const FAULTS_BEFORE_BACKOFF: u32 = 3;
/// The first backoff, doubling with each further fault.
pub const BACKOFF_BASE: Duration = Duration::from_secs(30);
/// The longest backoff.
pub const BACKOFF_CEILING: Duration = Duration::from_secs(300);

/// Where the end of a cooldown comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CooldownSource {
    /// The upstream named the moment.
    UpstreamReset,
    /// The upstream named a span (`retry-after`, or a hint in its text).
    RetryAfter,
    /// Nobody named anything; ours.
    Backoff,
}

impl CooldownSource {
    /// For people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UpstreamReset => "upstream reset",
            Self::RetryAfter => "retry-after",
            Self::Backoff => "backoff",
        }
    }
}

/// Whom a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This request only: it would fail anywhere, or the caller left.
    Request,
    /// This model on this account.
    AccountModel,
    /// This account.
    Account,
    /// All seats of the account's workspace.
    Workspace,
    /// This machine's way to the provider, whichever account it was.
    Host,
}

impl Scope {
    /// Bounded label for metrics and the dashboard.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::AccountModel => "account_model",
            Self::Account => "account",
            Self::Workspace => "workspace",
            Self::Host => "host",
        }
    }
}

/// Troubles that are counted in a row, each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A rate or usage limit.
    Limit,
    /// An upstream fault.
    Fault,
    /// A model without capacity.
    Capacity,
    /// A refused token.
    Refusal,
}

/// What stays on the account's record for a while (see [`super::score`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    RateLimit,
    Timeout,
    Fault,
    Unauthorized,
}

/// A time an account (or an account × model) is left alone, with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// What ended the request.
    pub cause: FailureKind,
    /// Where the end comes from.
    pub source: CooldownSource,
    /// The model it is limited to; the whole account otherwise.
    pub model: Option<ModelName>,
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// What one failure does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consequence {
    pub(crate) scope: Scope,
    pub(crate) mark: Option<Mark>,
    pub(crate) cooldown: Option<Cooldown>,
}

/// Which count a failure belongs to; `None` when it never counts.
pub(crate) fn trouble(failure: &Failure) -> Option<Trouble> {
    match failure.kind {
        FailureKind::RateLimited | FailureKind::QuotaExhausted => Some(Trouble::Limit),
        FailureKind::AccountUnauthorized if lacks_scope(failure) => None,
        FailureKind::AccountUnauthorized => Some(Trouble::Refusal),
        FailureKind::Overloaded => Some(Trouble::Capacity),
        FailureKind::UpstreamFault
        | FailureKind::UpstreamTimeout
        | FailureKind::StreamCut
        | FailureKind::Malformed => Some(Trouble::Fault),
        _ => None,
    }
}

/// The table. `streak` counts the failures of this kind of trouble in a row, this one included.
pub(crate) fn consequence(failure: &Failure, model: &ModelName, streak: u32, now: Timestamp) -> Consequence {
    use CooldownSource::Backoff;
    let account = |mark, ending: Option<(CooldownSource, Timestamp)>| Consequence {
        scope: Scope::Account,
        mark,
        cooldown: ending.map(|(source, until)| cooldown(failure.kind, source, None, now, until)),
    };
    let of_model = |ending: Option<Duration>| Consequence {
        scope: Scope::AccountModel,
        mark: None,
        cooldown: ending
            .map(|wait| cooldown(failure.kind, Backoff, Some(model.clone()), now, now.plus(wait))),
    };
    let nothing = |scope| Consequence { scope, mark: None, cooldown: None };
    match failure.kind {
        FailureKind::RateLimited => account(Some(Mark::RateLimit), Some(rate_limit(failure, streak, now))),
        // Having used what one has is no fault.
        FailureKind::QuotaExhausted => account(None, Some(usage_limit(failure, now))),
        FailureKind::AccountUnauthorized if concerns_workspace(failure) => Consequence {
            scope: Scope::Workspace,
            ..account(Some(Mark::Unauthorized), Some((Backoff, now.plus(WORKSPACE_PAUSE))))
        },
        // What this request wanted is not granted to the account; everything else may be.
        FailureKind::AccountUnauthorized if lacks_scope(failure) => nothing(Scope::Request),
        FailureKind::AccountUnauthorized if runtime_is_deleted(failure) => {
            account(Some(Mark::Unauthorized), Some((Backoff, now.plus(RUNTIME_DELETED_PAUSE))))
        }
        FailureKind::AccountUnauthorized => {
            let wait = doubled(UNAUTHORIZED_PAUSE, streak, UNAUTHORIZED_CEILING);
            account(Some(Mark::Unauthorized), Some((Backoff, now.plus(wait))))
        }
        FailureKind::ModelNotSupported => of_model(Some(MODEL_NOT_SUPPORTED_PAUSE)),
        // Capacity is a matter of the model and of the hour, not of the account.
        FailureKind::Overloaded => of_model(backoff(streak)),
        FailureKind::UpstreamTimeout => {
            account(Some(Mark::Timeout), backoff(streak).map(|wait| (Backoff, now.plus(wait))))
        }
        FailureKind::UpstreamFault | FailureKind::StreamCut | FailureKind::Malformed => {
            account(Some(Mark::Fault), backoff(streak).map(|wait| (Backoff, now.plus(wait))))
        }
        FailureKind::Unreachable => nothing(Scope::Host),
        FailureKind::InvalidRequest
        | FailureKind::UnknownRoute
        | FailureKind::MethodNotAllowed
        | FailureKind::NoWebSocket
        | FailureKind::GatewayLoop
        | FailureKind::Unauthenticated
        | FailureKind::Forbidden
        | FailureKind::UnknownModel
        | FailureKind::BodyTooLarge
        | FailureKind::UnsupportedEncoding
        | FailureKind::SlowRequest
        | FailureKind::NoAccount
        | FailureKind::AllCooling
        | FailureKind::Saturated
        | FailureKind::Refused
        | FailureKind::ClientGone
        | FailureKind::ExtensionRefused
        | FailureKind::ShuttingDown
        | FailureKind::Internal => nothing(Scope::Request),
    }
}

const fn cooldown(
    cause: FailureKind,
    source: CooldownSource,
    model: Option<ModelName>,
    since: Timestamp,
    until: Timestamp,
) -> Cooldown {
    Cooldown { cause, source, model, since, until }
}

fn rate_limit(failure: &Failure, streak: u32, now: Timestamp) -> (CooldownSource, Timestamp) {
    match failure.retry_after {
        Some(wait) => (CooldownSource::RetryAfter, now.plus(wait.clamp(RATE_LIMIT_BASE, FURTHEST_RESET))),
        None => (CooldownSource::Backoff, now.plus(doubled(RATE_LIMIT_BASE, streak, RATE_LIMIT_CEILING))),
    }
}

fn usage_limit(failure: &Failure, now: Timestamp) -> (CooldownSource, Timestamp) {
    if let Some(reset) = plausible_reset(failure.resets_at, now) {
        return (CooldownSource::UpstreamReset, reset);
    }
    match failure.retry_after {
        Some(wait) => (CooldownSource::RetryAfter, now.plus(wait.clamp(RATE_LIMIT_BASE, FURTHEST_RESET))),
        None => (CooldownSource::Backoff, now.plus(QUOTA_UNKNOWN_RESET)),
    }
}

fn code(failure: &Failure) -> Option<&str> {
    failure.answer.as_ref().and_then(|answer| answer.code.as_deref())
}

fn concerns_workspace(failure: &Failure) -> bool {
    code(failure) == Some("deactivated_workspace")
}

fn lacks_scope(failure: &Failure) -> bool {
    code(failure) == Some("missing_scope")
}

/// The code stands for every trouble of that service; only the text tells this one.
fn runtime_is_deleted(failure: &Failure) -> bool {
    code(failure) == Some("biscuit_baker_service_agent_error_status")
        && failure.message.to_lowercase().contains("agent runtime has been deleted")
}

/// The pause after this many faults in a row; none while there are few.
fn backoff(streak: u32) -> Option<Duration> {
    let beyond = streak.checked_sub(FAULTS_BEFORE_BACKOFF)?;
    Some(doubled(BACKOFF_BASE, beyond.saturating_add(1), BACKOFF_CEILING))
}

fn doubled(base: Duration, streak: u32, ceiling: Duration) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(streak.saturating_sub(1))).min(ceiling)
}

fn plausible_reset(reset: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    reset.filter(|at| *at > now && *at <= now.plus(FURTHEST_RESET))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Answer;

    type Row = (Failure, u32, Scope, Option<Mark>, Option<(u64, CooldownSource)>);

    fn up(kind: FailureKind) -> Failure {
        Failure::upstream(kind, "x")
    }

    fn check((failure, streak, scope, mark, cools): Row) {
        let now = Timestamp::from_secs(1_000);
        let model = ModelName::parse("gpt-5.5").unwrap();
        let got = consequence(&failure, &model, streak, now);
        let about = format!("{failure} (streak {streak})");
        assert_eq!((got.scope, got.mark), (scope, mark), "{about}");
        let ends = got.cooldown.as_ref().map(|one| (now.millis_until(one.until) / 1000, one.source));
        assert_eq!(ends, cools, "{about}");
        if let Some(cooldown) = got.cooldown {
            assert_eq!((cooldown.since, cooldown.cause), (now, failure.kind), "{about}");
            assert_eq!(cooldown.model.is_some(), scope == Scope::AccountModel, "{about}");
        }
    }

    #[test]
    fn limits() {
        use CooldownSource::{Backoff, RetryAfter, UpstreamReset};
        let rate = || up(FailureKind::RateLimited);
        let quota = || up(FailureKind::QuotaExhausted);
        let (scope, mark) = (Scope::Account, Some(Mark::RateLimit));
        let secs = Duration::from_secs;
        check((rate().after(Some(secs(7))), 1, scope, mark, Some((7, RetryAfter))));
        check((rate().after(Some(secs(0))), 1, scope, mark, Some((1, RetryAfter))));
        check((rate().after(Some(Duration::MAX)), 1, scope, mark, Some((366 * 86_400, RetryAfter))));
        check((rate(), 1, scope, mark, Some((1, Backoff))));
        check((rate(), 4, scope, mark, Some((8, Backoff))));
        check((rate(), 40, scope, mark, Some((60, Backoff))));
        let reset = |at| quota().resets_at(Some(Timestamp::from_secs(at)));
        check((reset(1_500), 1, scope, None, Some((500, UpstreamReset))));
        check((reset(603_705), 1, scope, None, Some((602_705, UpstreamReset))));
        check((reset(900), 1, scope, None, Some((3_600, Backoff))));
        check((reset(4_000_000_000), 1, scope, None, Some((3_600, Backoff))));
        check((quota().after(Some(secs(60))), 1, scope, None, Some((60, RetryAfter))));
    }

    #[test]
    fn tokens_and_workspaces() {
        use CooldownSource::Backoff;
        let refused = || up(FailureKind::AccountUnauthorized);
        let mark = Some(Mark::Unauthorized);
        check((refused(), 1, Scope::Account, mark, Some((60, Backoff))));
        check((refused(), 3, Scope::Account, mark, Some((240, Backoff))));
        check((refused(), 99, Scope::Account, mark, Some((3_600, Backoff))));
        let answer = |code: &str| Answer { status: 402, code: Some(code.to_owned()), param: None };
        let workspace = refused().answered(answer("deactivated_workspace"));
        check((workspace, 1, Scope::Workspace, mark, Some((300, Backoff))));
        let seat = refused().answered(answer("account_deactivated"));
        check((seat, 1, Scope::Account, mark, Some((60, Backoff))));
        let scope = refused().answered(answer("missing_scope"));
        assert_eq!(trouble(&scope), None, "it does not lengthen later pauses either");
        check((scope, 9, Scope::Request, None, None));
        let agent = |text: &str| {
            let failure = Failure::upstream(FailureKind::AccountUnauthorized, text);
            failure.answered(answer("biscuit_baker_service_agent_error_status"))
        };
        let day = Some((86_400, Backoff));
        check((agent("The agent runtime has been deleted."), 1, Scope::Account, mark, day));
        check((agent("The agent is busy."), 1, Scope::Account, mark, Some((60, Backoff))));
    }

    #[test]
    fn faults_and_capacity() {
        use CooldownSource::Backoff;
        for kind in [FailureKind::UpstreamFault, FailureKind::StreamCut, FailureKind::Malformed] {
            check((up(kind), 2, Scope::Account, Some(Mark::Fault), None));
            check((up(kind), 3, Scope::Account, Some(Mark::Fault), Some((30, Backoff))));
            check((up(kind), 5, Scope::Account, Some(Mark::Fault), Some((120, Backoff))));
        }
        let timeout = up(FailureKind::UpstreamTimeout);
        check((timeout.clone(), 1, Scope::Account, Some(Mark::Timeout), None));
        check((timeout, u32::MAX, Scope::Account, Some(Mark::Timeout), Some((300, Backoff))));
        check((up(FailureKind::Overloaded), 2, Scope::AccountModel, None, None));
        check((up(FailureKind::Overloaded), 30, Scope::AccountModel, None, Some((300, Backoff))));
        let model = up(FailureKind::ModelNotSupported);
        check((model, 1, Scope::AccountModel, None, Some((1_800, Backoff))));
    }

    #[test]
    fn what_is_not_the_accounts_doing_leaves_no_trace() {
        for kind in [
            FailureKind::InvalidRequest,
            FailureKind::UnknownRoute,
            FailureKind::MethodNotAllowed,
            FailureKind::NoWebSocket,
            FailureKind::GatewayLoop,
            FailureKind::Unauthenticated,
            FailureKind::Forbidden,
            FailureKind::UnknownModel,
            FailureKind::BodyTooLarge,
            FailureKind::UnsupportedEncoding,
            FailureKind::SlowRequest,
            FailureKind::NoAccount,
            FailureKind::AllCooling,
            FailureKind::Saturated,
            FailureKind::Refused,
            FailureKind::ClientGone,
            FailureKind::ExtensionRefused,
            FailureKind::ShuttingDown,
            FailureKind::Internal,
        ] {
            assert_eq!(trouble(&up(kind)), None, "{kind:?}");
            check((up(kind), 50, Scope::Request, None, None));
        }
        assert_eq!(trouble(&up(FailureKind::Unreachable)), None);
        check((up(FailureKind::Unreachable), 50, Scope::Host, None, None));
    }
}
