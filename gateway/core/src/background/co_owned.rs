//! Watching the `auth.json` files that Codex CLIs share with us: what a CLI renewed is taken over within seconds,
//! before we would spend the token that it already spent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountId, Timestamp};

use super::Rounds;
use crate::Gateway;
use crate::co_owned::Shared;
use crate::refresh::{Adopted, adopt};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(30);
/// The longest a look at one file may take: it may lie on a network folder.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, EVERY);
    let mut seen: HashMap<AccountId, Timestamp> = HashMap::new();
    while rounds.next().await.is_some() {
        let accounts = gateway.accounts();
        let shared: Vec<(AccountId, Shared)> = accounts
            .values()
            .filter_map(|account| Some((account.id.clone(), Shared::of(account)?)))
            .collect();
        seen.retain(|id, _| accounts.get(id).is_some_and(|account| account.settings.co_owned.is_some()));
        let looks = async {
            for (id, shared) in shared {
                let look = tokio::time::timeout(PATIENCE, look(&gateway, &id, &shared, &mut seen)).await;
                if let Ok(Err(error)) = look {
                    tracing::warn!(account.id = %id, error, "a shared auth.json could not be taken over");
                }
            }
        };
        if rounds.unless_stopped(looks).await.is_none() {
            return;
        }
    }
}

async fn look(
    gateway: &Gateway,
    id: &AccountId,
    shared: &Shared,
    seen: &mut HashMap<AccountId, Timestamp>,
) -> Result<(), String> {
    let Some(changed) = gateway.shared_files.changed_at(&shared.path).await? else { return Ok(()) };
    if seen.get(id) == Some(&changed) {
        return Ok(());
    }
    let Some(text) = gateway.shared_files.read(&shared.path).await? else { return Ok(()) };
    let adopted = adopt(&*gateway.accounts, &*gateway.clock, id, shared, &text).await;
    match adopted.map_err(|error| error.to_string())? {
        // Looked at again the next time.
        Adopted::Busy => return Ok(()),
        Adopted::NothingNewer => {}
        Adopted::Newer => {
            tracing::info!(account.id = %id, "tokens that a Codex CLI renewed were taken over");
            gateway.sync_accounts().await.map_err(|error| error.to_string())?;
        }
    }
    seen.insert(id.clone(), changed);
    Ok(())
}
