//! Which models there are: the Codex catalogue, and what the upstreams of accounts of other kinds list.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use gateway_domain::{AccountId, AccountKind, AccountState, Timestamp};
use gateway_protocol::models::{Catalogue, ListedModel};
use gateway_scheduler::{Availability, Way};

use super::{ROUND, Rounds};
use crate::Gateway;

/// A catalogue or a list older than this is asked for again.
const STALE: Duration = Duration::from_secs(15 * 60);
/// A server that did not answer is asked again after this.
const AGAIN: Duration = Duration::from_secs(60);
/// Servers asked at once.
const AT_ONCE: usize = 4;
/// The most servers asked in one round.
const MOST_PER_ROUND: usize = 40;
/// The most accounts asked for the catalogue in one round.
const CATALOGUE_TRIES: usize = 5;
/// The Codex version that we name when we ask for the catalogue: older ones are not shown the newest models.
const CATALOGUE_CLIENT_VERSION: &str = "0.169.0";
/// The most models of other upstreams that are listed.
const MAX_LISTED: usize = 10_000;

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, ROUND);
    let mut catalogue_at: Option<Timestamp> = None;
    let mut asked: HashMap<AccountId, Timestamp> = HashMap::new();
    let mut turn = 0;
    while rounds.next().await.is_some() {
        let now = gateway.now();
        let stale = catalogue_at.is_none_or(|at| at > now || at.plus(STALE) <= now);
        let work = async {
            if stale && refresh_catalogue(&gateway, &mut turn).await {
                catalogue_at = Some(gateway.now());
            }
            list_models(&gateway, &mut asked).await;
        };
        if rounds.unless_stopped(work).await.is_none() {
            return;
        }
        publish(&gateway);
    }
}

/// The usable accounts of a kind.
fn usable(gateway: &Gateway, wanted: impl Fn(AccountKind) -> bool) -> Vec<AccountId> {
    gateway.with_pool(|pool| {
        pool.members()
            .filter(|slot| slot.availability == Availability::Active && slot.way == Way::Open)
            .filter(|slot| AccountKind::parse(&slot.profile.provider).is_some_and(&wanted))
            .map(|slot| slot.profile.id.clone())
            .collect()
    })
}

/// Asks usable accounts for the catalogue, each round others; says whether one was read.
async fn refresh_catalogue(gateway: &Gateway, turn: &mut usize) -> bool {
    let accounts = usable(gateway, |kind| kind == AccountKind::Codex);
    let skip = turn.checked_rem(accounts.len()).unwrap_or(0);
    for id in accounts.iter().cycle().skip(skip).take(CATALOGUE_TRIES.min(accounts.len())) {
        *turn = turn.wrapping_add(1);
        let Some(to) = gateway.destination(id) else { continue };
        let Ok(token) = gateway.keeper.token(id, gateway.now()).await else { continue };
        let answer = gateway.upstream.models(to, token.token, CATALOGUE_CLIENT_VERSION.to_owned()).await;
        match answer.map(Catalogue::read) {
            Ok(Ok(catalogue)) => {
                // The next round begins with the same one.
                *turn = turn.wrapping_sub(1);
                let catalogue = Arc::new(catalogue.with_listed(listed(gateway)));
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

/// Asks the upstreams of accounts of other kinds what they have, where that was long ago.
async fn list_models(gateway: &Gateway, asked: &mut HashMap<AccountId, Timestamp>) {
    let now = gateway.now();
    let others = usable(gateway, |kind| kind != AccountKind::Codex);
    let there: HashSet<&AccountId> = others.iter().collect();
    asked.retain(|id, next| there.contains(id) && now < *next && *next <= now.plus(STALE));
    let due: Vec<AccountId> =
        others.iter().filter(|id| !asked.contains_key(id)).take(MOST_PER_ROUND).cloned().collect();
    let looks = futures_util::stream::iter(due)
        .map(|id| async move {
            let looked = gateway.look_at_account(&id).await;
            if let Err(error) = &looked {
                tracing::debug!(account.id = %id, %error, "the upstream's models could not be read");
            }
            (id, if looked.is_ok() { STALE } else { AGAIN })
        })
        .buffer_unordered(AT_ONCE);
    let next: Vec<_> = looks.collect().await;
    let now = gateway.now();
    asked.extend(next.into_iter().map(|(id, pause)| (id, now.plus(pause))));
}

/// What the upstreams of usable accounts of other kinds list and the operator allows, each name once.
fn listed(gateway: &Gateway) -> Vec<ListedModel> {
    let accounts = gateway.accounts();
    let known = gateway.listed_models.lock();
    let mut models: Vec<ListedModel> = known
        .iter()
        .filter_map(|(id, models)| Some((accounts.get(id)?, models)))
        .filter(|(account, _)| account.state == AccountState::Active)
        .flat_map(|(account, models)| {
            let allowed = models.iter().filter(|model| account.settings.allows(model));
            allowed.map(|model| ListedModel { id: model.clone(), owner: account.kind.as_str() })
        })
        .collect();
    models.sort_unstable();
    models.dedup_by(|a, b| a.id == b.id);
    models.truncate(MAX_LISTED);
    models
}

/// Makes a changed list visible.
fn publish(gateway: &Gateway) {
    let catalogue = gateway.catalogue();
    let listed = listed(gateway);
    if catalogue.listed() != listed {
        let catalogue = Arc::new(catalogue.with_listed(listed));
        gateway.update_live(|live| live.catalogue = catalogue.clone());
    }
}
