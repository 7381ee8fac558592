//! One token rotation, from the claim to the durable result. A refresh token is single use: between spending it and
//! storing its successor nothing may go missing, so this runs in a process of its own (decision record 0004).

use std::time::Duration;

use gateway_domain::{
    AccountId, AccountState, CredentialVersion, Credentials, RequestId, Secret, SignInReason, Timestamp,
};
use gateway_protocol::codex::auth::{read_tokens, token_expiry};

use crate::co_owned::{Shared, give_back, newer_tokens};
use crate::destinations::way;
use crate::ports::{
    AccountStore, Claim, ClaimHolder, Clock, IssuedTokens, Learned, ProxyStore, RefreshOutcome, SeatFit,
    SharedFiles, StoreError, TokenIssuer, TokenIssuerError, Way,
};

/// The longest a rotation may take; its claim ends then, whoever held it.
pub const CLAIM_LIFETIME: Duration = Duration::from_secs(60);
/// How often somebody else's rotation is looked at.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// After so many looks the claim itself is asked for again: whoever had it may have given up.
const LOOKS_BETWEEN_CLAIMS: u32 = 10;
/// How often storing a rotated token is tried: the old one is spent, so giving up early would lose the account.
const STORE_TRIES: u32 = 40;
/// The pause between these tries.
const STORE_PAUSE: Duration = Duration::from_millis(250);

/// What a rotation works with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Where tokens are stored.
    pub store: &'a dyn AccountStore,
    /// Spends refresh tokens.
    pub issuer: &'a dyn TokenIssuer,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Files of Codex CLIs.
    pub files: &'a dyn SharedFiles,
}

/// What the store says about an account that is to be rotated.
#[derive(Debug, Clone)]
pub struct Errand {
    /// The way its requests leave by.
    pub way: Way,
    /// The Codex CLI that shares its tokens, if one does.
    pub shared: Option<Shared>,
}

/// Rotates the tokens of one account, on the way that its requests leave by. When it returns `Refreshed`, the new tokens
/// are durable. Tokens that a Codex CLI renewed first are taken over instead of spending ours.
pub async fn rotate(means: Means<'_>, id: &AccountId, errand: Errand) -> RefreshOutcome {
    let Means { store, issuer, clock, files } = means;
    let holder = ClaimHolder(RequestId::generate().to_string());
    let (credentials, version) = match claim(store, clock, id, &holder).await {
        Ok(ours) => ours,
        Err(outcome) => return outcome,
    };
    let now = clock.now();
    let theirs = match &errand.shared {
        Some(shared) => files.read(&shared.path).await.ok().flatten(),
        None => None,
    };
    if let (Some(shared), Some(text)) = (&errand.shared, &theirs)
        && let Some((newer, learned)) = newer_tokens(text, &credentials, &shared.identity, now)
    {
        return finish(store, id, version, newer, Some(learned)).await;
    }
    let Some(refresh_token) = credentials.refresh_token.clone() else {
        return dead(store, id, version, "no_refresh_token").await;
    };
    match issuer.rotate(refresh_token, errand.way).await {
        Ok(issued) => {
            let credentials = next(credentials, issued, clock);
            let learned = learned(&credentials, clock.now());
            let outcome = finish(store, id, version, credentials.clone(), learned).await;
            if let (RefreshOutcome::Refreshed, Some(shared), Some(text)) = (&outcome, &errand.shared, theirs)
            {
                give_back(files, shared, text, &credentials).await;
            }
            outcome
        }
        Err(TokenIssuerError::Dead { code }) => dead(store, id, version, &code).await,
        Err(TokenIssuerError::Passing(message)) => {
            // Best effort: an unreturned claim ends by itself.
            drop(store.abandon_refresh(id, &holder).await);
            failed(message)
        }
    }
}

/// Takes over tokens that the Codex CLI renewed, without spending any. `false` when there are none, or when somebody
/// else is at the account's tokens; then it is worth another look.
pub async fn adopt(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    id: &AccountId,
    shared: &Shared,
    text: &Secret,
) -> Result<Adopted, StoreError> {
    let now = clock.now();
    let (credentials, _) = store.credentials(id).await?;
    if newer_tokens(text, &credentials, &shared.identity, now).is_none() {
        return Ok(Adopted::NothingNewer);
    }
    let holder = ClaimHolder(RequestId::generate().to_string());
    let Claim::Granted { credentials, version } =
        store.claim_refresh(id, &holder, now, now.plus(CLAIM_LIFETIME)).await?
    else {
        return Ok(Adopted::Busy);
    };
    // Looked at again: somebody may have been quicker.
    let Some((newer, learned)) = newer_tokens(text, &credentials, &shared.identity, now) else {
        drop(store.abandon_refresh(id, &holder).await);
        return Ok(Adopted::NothingNewer);
    };
    store.finish_refresh(id, version, newer, Some(learned)).await?;
    Ok(Adopted::Newer)
}

/// What a look at a Codex CLI's file brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// Its tokens are ours now.
    Newer,
    /// It has nothing that we do not have.
    NothingNewer,
    /// Somebody else is at the account's tokens.
    Busy,
}

fn failed(message: impl Into<String>) -> RefreshOutcome {
    RefreshOutcome::Failed { message: message.into() }
}

/// What an issuer leaves out stays as it was.
fn next(old: Credentials, issued: IssuedTokens, clock: &dyn Clock) -> Credentials {
    let now = clock.now();
    let stated = issued.expires_in.map(|secs| now.plus(Duration::from_secs(secs)));
    Credentials {
        expires_at: token_expiry(&issued.access_token).or(stated),
        access_token: issued.access_token,
        refresh_token: issued.refresh_token.or(old.refresh_token),
        id_token: issued.id_token.or(old.id_token),
        refreshed_at: now,
    }
}

/// What a rotation of an account has to know, from the store.
///
/// # Errors
/// Its proxy is off or gone: its refresh token is not sent any other way. Or the store does not answer.
pub async fn errand_of(
    accounts: &dyn AccountStore,
    proxies: &dyn ProxyStore,
    id: &AccountId,
) -> Result<Errand, String> {
    let unreadable = |error: StoreError| format!("the account cannot be read: {error}");
    let account = accounts.account(id).await.map_err(|error| match error {
        StoreError::NotFound { .. } => "the account is gone".to_owned(),
        other => unreadable(other),
    })?;
    let proxies = proxies.list_proxies().await.map_err(unreadable)?;
    let way = way(&account, &proxies).ok_or_else(|| "its egress proxy is off or gone".to_owned())?;
    Ok(Errand { way, shared: Shared::of(&account) })
}

/// What tokens tell about their owner.
fn learned(credentials: &Credentials, now: Timestamp) -> Option<Learned> {
    let Credentials { access_token, refresh_token, id_token, .. } = credentials.clone();
    let told = read_tokens(access_token, refresh_token, id_token, now).ok()?;
    Some(Learned { identity: told.identity, plan: told.plan })
}

/// The tokens are safe; whether they may be used depends on whose they are.
fn stored(seat: SeatFit) -> RefreshOutcome {
    match seat.reason() {
        None => RefreshOutcome::Refreshed,
        Some(code) => RefreshOutcome::SignInNeeded { code: code.to_owned() },
    }
}

async fn finish(
    store: &dyn AccountStore,
    id: &AccountId,
    version: CredentialVersion,
    credentials: Credentials,
    learned: Option<Learned>,
) -> RefreshOutcome {
    let mut last = String::new();
    for _ in 0..STORE_TRIES {
        match store.finish_refresh(id, version, credentials.clone(), learned.clone()).await {
            Ok(done) => return stored(done.seat),
            // A newer sign-in was stored meanwhile; it wins.
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {
                return RefreshOutcome::Elsewhere;
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Sealed(_) | StoreError::NameTaken)) => {
                last = error.to_string();
            }
        }
        tokio::time::sleep(STORE_PAUSE).await;
    }
    failed(format!("the rotated tokens could not be stored: {last}"))
}

async fn dead(
    store: &dyn AccountStore,
    id: &AccountId,
    version: CredentialVersion,
    code: &str,
) -> RefreshOutcome {
    let state = AccountState::SignInNeeded { reason: SignInReason(code.to_owned()) };
    match store.bury(id, version, state).await {
        Ok(()) => RefreshOutcome::SignInNeeded { code: code.to_owned() },
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => RefreshOutcome::Elsewhere,
        Err(error) => failed(format!("the account could not be marked: {error}")),
    }
}

/// What the answer to a claim means for who asked before and was told to wait.
#[derive(Debug, PartialEq)]
enum Turn {
    /// These tokens are ours to spend.
    Ours(Box<Credentials>, CredentialVersion),
    /// Somebody else put newer tokens in the place of those that we waited for. `held`: we hold a claim on them now.
    Replaced { held: bool },
    /// Somebody else is at the tokens of this version.
    Wait(CredentialVersion),
}

fn turn(waited_for: Option<CredentialVersion>, claim: Claim) -> Turn {
    let is_newer = |version| waited_for.is_some_and(|waited_for| waited_for != version);
    match claim {
        Claim::Granted { version, .. } if is_newer(version) => Turn::Replaced { held: true },
        Claim::Granted { credentials, version } => Turn::Ours(Box::new(credentials), version),
        Claim::Busy { version, .. } if is_newer(version) => Turn::Replaced { held: false },
        Claim::Busy { version, .. } => Turn::Wait(version),
    }
}

/// Takes the right to rotate. While somebody else has it their result is waited for, because it is as good as ours; if
/// they give up, it is our turn.
async fn claim(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    id: &AccountId,
    holder: &ClaimHolder,
) -> Result<(Credentials, CredentialVersion), RefreshOutcome> {
    let give_up = tokio::time::Instant::now() + CLAIM_LIFETIME;
    let mut waited_for = None;
    while tokio::time::Instant::now() < give_up {
        let now = clock.now();
        let answer = store.claim_refresh(id, holder, now, now.plus(CLAIM_LIFETIME)).await;
        let answer = answer.map_err(|error| failed(format!("cannot claim the rotation: {error}")))?;
        match turn(waited_for, answer) {
            Turn::Ours(credentials, version) => return Ok((*credentials, version)),
            Turn::Replaced { held } => {
                if held {
                    // Best effort: an unreturned claim ends by itself.
                    drop(store.abandon_refresh(id, holder).await);
                }
                return Err(RefreshOutcome::Elsewhere);
            }
            Turn::Wait(version) => {
                waited_for = Some(version);
                if replaced_soon(store, id, version).await {
                    return Err(RefreshOutcome::Elsewhere);
                }
            }
        }
    }
    Err(failed("another rotation of this account did not finish in time"))
}

/// Whether tokens give way to newer ones within a few looks. Looking is cheap, claiming again is not.
async fn replaced_soon(store: &dyn AccountStore, id: &AccountId, version: CredentialVersion) -> bool {
    for _ in 0..LOOKS_BETWEEN_CLAIMS {
        tokio::time::sleep(POLL_EVERY).await;
        if store.credentials(id).await.is_ok_and(|(_, now)| now != version) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_claim_means_depends_on_what_was_waited_for() {
        let tokens = Credentials {
            access_token: "a".into(),
            refresh_token: None,
            id_token: None,
            expires_at: None,
            refreshed_at: Timestamp::from_secs(0),
        };
        let version = CredentialVersion;
        let granted = |number| Claim::Granted { credentials: tokens.clone(), version: version(number) };
        let busy = |number| Claim::Busy { until: Timestamp::from_secs(60), version: version(number) };
        let ours = |number| Turn::Ours(Box::new(tokens.clone()), version(number));
        for (waited_for, claim, expect) in [
            (None, granted(3), ours(3)),
            (None, busy(3), Turn::Wait(version(3))),
            // They gave up, or their claim ended.
            (Some(3), granted(3), ours(3)),
            (Some(3), busy(3), Turn::Wait(version(3))),
            // They were done before we looked again, and perhaps the next one has begun.
            (Some(3), granted(4), Turn::Replaced { held: true }),
            (Some(3), busy(4), Turn::Replaced { held: false }),
        ] {
            let told = format!("{waited_for:?} {claim:?}");
            assert_eq!(turn(waited_for.map(version), claim), expect, "{told}");
        }
    }
}
