//! Storing what ties conversations to accounts, in batches, so that a restart scatters nothing; learning what other
//! replicas tied; and removing what is over.
//!
//! Refuses: waiting. A tie that could not be stored is tried again for a while, then forgotten: it only saves money.

use std::sync::Arc;
use std::time::Duration;

use gateway_domain::Timestamp;
use gateway_scheduler::{KeptCache, KeptTie, MAX_HARD_TIES, MAX_LEFT_TIES, MAX_SOFT_TIES, Tie, TieKey};

use super::{ROUND, Rounds};
use crate::Gateway;
use crate::ports::{StoreError, TieQuery, TieRecord};

/// How often it is looked what other replicas tied.
const LEARN_EVERY: Duration = Duration::from_secs(10);
/// So much further back than the last time: what was written at the same moment, by clocks that differ.
const OVERLAP: Duration = Duration::from_secs(30);
/// The most ties learned in one go.
const MOST_LEARNED: u32 = 8_192;
/// How often what is over is removed.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// The most ties removed in one go.
const PRUNE_BATCH: u32 = 2_000;
/// Ties that wait for a database that does not answer.
const MOST_WAITING: usize = 32_768;

/// The most ties stored, and loaded at the start: as many as memory holds.
#[expect(clippy::cast_possible_truncation, reason = "small constants, checked below")]
const MOST_STORED: u32 = 2 * (MAX_HARD_TIES + MAX_LEFT_TIES + MAX_SOFT_TIES) as u32;
const _: () = assert!(MAX_HARD_TIES + MAX_LEFT_TIES + MAX_SOFT_TIES < 1 << 30);

/// Runs rounds until the gateway stops; what was tied until the last request ended is stored as well.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, ROUND);
    let mut waiting: Vec<TieRecord> = Vec::new();
    let mut learned_at = gateway.now();
    let mut pruned_at: Option<Timestamp> = None;
    while rounds.next().await.is_some() {
        save(&gateway, &mut waiting).await;
        let now = gateway.now();
        // A clock that was set back must not put either off.
        if now < learned_at || learned_at.plus(LEARN_EVERY) <= now {
            match learn(&gateway, learned_at).await {
                Ok(()) => learned_at = now,
                Err(error) => tracing::warn!(%error, "what other replicas tied could not be read"),
            }
        }
        if pruned_at.is_none_or(|at| now < at || at.plus(PRUNE_EVERY) <= now) {
            pruned_at = Some(now);
            if let Some(Err(error)) = rounds.unless_stopped(prune(&gateway, now)).await {
                tracing::warn!(%error, "ties that are over could not be removed");
            }
        }
    }
    gateway.drained.cancelled().await;
    save(&gateway, &mut waiting).await;
}

async fn save(gateway: &Gateway, waiting: &mut Vec<TieRecord>) {
    let ties = gateway.pool.lock().take_unsaved_ties();
    waiting.extend(ties.iter().map(record));
    if waiting.is_empty() {
        return;
    }
    // The oldest go first.
    waiting.drain(..waiting.len().saturating_sub(MOST_WAITING));
    match gateway.ties.save_ties(waiting.clone(), gateway.instance(), gateway.now()).await {
        Ok(()) => waiting.clear(),
        Err(error) => tracing::warn!(%error, "ties of conversations could not be stored; will try again"),
    }
}

/// Takes in what others tied since then.
async fn learn(gateway: &Gateway, since: Timestamp) -> Result<(), StoreError> {
    let back = i64::try_from(OVERLAP.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp::from_millis(since.as_millis().saturating_sub(back));
    gateway.learn_ties(since, MOST_LEARNED).await
}

async fn prune(gateway: &Gateway, now: Timestamp) -> Result<(), StoreError> {
    while gateway.ties.prune_ties(now, MOST_STORED, PRUNE_BATCH).await? >= u64::from(PRUNE_BATCH) {}
    Ok(())
}

impl Gateway {
    /// Takes in the ties that were stored before this process started.
    ///
    /// # Errors
    /// Storage refused.
    pub async fn load_ties(&self) -> Result<(), StoreError> {
        self.learn_ties(Timestamp::from_millis(0), MOST_STORED).await
    }

    async fn learn_ties(&self, saved_since: Timestamp, limit: u32) -> Result<(), StoreError> {
        let now = self.now();
        let wanted = TieQuery { saved_since, not_by: self.instance().to_owned(), now, limit };
        let mut ties: Vec<KeptTie> =
            self.ties.ties(wanted).await?.into_iter().filter_map(|tie| kept(&tie)).collect();
        ties.sort_unstable_by_key(|tie| tie.used_at);
        if ties.is_empty() {
            return Ok(());
        }
        self.pool.lock().restore_ties(&ties, now);
        Ok(())
    }
}

fn record(tie: &KeptTie) -> TieRecord {
    TieRecord {
        kind: tie.key.tie().code(),
        digest: tie.key.digest(),
        account: tie.account.clone(),
        used_at: tie.used_at,
        kept_until: tie.kept_until(),
        served_at: tie.cache.map(|cache| cache.served_at),
        body_bytes: tie.cache.map_or(0, |cache| cache.body_bytes),
        hits: tie.cache.and_then(|cache| cache.hits),
    }
}

fn kept(tie: &TieRecord) -> Option<KeptTie> {
    let (body_bytes, hits) = (tie.body_bytes, tie.hits);
    Some(KeptTie {
        key: TieKey::stored(Tie::of_code(tie.kind)?, tie.digest),
        account: tie.account.clone(),
        used_at: tie.used_at,
        cache: tie.served_at.map(|served_at| KeptCache { served_at, body_bytes, hits }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::AccountId;
    use gateway_scheduler::{HardTie, SoftTie};

    #[test]
    fn a_tie_comes_back_from_the_store_as_it_went() {
        let at = Timestamp::from_secs;
        let cache = |hits| Some(KeptCache { served_at: at(9), body_bytes: 7, hits });
        for (tie, cache) in [
            (Tie::Hard(HardTie::Response), None),
            (Tie::Soft(SoftTie::Session), cache(Some(0.25))),
            (Tie::Soft(SoftTie::Thread), cache(None)),
        ] {
            let key = TieKey::new(tie, "ada", "value").unwrap();
            let account = AccountId::parse("acc_1").unwrap();
            let went = KeptTie { key, account, used_at: at(10), cache };
            assert_eq!(kept(&record(&went)), Some(went.clone()));
            assert_eq!(record(&went).kept_until, at(10).plus(tie.kept_for()));
        }
        let newer = TieRecord {
            kind: 250,
            ..record(&KeptTie {
                key: TieKey::new(Tie::Hard(HardTie::File), "ada", "f").unwrap(),
                account: AccountId::parse("acc_1").unwrap(),
                used_at: at(1),
                cache: None,
            })
        };
        assert_eq!(kept(&newer), None, "a newer version's kind");
    }
}
