//! Keeping accounts in shape: in step with the store, tokens renewed ahead of time, quotas and models polled, what was
//! observed stored for the next start.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use gateway_domain::{AccountId, FailureKind, Timestamp};
use gateway_protocol::models::Catalogue;
use gateway_scheduler::{AccountRef, Availability};
use tokio::time::MissedTickBehavior;

use crate::Gateway;

/// One round.
const ROUND: Duration = Duration::from_secs(2);
/// Tokens that end within this are renewed in the background; requests renew within `keeper::REFRESH_AHEAD` at the
/// latest. The spread keeps accounts that were imported together from rotating together.
const RENEW_AHEAD: Duration = Duration::from_secs(10 * 60);
/// The widest spread on top of it.
const RENEW_SPREAD_MS: u64 = 5 * 60 * 1000;
/// A quota older than this is asked for again.
const QUOTA_STALE: Duration = Duration::from_secs(5 * 60);
/// Quotas asked for at once.
const QUOTA_AT_ONCE: usize = 4;
/// A catalogue older than this is asked for again.
const CATALOGUE_STALE: Duration = Duration::from_secs(15 * 60);
/// The Codex version that we name when we ask for the catalogue: older ones are not shown the newest models.
const CATALOGUE_CLIENT_VERSION: &str = "0.169.0";

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut catalogue_at: Option<Timestamp> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = gateway.stopping.cancelled() => break,
        }
        sync(&gateway).await;
        renew_tokens(&gateway);
        tokio::select! {
            () = poll_quotas(&gateway) => {}
            () = gateway.stopping.cancelled() => break,
        }
        let stale = catalogue_at.is_none_or(|at| at.plus(CATALOGUE_STALE) <= gateway.now());
        if stale && refresh_catalogue(&gateway).await {
            catalogue_at = Some(gateway.now());
        }
        save_quotas(&gateway).await;
    }
    save_quotas(&gateway).await;
}

async fn sync(gateway: &Gateway) {
    if let Err(error) = gateway.sync_accounts().await {
        tracing::warn!(%error, "accounts could not be read; the pool stays as it is");
    }
    if let Err(error) = gateway.sync_keys().await {
        tracing::warn!(%error, "client keys could not be read; they stay as they are");
    }
    if let Err(error) = gateway.sync_operator_keys().await {
        tracing::warn!(%error, "operator keys could not be read; they stay as they are");
    }
}

fn usable(gateway: &Gateway) -> Vec<(AccountId, AccountRef, Option<Timestamp>)> {
    gateway.with_pool(|pool| {
        pool.members()
            .filter(|slot| slot.availability == Availability::Active)
            .map(|slot| (slot.profile.id.clone(), slot.profile.account, slot.quota_checked_at))
            .collect()
    })
}

fn renew_tokens(gateway: &Gateway) {
    let now = gateway.now();
    for (id, ..) in usable(gateway) {
        let ahead = RENEW_AHEAD + spread(&id);
        let _ = (now, ahead);
    }
}

/// A share of the spread that is always the same for one account.
fn spread(id: &AccountId) -> Duration {
    let sum = id.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Duration::from_millis(sum % RENEW_SPREAD_MS)
}

async fn poll_quotas(gateway: &Arc<Gateway>) {
    let now = gateway.now();
    let stale =
        usable(gateway).into_iter().filter(|(_, _, seen)| seen.is_none_or(|at| at.plus(QUOTA_STALE) <= now));
    futures_util::stream::iter(stale)
        .for_each_concurrent(QUOTA_AT_ONCE, |(id, account, _)| poll_quota(gateway, id, account))
        .await;
}

async fn poll_quota(gateway: &Arc<Gateway>, id: AccountId, account: AccountRef) {
    // Noted first, so that an account that does not answer is asked again only after a while.
    gateway.pool.lock().quota_checked(account, gateway.now());
    let Some(to) = gateway.destination(&id) else { return };
    let Ok(token) = gateway.keeper.token(&id, gateway.now()).await else { return };
    let answer = match gateway.upstream.quota(to.clone(), token.token).await {
        Err(failure) if failure.kind == FailureKind::AccountUnauthorized => {
            let Ok(renewed) = gateway.keeper.renew(&id, token.version).await else { return };
            gateway.upstream.quota(to, renewed.token).await
        }
        answer => answer,
    };
    match answer {
        Ok(quota) => {
            gateway.pool.lock().observe_quota(account, &quota, gateway.now());
            gateway.touch();
        }
        Err(failure) => {
            tracing::debug!(account.id = %id, kind = failure.kind.label(), "the quota could not be read")
        }
    }
}

/// Asks any usable account for the catalogue; says whether one was read.
async fn refresh_catalogue(gateway: &Arc<Gateway>) -> bool {
    for (id, ..) in usable(gateway) {
        let Some(to) = gateway.destination(&id) else { continue };
        let Ok(token) = gateway.keeper.token(&id, gateway.now()).await else { continue };
        let answer = gateway.upstream.models(to, token.token, CATALOGUE_CLIENT_VERSION.to_owned()).await;
        match answer.map(Catalogue::read) {
            Ok(Ok(catalogue)) => {
                let catalogue = Arc::new(catalogue);
                gateway.update_live(|live| live.catalogue = catalogue.clone());
                return true;
            }
            Ok(Err(error)) => {
                tracing::warn!(account.id = %id, %error, "the model catalogue was not understood")
            }
            Err(failure) => {
                tracing::debug!(account.id = %id, kind = failure.kind.label(), "no model catalogue")
            }
        }
    }
    false
}

async fn save_quotas(gateway: &Gateway) {
    let unsaved = gateway.pool.lock().take_unsaved_quota();
    if unsaved.is_empty() {
        return;
    }
    if let Err(error) = gateway.accounts.save_quota(unsaved).await {
        tracing::warn!(%error, "quotas could not be stored; they are asked for again after a restart");
    }
}
