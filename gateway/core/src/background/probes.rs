//! Testing accounts that come back and that no request tries: in a quiet pool only a test can tell that they work
//! again. A test asks the upstream what costs nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use gateway_domain::{AccountId, Timestamp};

use super::{ROUND, Rounds};
use crate::Gateway;

/// Tests at once.
const AT_ONCE: usize = 4;
/// The most tests in one round.
const MOST_PER_ROUND: usize = 40;
/// The pause between two tests of one account.
const PAUSE: Duration = Duration::from_secs(20);

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, ROUND);
    let mut tested: HashMap<AccountId, Timestamp> = HashMap::new();
    while rounds.next().await.is_some() {
        let now = gateway.now();
        tested.retain(|_, at| *at <= now && now < at.plus(PAUSE));
        let due = due(&gateway, now, &tested);
        tested.extend(due.iter().map(|id| (id.clone(), now)));
        let testing = futures_util::stream::iter(due).for_each_concurrent(AT_ONCE, |id| test(&gateway, id));
        if rounds.unless_stopped(testing).await.is_none() {
            return;
        }
    }
}

fn due(gateway: &Gateway, now: Timestamp, tested: &HashMap<AccountId, Timestamp>) -> Vec<AccountId> {
    gateway.with_pool(|pool| {
        let due = pool.due_probes(now).into_iter().filter_map(|account| pool.slot(account));
        let due = due.map(|slot| slot.profile.id.clone()).filter(|id| !tested.contains_key(id));
        due.take(MOST_PER_ROUND).collect()
    })
}

async fn test(gateway: &Gateway, id: AccountId) {
    if let Err(error) = gateway.test_account(&id).await {
        tracing::debug!(account.id = %id, %error, "an account that comes back failed its test");
    }
}
