//! Case: random histories of one account against a model of a few lines.

use gateway_core::ports::storage::{Claim, Imported, StoreError};
use gateway_domain::{AccountId, AccountState, SignInReason};
use gateway_store::Store;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::fixture::Fixture;
use crate::values::{at, holder, listed, seat, stored, tokens, version};

const HISTORIES: u64 = 8;
const STEPS: usize = 30;

struct Model {
    now: i64,
    version: i64,
    label: String,
    claimed_until: i64,
    holder: String,
    state: AccountState,
}

fn dead() -> AccountState {
    AccountState::SignInNeeded { reason: SignInReason("token_revoked".to_owned()) }
}

pub async fn the_version_strictly_grows(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    for seed in 0..HISTORIES {
        history(&stores, seed).await;
    }
}

async fn history(stores: &[Store; 2], seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let user = format!("user-{seed}");
    let new = seat(&user, "w1", &user);
    let id = new.id.clone();
    stores[0].accounts().import(new, tokens("0")).await.unwrap();
    let mut model = Model {
        now: 0,
        version: 1,
        label: "0".to_owned(),
        claimed_until: 0,
        holder: String::new(),
        state: AccountState::Active,
    };
    let mut told = Vec::new();
    for step in 1..=STEPS {
        let before = model.version;
        model.now += random.random_range(0..30);
        let store = &stores[random.random_range(0..2)];
        told.push(take_step(store, &id, &user, &mut model, &mut random, step).await);

        let (credentials, number) = stored(&stores[random.random_range(0..2)], &id).await;
        let seen = (number, credentials, listed(store, &id).await.account.state);
        let expected = (model.version, tokens(&model.label), model.state.clone());
        assert_eq!(seen, expected, "seed {seed}: {told:#?}");
        let changed = told.last().is_some_and(|step| step.ends_with("new tokens"));
        assert_eq!(number > before, changed, "seed {seed}: {told:#?}");
        assert!(number >= before, "seed {seed}: {told:#?}");
    }
}

/// One random call and what the model expects of it; says what it was.
async fn take_step(
    store: &Store,
    id: &AccountId,
    user: &str,
    model: &mut Model,
    random: &mut StdRng,
    step: usize,
) -> String {
    let accounts = store.accounts();
    let guess = model.version + random.random_range(-1..=1);
    let label = step.to_string();
    match random.random_range(0..7) {
        0 | 1 => {
            let until = model.now + 20;
            match accounts.claim_refresh(id, &holder(&label), at(model.now), at(until)).await.unwrap() {
                Claim::Granted { credentials, version: number } => {
                    assert!(model.claimed_until <= model.now, "granted while claimed");
                    assert_eq!((credentials, number.0), (tokens(&model.label), model.version));
                    (model.claimed_until, model.holder) = (until, label);
                    "claim: granted".to_owned()
                }
                Claim::Busy { until, version: number } => {
                    assert!(model.claimed_until > model.now, "busy while free");
                    assert_eq!((until, number.0), (at(model.claimed_until), model.version));
                    "claim: busy".to_owned()
                }
            }
        }
        2 => {
            let done = accounts.finish_refresh(id, version(guess), tokens(&label), None).await;
            if guess != model.version {
                assert!(matches!(done, Err(StoreError::Conflict { .. })), "{done:?}");
                return format!("finish of {guess}: refused");
            }
            model.version += 1;
            assert_eq!(done.map(|done| done.version), Ok(version(model.version)));
            (model.label, model.claimed_until) = (label, 0);
            if model.state == dead() {
                model.state = AccountState::Active;
            }
            format!("finish of {guess}: new tokens")
        }
        3 => {
            let who = if random.random_bool(0.5) { model.holder.clone() } else { label };
            accounts.abandon_refresh(id, &holder(&who)).await.unwrap();
            if who == model.holder {
                model.claimed_until = 0;
            }
            format!("abandon by {who}")
        }
        4 => {
            let done = accounts.bury(id, version(guess), dead()).await;
            if guess != model.version {
                assert!(matches!(done, Err(StoreError::Conflict { .. })), "{done:?}");
                return format!("bury of {guess}: refused");
            }
            assert_eq!(done, Ok(()));
            (model.claimed_until, model.state) = (0, dead());
            format!("bury of {guess}")
        }
        5 => {
            let imported = accounts.import(seat("again", "w1", user), tokens(&label)).await.unwrap();
            assert!(matches!(imported, Imported::Updated(account) if account.id == *id));
            model.version += 1;
            (model.label, model.claimed_until, model.state) = (label, 0, AccountState::Active);
            "import: new tokens".to_owned()
        }
        _ => {
            let state = if random.random_bool(0.5) { AccountState::Paused } else { AccountState::Active };
            accounts.set_state(id, state.clone()).await.unwrap();
            model.state = state;
            "set state".to_owned()
        }
    }
}
