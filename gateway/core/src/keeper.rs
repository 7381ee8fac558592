//! Access tokens at hand for requests: fresh ones at once, ending ones renewed in the background, ended ones awaited.
//! One rotation at a time per account; whoever needs it meanwhile waits for the same one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_domain::{AccountId, CredentialVersion, Credentials, Secret, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::ports::{AccountStore, Observer, RefreshOutcome, Refresher, StoreError};

/// An access token is renewed this long before it ends.
pub const REFRESH_AHEAD: Duration = Duration::from_secs(5 * 60);
/// The longest a request waits for a rotation.
pub const WAIT_FOR_REFRESH: Duration = Duration::from_secs(30);
/// Rotations that a refused token is worth: the one that runs already may be the one that brought it.
const MAX_ROTATIONS: u32 = 2;

/// Rotations at once, whoever asked; each may be a process of its own. Further ones wait for a place.
pub const MOST_ROTATIONS: usize = 16;
/// Of these, rotations of tokens that are still good: none of them is waited for, so what finds no place is left to the
/// background, which knows whose turn it is.
const MOST_AHEAD: usize = 4;

/// What a request needs of an account's tokens.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// Sent as `Authorization: Bearer`.
    pub token: Arc<Secret>,
    /// When it ends, if it says so.
    pub expires_at: Option<Timestamp>,
    /// When it was obtained.
    pub refreshed_at: Timestamp,
    /// Which set of tokens it belongs to.
    pub version: CredentialVersion,
    /// Whether there is a refresh token; without one, trying to renew only ends the account earlier.
    pub renewable: bool,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Only a new sign-in helps.
    #[error("the account must be signed in again ({code})")]
    SignInNeeded {
        /// The issuer's code.
        code: String,
    },
    /// It may work later.
    #[error("no fresh token: {0}")]
    Passing(String),
}

type InFlight = watch::Receiver<Option<RefreshOutcome>>;

struct Cell {
    current: ArcSwap<AccessToken>,
    rotating: Mutex<Option<InFlight>>,
}

/// Keeps the access tokens of all accounts.
#[derive(Clone)]
pub struct TokenKeeper {
    cells: Arc<Mutex<HashMap<AccountId, Arc<Cell>>>>,
    store: Arc<dyn AccountStore>,
    refresher: Arc<dyn Refresher>,
    tracker: TaskTracker,
    observer: Arc<dyn Observer>,
    places: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
}

impl TokenKeeper {
    pub(crate) fn new(
        store: Arc<dyn AccountStore>,
        refresher: Arc<dyn Refresher>,
        tracker: TaskTracker,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            cells: Arc::default(),
            store,
            refresher,
            tracker,
            observer,
            places: Arc::new(Semaphore::new(MOST_ROTATIONS)),
            ahead: Arc::new(Semaphore::new(MOST_AHEAD)),
        }
    }

    /// Takes an account's newest tokens over from the store.
    ///
    /// # Errors
    /// The store does not have or cannot open them.
    pub async fn load(&self, id: &AccountId) -> Result<(), StoreError> {
        let (credentials, version) = self.store.credentials(id).await?;
        self.adopt(id, credentials, version);
        Ok(())
    }

    /// Takes over tokens that were read from the store.
    pub(crate) fn adopt(&self, id: &AccountId, credentials: Credentials, version: CredentialVersion) {
        let token = AccessToken {
            token: Arc::new(credentials.access_token),
            expires_at: credentials.expires_at,
            refreshed_at: credentials.refreshed_at,
            version,
            renewable: credentials.refresh_token.is_some(),
        };
        let mut cells = self.cells.lock();
        match cells.get(id) {
            // A slower reader must not bring an older set back.
            Some(cell) if cell.current.load().version > token.version => {}
            Some(cell) => cell.current.store(Arc::new(token)),
            None => {
                let cell = Cell { current: ArcSwap::from_pointee(token), rotating: Mutex::default() };
                cells.insert(id.clone(), Arc::new(cell));
            }
        }
    }

    /// Forgets an account.
    pub fn forget(&self, id: &AccountId) {
        self.cells.lock().remove(id);
    }

    /// What is known of an account's token, without waiting.
    #[must_use]
    pub fn peek(&self, id: &AccountId) -> Option<AccessToken> {
        self.cell(id).map(|cell| AccessToken::clone(&cell.current.load()))
    }

    fn cell(&self, id: &AccountId) -> Option<Arc<Cell>> {
        self.cells.lock().get(id).cloned()
    }

    /// A token that is good at `now`. Waits only when the one at hand has ended.
    ///
    /// # Errors
    /// There is none and none can be had now.
    pub async fn token(&self, id: &AccountId, now: Timestamp) -> Result<AccessToken, NoToken> {
        let cell = self.cell(id).ok_or_else(|| NoToken::Passing("the account has no tokens".to_owned()))?;
        let current = AccessToken::clone(&cell.current.load());
        match current.expires_at {
            Some(end) if end <= now => self.renew(id, current.version).await,
            Some(end) if end <= now.plus(REFRESH_AHEAD) && current.renewable => {
                if let Ok(place) = self.ahead.clone().try_acquire_owned() {
                    self.start(id, &cell, Some(place));
                }
                Ok(current)
            }
            _ => Ok(current),
        }
    }

    /// A newer token than that of `refused`: rotates unless somebody already did.
    ///
    /// # Errors
    /// There is none and none can be had now.
    pub async fn renew(&self, id: &AccountId, refused: CredentialVersion) -> Result<AccessToken, NoToken> {
        let cell = self.cell(id).ok_or_else(|| NoToken::Passing("the account has no tokens".to_owned()))?;
        for _ in 0..MAX_ROTATIONS {
            if cell.current.load().version > refused {
                return Ok(AccessToken::clone(&cell.current.load()));
            }
            let outcome = ended(self.start(id, &cell, None)).await;
            let current = AccessToken::clone(&cell.current.load());
            match outcome {
                // Also when there are newer tokens: they may be somebody else's.
                RefreshOutcome::SignInNeeded { code } => return Err(NoToken::SignInNeeded { code }),
                _ if current.version > refused => return Ok(current),
                RefreshOutcome::Failed { message } => return Err(NoToken::Passing(message)),
                RefreshOutcome::Refreshed | RefreshOutcome::Elsewhere => {}
            }
        }
        Err(NoToken::Passing("the rotation brought no newer token".to_owned()))
    }

    /// Rotates tokens that are still those of `known`, and waits until that has ended, however it ends: who counts
    /// rotations must not forget one that is slow. `None` when somebody already did.
    pub(crate) async fn rotate(&self, id: &AccountId, known: CredentialVersion) -> Option<RefreshOutcome> {
        let cell = self.cell(id)?;
        if cell.current.load().version > known {
            return None;
        }
        let mut rotation = self.start(id, &cell, None);
        let ended = rotation.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        let interrupted = || RefreshOutcome::Failed { message: "the rotation was interrupted".to_owned() };
        Some(ended.unwrap_or_else(interrupted))
    }

    /// Joins the rotation that runs, or starts one on a task of its own: a caller that leaves does not stop it. A place
    /// that it was given is kept until it ends.
    fn start(&self, id: &AccountId, cell: &Arc<Cell>, given: Option<OwnedSemaphorePermit>) -> InFlight {
        let mut rotating = cell.rotating.lock();
        if let Some(running) =
            rotating.as_ref().filter(|running| running.borrow().is_none() && running.has_changed().is_ok())
        {
            return running.clone();
        }
        let (done, waiting) = watch::channel(None);
        *rotating = Some(waiting.clone());
        let (keeper, id) = (self.clone(), id.clone());
        self.tracker.spawn(async move {
            let _given = given;
            // Never closed.
            let _place = keeper.places.acquire().await.ok();
            let mut outcome = keeper.refresher.refresh(id.clone()).await;
            // Whatever was said, the store knows best: adopt what is durable.
            if let Err(error) = keeper.load(&id).await {
                outcome = RefreshOutcome::Failed { message: error.to_string() };
            }
            report(&keeper, &id, &outcome);
            done.send_replace(Some(outcome));
        });
        waiting
    }
}

/// How a rotation ended, if it ends in time.
async fn ended(mut rotation: InFlight) -> RefreshOutcome {
    let failed = |message: &str| RefreshOutcome::Failed { message: message.to_owned() };
    match tokio::time::timeout(WAIT_FOR_REFRESH, rotation.wait_for(Option::is_some)).await {
        Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| failed("the rotation was interrupted")),
        Ok(Err(_)) => failed("the rotation was interrupted"),
        Err(_) => failed("the rotation takes too long"),
    }
}

fn report(keeper: &TokenKeeper, id: &AccountId, outcome: &RefreshOutcome) {
    match outcome {
        RefreshOutcome::Refreshed => {
            tracing::info!(account.id = %id, "tokens rotated");
            keeper.observer.refreshed("refreshed");
        }
        RefreshOutcome::Elsewhere => keeper.observer.refreshed("elsewhere"),
        RefreshOutcome::Failed { message } => {
            tracing::warn!(account.id = %id, error = message, "tokens could not be rotated; will try again");
            keeper.observer.refreshed("failed");
        }
        RefreshOutcome::SignInNeeded { code } => {
            tracing::warn!(account.id = %id, error.code = code, "the account must be signed in again");
            keeper.observer.refreshed("sign_in_needed");
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use gateway_domain::{AccountIdentity, AccountKind, AccountSettings, Failure};

    use super::*;
    use crate::import::tests::fake::{FakeStore, NOW};
    use crate::ports::{Ended, Imported, NewAccount, RankingSeen};

    struct Unseen;

    impl Observer for Unseen {
        fn status_of(&self, _: &Failure) -> u16 {
            500
        }
        fn ended(&self, _: Ended<'_>) {}
        fn ranked(&self, _: RankingSeen) {}
        fn settlement_dropped(&self) {}
        fn refreshed(&self, _: &'static str) {}
    }

    fn tokens(access: &str) -> Credentials {
        Credentials {
            access_token: access.into(),
            refresh_token: Some("r".into()),
            id_token: None,
            expires_at: None,
            refreshed_at: NOW,
        }
    }

    fn account() -> NewAccount {
        NewAccount {
            id: AccountId::generate(),
            kind: AccountKind::Codex,
            name: "ada".to_owned(),
            identity: AccountIdentity {
                workspace_id: Some("w".to_owned()),
                user_id: Some("u".to_owned()),
                email: None,
            },
            plan: None,
            settings: AccountSettings::default(),
            created_at: NOW,
        }
    }

    /// Each rotation stores new tokens at once and ends when it is let.
    struct Slow {
        store: Arc<FakeStore>,
        ends: tokio::sync::Semaphore,
    }

    struct Shared(Arc<Slow>);

    impl Refresher for Shared {
        fn refresh(&self, _: AccountId) -> BoxFuture<'static, RefreshOutcome> {
            let slow = self.0.clone();
            async move {
                drop(slow.store.import(account(), tokens("newer")).await);
                slow.ends.acquire().await.map_or_else(drop, tokio::sync::SemaphorePermit::forget);
                RefreshOutcome::Refreshed
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn a_token_that_the_running_rotation_brought_is_worth_another_one() {
        let store = Arc::new(FakeStore::default());
        let id = match store.import(account(), tokens("first")).await.unwrap() {
            Imported::Added(account) | Imported::Updated(account) => account.id,
        };
        let slow = Arc::new(Slow { store: store.clone(), ends: tokio::sync::Semaphore::new(0) });
        let refresher = Arc::new(Shared(slow.clone()));
        let keeper = TokenKeeper::new(store, refresher, TaskTracker::new(), Arc::new(Unseen));
        keeper.load(&id).await.unwrap();
        // The first rotation is durable and read from the store, but its process has not ended yet.
        drop(keeper.start(&id, &keeper.cell(&id).unwrap(), None));
        tokio::task::yield_now().await;
        keeper.load(&id).await.unwrap();
        assert_eq!(keeper.peek(&id).unwrap().version, CredentialVersion(2));
        // Its token is refused all the same.
        slow.ends.add_permits(2);
        let renewed = keeper.renew(&id, CredentialVersion(2)).await.unwrap();
        assert_eq!(renewed.version, CredentialVersion(3));
    }

    /// No rotation ends.
    #[derive(Default)]
    struct Stuck(std::sync::atomic::AtomicUsize);

    impl Refresher for Arc<Stuck> {
        fn refresh(&self, _: AccountId) -> BoxFuture<'static, RefreshOutcome> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            std::future::pending().boxed()
        }
    }

    #[tokio::test]
    async fn tokens_that_end_together_set_off_a_few_rotations_and_never_more_than_there_are_places() {
        let stuck = Arc::new(Stuck::default());
        let started = || stuck.0.load(std::sync::atomic::Ordering::SeqCst);
        let store = Arc::new(FakeStore::default());
        let refresher = Arc::new(stuck.clone());
        let keeper = TokenKeeper::new(store, refresher, TaskTracker::new(), Arc::new(Unseen));
        let ids: Vec<AccountId> = (0..3 * MOST_ROTATIONS).map(|_| AccountId::generate()).collect();
        for id in &ids {
            let soon = Some(NOW.plus(Duration::from_secs(60)));
            keeper.adopt(id, Credentials { expires_at: soon, ..tokens("soon") }, CredentialVersion(1));
        }
        for _ in 0..2 {
            for id in &ids {
                assert!(keeper.token(id, NOW).await.is_ok(), "it is still good");
            }
            tokio::task::yield_now().await;
            assert_eq!(started(), MOST_AHEAD);
        }
        for id in &ids {
            drop(keeper.start(id, &keeper.cell(id).unwrap(), None));
        }
        for _ in 0..ids.len() {
            tokio::task::yield_now().await;
        }
        assert_eq!(started(), MOST_ROTATIONS, "the others wait for a place");
    }
}
