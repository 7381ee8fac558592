//! Cases: the rotation of tokens, where a mistake costs an account.

use std::future::ready;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use gateway_core::ports::storage::{Claim, Finished, Learned, NewAccount, SeatFit, StoreError};
use gateway_core::ports::{
    Clock, IssuedTokens, RefreshOutcome, Replaced, SharedFiles, SystemClock, TokenIssuer, TokenIssuerError,
    Way,
};
use gateway_core::refresh::{Errand, Means, rotate};
use gateway_domain::{
    AccountId, AccountIdentity, AccountState, Credentials, Secret, SignInReason, Timestamp,
};
use gateway_store::Store;

use crate::fixture::Fixture;
use crate::values::{
    add, at, busy, claim, claim_as, holder, listed, nameless, seat, stored, tokens, version,
};

const STALE: StoreError = StoreError::Conflict { what: "the account's tokens" };

fn dead() -> AccountState {
    AccountState::SignInNeeded { reason: SignInReason("refresh_token_reused".to_owned()) }
}

pub async fn a_claim_is_exclusive_until_it_ends(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let granted = store.accounts().claim_refresh(&id, &holder("me"), at(100), at(160)).await.unwrap();
    assert_eq!(granted, Claim::Granted { credentials: tokens("first"), version: version(1) });
    for now in [100, 130, 159] {
        assert_eq!(busy(&store, &id, now).await, Some(at(160)), "at {now}");
    }
    assert_eq!(busy(&store, &id, 160).await, None, "a claim ends by itself");
    let other = add(&store, "other").await;
    assert_eq!(busy(&store, &other, 100).await, None, "accounts do not wait for one another");
}

pub async fn a_claim_outlives_its_process(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    claim(&store, &id, 100, 160).await;
    store.close().await;
    assert_eq!(busy(&fixture.open().await, &id, 159).await, Some(at(160)));
}

pub async fn of_many_claims_at_once_one_is_granted(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let id = add(&stores[0], "work").await;
    for round in 0..5 {
        let now = 1000 * (round + 1);
        let claims = (0..8).map(|number: usize| {
            let (accounts, id) = (stores[number % 2].accounts(), id.clone());
            async move {
                let me = holder(&number.to_string());
                accounts.claim_refresh(&id, &me, at(now), at(now + 60)).await.unwrap()
            }
        });
        let granted = join_all(claims.map(tokio::spawn)).await;
        let granted = granted.iter().filter(|claim| matches!(claim, Ok(Claim::Granted { .. }))).count();
        assert_eq!(granted, 1, "round {round}");
    }
}

pub async fn a_result_is_stored_and_frees_the_claim(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let held = claim(&store, &id, 100, 160).await;
    let mut fresh = tokens("second");
    fresh.refresh_token = None;
    fresh.id_token = None;
    fresh.expires_at = None;
    fresh.refreshed_at = at(101);
    let new = store.accounts().finish_refresh(&id, held, fresh.clone(), None).await.unwrap();
    assert_eq!(new, Finished { version: version(2), seat: SeatFit::Fits });
    assert_eq!(stored(&fixture.open().await, &id).await, (fresh, 2), "another process sees all of it");
    assert_eq!(busy(&store, &id, 102).await, None);
}

pub async fn a_stale_result_changes_nothing(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let accounts = store.accounts();
    accounts.finish_refresh(&id, version(1), tokens("second"), None).await.unwrap();
    claim(&store, &id, 100, 160).await;
    accounts.set_state(&id, dead()).await.unwrap();
    for replaces in [0, 1, 3, -1, i64::MAX] {
        assert_eq!(
            accounts.finish_refresh(&id, version(replaces), tokens("stale"), None).await,
            Err(STALE.clone())
        );
    }
    assert_eq!(stored(&store, &id).await, (tokens("second"), 2));
    assert_eq!(busy(&store, &id, 150).await, Some(at(160)), "the claim of who holds the newer tokens stays");
    assert_eq!(listed(&store, &id).await.account.state, dead());
}

pub async fn a_sign_in_ends_a_claim(fixture: Fixture) {
    let store = fixture.open().await;
    let new = seat("work", "w1", "u1");
    let id = new.id.clone();
    let accounts = store.accounts();
    accounts.import(new, tokens("first")).await.unwrap();
    let held = claim(&store, &id, 100, 160).await;
    accounts.import(seat("work", "w1", "u1"), tokens("sign-in")).await.unwrap();
    assert_eq!(accounts.finish_refresh(&id, held, tokens("late"), None).await, Err(STALE));
    assert_eq!(stored(&store, &id).await, (tokens("sign-in"), 2));
    assert_eq!(accounts.bury(&id, held, dead()).await, Err(STALE));
    assert_eq!(
        listed(&store, &id).await.account.state,
        AccountState::Active,
        "the old tokens died, not these"
    );
}

pub async fn of_two_results_the_first_counts(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let id = add(&stores[0], "work").await;
    // The first holder was slow, its claim ended, and a second one began with the same tokens.
    let slow = claim(&stores[0], &id, 100, 160).await;
    let quick = claim(&stores[1], &id, 170, 230).await;
    assert_eq!(slow, quick);
    let ends = [(0, "slow"), (1, "quick")].map(|(number, label): (usize, _)| {
        let (accounts, id) = (stores[number].accounts(), id.clone());
        tokio::spawn(async move {
            accounts.finish_refresh(&id, slow, tokens(label), None).await.map(|new| (new, label))
        })
    });
    let ends: Vec<_> = join_all(ends).await.into_iter().map(Result::unwrap).collect();
    let won: Vec<_> = ends.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{ends:?}");
    assert!(ends.contains(&Err(STALE)), "{ends:?}");
    assert_eq!(stored(&stores[0], &id).await, (tokens(won[0].1), 2));
}

pub async fn giving_up_frees_the_claim(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    claim_as(&store, &id, "mine", 100, 160).await;
    store.accounts().abandon_refresh(&id, &holder("other")).await.unwrap();
    assert_eq!(busy(&store, &id, 101).await, Some(at(160)), "only its holder gives a claim back");
    fixture.open().await.accounts().abandon_refresh(&id, &holder("mine")).await.unwrap();
    assert_eq!(busy(&store, &id, 102).await, None);
    assert_eq!(stored(&store, &id).await, (tokens("first"), 1));
    assert_eq!(listed(&store, &id).await.account.state, AccountState::Active);
}

pub async fn a_late_holder_cannot_give_back_a_newer_claim(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let accounts = store.accounts();
    let slow = claim_as(&store, &id, "slow", 100, 160).await;
    assert_eq!(claim_as(&store, &id, "quick", 170, 230).await, slow, "the tokens are the same");
    accounts.abandon_refresh(&id, &holder("slow")).await.unwrap();
    assert_eq!(busy(&store, &id, 180).await, Some(at(230)));
    accounts.abandon_refresh(&id, &holder("quick")).await.unwrap();
    assert_eq!(busy(&store, &id, 181).await, None);
    // Whoever has finished holds nothing any more.
    let held = claim_as(&store, &id, "done", 300, 360).await;
    accounts.finish_refresh(&id, held, tokens("second"), None).await.unwrap();
    claim_as(&store, &id, "next", 310, 370).await;
    accounts.abandon_refresh(&id, &holder("done")).await.unwrap();
    assert_eq!(busy(&store, &id, 320).await, Some(at(370)));
}

pub async fn a_claim_of_an_older_gateway_is_not_given_back(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    claim_as(&store, &id, "mine", 100, 160).await;
    // It claims after ours has ended, and knows nothing of holders.
    fixture.execute("UPDATE credentials SET refresh_claimed_until = 230000").await;
    store.accounts().abandon_refresh(&id, &holder("mine")).await.unwrap();
    assert_eq!(busy(&store, &id, 180).await, Some(at(230)));
}

pub async fn burying_marks_the_account_and_ends_the_claim(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let held = claim(&store, &id, 100, 160).await;
    store.accounts().bury(&id, held, dead()).await.unwrap();
    let store = fixture.open().await;
    assert_eq!(listed(&store, &id).await.account.state, dead());
    assert_eq!(stored(&store, &id).await, (tokens("first"), 1));
    assert_eq!(busy(&store, &id, 101).await, None);
}

pub async fn a_stale_burial_touches_nothing(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let accounts = store.accounts();
    let old = claim(&store, &id, 100, 160).await;
    accounts.finish_refresh(&id, old, tokens("second"), None).await.unwrap();
    claim(&store, &id, 200, 260).await;
    for number in [0, 1, 3, i64::MAX] {
        assert_eq!(accounts.bury(&id, version(number), dead()).await, Err(STALE), "{number}");
    }
    assert_eq!(busy(&store, &id, 210).await, Some(at(260)), "the newer claim stays");
    assert_eq!(listed(&store, &id).await.account.state, AccountState::Active);
    assert_eq!(stored(&store, &id).await, (tokens("second"), 2));
}

pub async fn new_tokens_revive_what_was_called_dead(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let accounts = store.accounts();
    // Two spent the same refresh token: one was told that it is used up, the other has its successor.
    accounts.bury(&id, version(1), dead()).await.unwrap();
    accounts.finish_refresh(&id, version(1), tokens("second"), None).await.unwrap();
    assert_eq!(listed(&store, &id).await.account.state, AccountState::Active);

    accounts.set_state(&id, AccountState::Paused).await.unwrap();
    accounts.finish_refresh(&id, version(2), tokens("third"), None).await.unwrap();
    assert_eq!(
        listed(&store, &id).await.account.state,
        AccountState::Paused,
        "what the operator set aside stays so"
    );
}

fn learned(workspace: &str, user: &str) -> Option<Learned> {
    let identity = AccountIdentity {
        workspace_id: Some(workspace.to_owned()),
        user_id: Some(user.to_owned()),
        email: Some(format!("{user}@elsewhere.example")),
    };
    Some(Learned { identity, plan: Some("pro".to_owned()) })
}

pub async fn tokens_that_name_their_owner_fill_in_what_was_not_known(fixture: Fixture) {
    let store = fixture.open().await;
    let accounts = store.accounts();
    let bare = NewAccount { plan: None, ..nameless("bare") };
    let id = bare.id.clone();
    accounts.import(bare, tokens("first")).await.unwrap();
    let done = accounts.finish_refresh(&id, version(1), tokens("second"), learned("w9", "u9")).await;
    assert_eq!(done, Ok(Finished { version: version(2), seat: SeatFit::Fits }));
    let account = listed(&store, &id).await.account;
    assert_eq!(account.identity, learned("w9", "u9").unwrap().identity);
    assert_eq!((account.plan.as_deref(), account.state), (Some("pro"), AccountState::Active));
    // From now on its seat is known: an import of the same person meets it.
    accounts.import(seat("again", "w9", "u9"), tokens("third")).await.unwrap();
    assert_eq!(stored(&store, &id).await, (tokens("third"), 3));

    let known = add(&store, "known").await;
    accounts.finish_refresh(&known, version(1), tokens("x"), learned("other", "known")).await.unwrap();
    let account = listed(&store, &known).await.account;
    assert_eq!(account.identity, seat("known", "workspace", "known").identity, "what was known stays");
    assert_eq!(account.plan.as_deref(), Some("plus"));
    // A stale result teaches nothing either.
    let other = nameless("other");
    let other_id = other.id.clone();
    accounts.import(other, tokens("first")).await.unwrap();
    let stale = accounts.finish_refresh(&other_id, version(7), tokens("x"), learned("w7", "u7")).await;
    assert_eq!(stale, Err(STALE));
    assert_eq!(listed(&store, &other_id).await.account.identity, AccountIdentity::default());
}

pub async fn tokens_of_a_seat_that_does_not_fit_are_kept_and_the_account_is_set_aside(fixture: Fixture) {
    let store = fixture.open().await;
    let accounts = store.accounts();
    let first = add(&store, "ann").await;
    let bare = nameless("bare");
    let id = bare.id.clone();
    accounts.import(bare, tokens("bare")).await.unwrap();
    let aside =
        |fit: SeatFit| AccountState::SignInNeeded { reason: SignInReason(fit.reason().unwrap().to_owned()) };
    let done = accounts.finish_refresh(&id, version(1), tokens("second"), learned("workspace", "ann")).await;
    assert_eq!(done, Ok(Finished { version: version(2), seat: SeatFit::Taken }));
    assert_eq!(stored(&store, &id).await, (tokens("second"), 2), "no refresh token is lost");
    assert_eq!(stored(&store, &first).await, (tokens("first"), 1), "the one who had the seat is not touched");
    let account = listed(&store, &id).await.account;
    assert_eq!((account.state, account.identity), (aside(SeatFit::Taken), AccountIdentity::default()));
    assert_eq!(listed(&store, &first).await.account.state, AccountState::Active);
    // Once the other one is gone, the seat is free.
    accounts.delete(&first).await.unwrap();
    let done = accounts.finish_refresh(&id, version(2), tokens("third"), learned("workspace", "ann")).await;
    assert_eq!(done.unwrap().seat, SeatFit::Fits);
    let account = listed(&store, &id).await.account;
    assert_eq!(
        (account.state, account.identity.seat()),
        (AccountState::Active, Some("workspace/ann".into()))
    );

    let known = add(&store, "known").await;
    let done = accounts.finish_refresh(&known, version(1), tokens("x"), learned("workspace", "else")).await;
    assert_eq!(done.unwrap().seat, SeatFit::SomebodyElse);
    assert_eq!(stored(&store, &known).await, (tokens("x"), 2));
    let account = listed(&store, &known).await.account;
    assert_eq!(account.state, aside(SeatFit::SomebodyElse));
    assert_eq!(account.identity, seat("known", "workspace", "known").identity);
}

/// Hands out tokens, and counts how often.
#[derive(Default)]
struct Issuer(AtomicU32);

impl TokenIssuer for Issuer {
    fn rotate(&self, _: Secret, _: Way) -> BoxFuture<'_, Result<IssuedTokens, TokenIssuerError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let Credentials { access_token, refresh_token, id_token, .. } = tokens("issued");
        let issued = IssuedTokens { access_token, refresh_token, id_token, expires_in: Some(3_600) };
        ready(Ok(issued)).boxed()
    }
}

/// No Codex CLI shares anything here.
struct NoFiles;

impl SharedFiles for NoFiles {
    fn changed_at(&self, _: &Path) -> BoxFuture<'_, Result<Option<Timestamp>, String>> {
        ready(Ok(None)).boxed()
    }

    fn read(&self, _: &Path) -> BoxFuture<'_, Result<Option<Secret>, String>> {
        ready(Ok(None)).boxed()
    }

    fn replace(&self, _: &Path, _: Secret, _: Secret) -> BoxFuture<'_, Result<Replaced, String>> {
        ready(Err("nothing is shared".to_owned())).boxed()
    }
}

/// Rotates while somebody else holds the claim, who does `other` once the rotation waits for them. How it ended, and how
/// often a token was spent.
async fn rotate_behind(store: &Store, id: &AccountId, other: impl AsyncFnOnce()) -> (RefreshOutcome, u32) {
    let issuer = Issuer::default();
    let accounts = store.accounts();
    let means = Means { store: &*accounts, issuer: &issuer, clock: &SystemClock, files: &NoFiles };
    let waiting = rotate(means, id, Errand { way: Way::Direct, shared: None });
    let (outcome, ()) = futures_util::future::join(waiting, async {
        // Long enough that it looked at least once; a rotation that is slower than that only proves less.
        tokio::time::sleep(Duration::from_millis(120)).await;
        other().await;
    })
    .await;
    (outcome, issuer.0.load(Ordering::Relaxed))
}

pub async fn who_waits_for_a_rotation_takes_its_result(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let now = SystemClock.now().as_secs();
    let theirs = claim_as(&store, &id, "other", now, now + 60).await;
    let waited = rotate_behind(&store, &id, async || {
        store.accounts().finish_refresh(&id, theirs, tokens("theirs"), None).await.unwrap();
    });
    assert_eq!(waited.await, (RefreshOutcome::Elsewhere, 0));
    assert_eq!(stored(&store, &id).await, (tokens("theirs"), 2));
    assert_eq!(busy(&store, &id, now).await, None, "no claim is left behind");
}

pub async fn who_waits_for_a_rotation_that_is_given_up_goes_on(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let now = SystemClock.now().as_secs();
    claim_as(&store, &id, "other", now, now + 60).await;
    let waited = rotate_behind(&store, &id, async || {
        store.accounts().abandon_refresh(&id, &holder("other")).await.unwrap();
    });
    assert_eq!(waited.await, (RefreshOutcome::Refreshed, 1));
    assert_eq!(stored(&store, &id).await.1, 2);
}
