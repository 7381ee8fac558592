//! What an ending does to an account: cooldowns with cause and end, error streaks, and the way back.
//!
//! The one table of consequences is [`consequence`]. Faults of the client, of the gateway and of the network
//! between us and the provider never count against an account.

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
/// A token that was refused although it had just been refreshed.
pub const UNAUTHORIZED_PAUSE: Duration = Duration::from_secs(60);
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

/// A time an account (or an account × model) is left alone, with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// What ended the request.
    pub cause: FailureKind,
    /// Where the end comes from.
    pub source: CooldownSource,
    /// The model it is limited to; the whole account otherwise.
    pub model: Option<ModelName>,
    /// When it ends.
    pub until: Timestamp,
}

/// What one failure does to the account it happened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing: it was not the account's doing.
    None,
    /// One more fault in the streak; a cooldown once the streak is long enough.
    Fault(Option<Cooldown>),
    /// Left alone, without counting as a fault.
    Cool(Cooldown),
}

/// The table of consequences. `streak` counts the failures of this kind of trouble in a row, this one included.
#[must_use]
pub fn consequence(failure: &Failure, model: &ModelName, streak: u32, now: Timestamp) -> Consequence {
    let cool = |source, until, model| Cooldown { cause: failure.kind, source, model, until };
    match failure.kind {
        FailureKind::RateLimited => {
            let (source, until) = match failure.retry_after {
                Some(wait) => (CooldownSource::RetryAfter, now.plus(wait.max(RATE_LIMIT_BASE))),
                None => {
                    (CooldownSource::Backoff, now.plus(doubled(RATE_LIMIT_BASE, streak, RATE_LIMIT_CEILING)))
                }
            };
            Consequence::Cool(cool(source, until, None))
        }
        FailureKind::QuotaExhausted => {
            let (source, until) = match plausible_reset(failure.resets_at, now) {
                Some(reset) => (CooldownSource::UpstreamReset, reset),
                None => match failure.retry_after {
                    Some(wait) => (CooldownSource::RetryAfter, now.plus(wait.min(FURTHEST_RESET))),
                    None => (CooldownSource::Backoff, now.plus(QUOTA_UNKNOWN_RESET)),
                },
            };
            Consequence::Cool(cool(source, until, None))
        }
        FailureKind::AccountUnauthorized => {
            Consequence::Cool(cool(CooldownSource::Backoff, now.plus(UNAUTHORIZED_PAUSE), None))
        }
        FailureKind::ModelNotSupported => Consequence::Cool(cool(
            CooldownSource::Backoff,
            now.plus(MODEL_NOT_SUPPORTED_PAUSE),
            Some(model.clone()),
        )),
        FailureKind::Overloaded
        | FailureKind::UpstreamFault
        | FailureKind::UpstreamTimeout
        | FailureKind::StreamCut
        | FailureKind::Malformed => {
            let long_enough = streak >= FAULTS_BEFORE_BACKOFF;
            let wait =
                doubled(BACKOFF_BASE, streak.saturating_sub(FAULTS_BEFORE_BACKOFF) + 1, BACKOFF_CEILING);
            Consequence::Fault(long_enough.then(|| cool(CooldownSource::Backoff, now.plus(wait), None)))
        }
        FailureKind::InvalidRequest
        | FailureKind::UnknownRoute
        | FailureKind::MethodNotAllowed
        | FailureKind::NoWebSocket
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
        | FailureKind::Unreachable
        | FailureKind::ClientGone
        | FailureKind::ExtensionRefused
        | FailureKind::ShuttingDown
        | FailureKind::Internal => Consequence::None,
    }
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

    fn check(failure: Failure, streak: u32, expect: Option<(u64, CooldownSource)>) {
        let now = Timestamp::from_secs(1_000);
        let model = ModelName::parse("gpt-5.5").unwrap();
        let cooldown = match consequence(&failure, &model, streak, now) {
            Consequence::Cool(cooldown) | Consequence::Fault(Some(cooldown)) => Some(cooldown),
            Consequence::None | Consequence::Fault(None) => None,
        };
        let got = cooldown.map(|c| (now.millis_until(c.until) / 1000, c.source));
        assert_eq!(got, expect, "{failure} (streak {streak})");
    }

    #[test]
    fn the_table() {
        use CooldownSource::{Backoff, RetryAfter, UpstreamReset};
        let up = |kind| Failure::upstream(kind, "x");
        let rate = || up(FailureKind::RateLimited);
        check(rate().after(Some(Duration::from_secs(7))), 1, Some((7, RetryAfter)));
        check(rate(), 1, Some((1, Backoff)));
        check(rate(), 4, Some((8, Backoff)));
        check(rate(), 40, Some((60, Backoff)));
        let quota = || up(FailureKind::QuotaExhausted);
        check(quota().resets_at(Some(Timestamp::from_secs(1_500))), 1, Some((500, UpstreamReset)));
        check(quota().resets_at(Some(Timestamp::from_secs(900))), 1, Some((3600, Backoff)));
        check(quota().resets_at(Some(Timestamp::from_secs(4_000_000_000))), 1, Some((3600, Backoff)));
        check(quota().after(Some(Duration::from_secs(60))), 1, Some((60, RetryAfter)));
        check(up(FailureKind::UpstreamFault), 2, None);
        check(up(FailureKind::UpstreamFault), 3, Some((30, Backoff)));
        check(up(FailureKind::StreamCut), 5, Some((120, Backoff)));
        check(up(FailureKind::Overloaded), 30, Some((300, Backoff)));
        check(up(FailureKind::AccountUnauthorized), 1, Some((60, Backoff)));
        for neutral in
            [FailureKind::Refused, FailureKind::ClientGone, FailureKind::Unreachable, FailureKind::Internal]
        {
            check(up(neutral), 50, None);
        }
    }

    #[test]
    fn an_unsupported_model_cools_only_that_model() {
        let model = ModelName::parse("gpt-6").unwrap();
        let failure = Failure::upstream(FailureKind::ModelNotSupported, "x");
        let Consequence::Cool(cooldown) = consequence(&failure, &model, 1, Timestamp::from_secs(0)) else {
            panic!("must cool");
        };
        assert_eq!(cooldown.model, Some(model));
    }
}
