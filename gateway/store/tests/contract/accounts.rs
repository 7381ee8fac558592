//! Cases: accounts as such.

use std::collections::HashSet;

use futures_util::future::join_all;
use gateway_core::ports::storage::{Imported, NewAccount, StoreError};
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountSettings, AccountState, Credits, FeatureWindow,
    QuotaSnapshot, SignInReason, Window,
};
use gateway_store::Store;

use crate::fixture::Fixture;
use crate::values::{
    add, at, busy, claim, full_settings, holder, listed, nameless, seat, stored, tokens, version,
};

const GONE: StoreError = StoreError::NotFound { what: "the account" };

fn added(imported: Imported) -> Account {
    match imported {
        Imported::Added(account) => account,
        Imported::Updated(account) => panic!("{account:?} was updated, not added"),
    }
}

async fn import(store: &Store, account: NewAccount, label: &str) -> Imported {
    store.accounts().import(account, tokens(label)).await.unwrap()
}

pub async fn a_new_seat_is_added(fixture: Fixture) {
    let store = fixture.open().await;
    let new = seat("work", "w1", "u1");
    let account = added(import(&store, new.clone(), "a").await);
    let expected = Account {
        id: new.id,
        kind: new.kind,
        name: new.name,
        identity: new.identity,
        plan: new.plan,
        state: AccountState::Active,
        settings: new.settings,
        created_at: new.created_at,
    };
    assert_eq!(account, expected);
    let list = store.accounts().list().await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0].account, &list[0].quota, list[0].version), (&expected, &None, version(1)));
    assert_eq!(store.accounts().account(&expected.id).await.unwrap(), expected);
    let gone = AccountId::parse("acc_gone").unwrap();
    let missing = store.accounts().account(&gone).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    assert_eq!(stored(&store, &account.id).await, (tokens("a"), 1));
}

pub async fn a_known_seat_is_updated_in_place(fixture: Fixture) {
    let store = fixture.open().await;
    let first = added(import(&store, seat("work", "w1", "u1"), "a").await);
    store.accounts().rename(&first.id, "mine").await.unwrap();
    claim(&store, &first.id, 100, 200).await;
    let dead = AccountState::SignInNeeded { reason: SignInReason("refresh_token_reused".to_owned()) };
    store.accounts().set_state(&first.id, dead).await.unwrap();

    let mut again = NewAccount { plan: None, ..seat("other", "w1", "u1") };
    again.identity.email = Some("new@example.org".to_owned());
    let Imported::Updated(account) = import(&store, again, "b").await else {
        panic!("added a known seat again")
    };

    assert_eq!((&account.id, account.name.as_str()), (&first.id, "mine"), "its id and name are kept");
    assert_eq!(account.state, AccountState::Active);
    assert_eq!(account.plan.as_deref(), Some("plus"), "what the new token does not say is kept");
    assert_eq!(account.identity.email.as_deref(), Some("new@example.org"));
    assert_eq!(account.created_at, first.created_at);
    assert_eq!(listed(&store, &first.id).await.account, account);
    assert_eq!(store.accounts().list().await.unwrap().len(), 1);
    assert_eq!(stored(&store, &first.id).await, (tokens("b"), 2));
    assert_eq!(busy(&store, &first.id, 150).await, None, "the claim on the old tokens is gone");
}

pub async fn seats_of_one_workspace_are_accounts_of_their_own(fixture: Fixture) {
    let store = fixture.open().await;
    let ann = added(import(&store, seat("team", "w1", "ann"), "a").await);
    let bob = added(import(&store, seat("team", "w1", "bob"), "b").await);
    let elsewhere = added(import(&store, seat("team", "w2", "ann"), "c").await);
    assert_eq!([&ann.name, &bob.name, &elsewhere.name], ["team", "team 2", "team 3"]);
    assert_eq!(stored(&store, &ann.id).await.0, tokens("a"));
    assert_eq!(stored(&store, &bob.id).await.0, tokens("b"));
    assert!(
        matches!(import(&store, seat("x", "w1", "bob"), "d").await, Imported::Updated(account) if account.id == bob.id)
    );
    assert_eq!(stored(&store, &ann.id).await, (tokens("a"), 1), "the other seat is untouched");
}

pub async fn an_account_without_a_seat_is_always_new(fixture: Fixture) {
    let store = fixture.open().await;
    let no_user = || {
        let identity = AccountIdentity { workspace_id: Some("w1".to_owned()), user_id: None, email: None };
        NewAccount { identity, ..nameless("loose") }
    };
    for (new, name) in [
        (nameless("loose"), "loose"),
        (nameless("loose"), "loose 2"),
        (no_user(), "loose 3"),
        (no_user(), "loose 4"),
    ] {
        assert_eq!(added(import(&store, new, "a").await).name, name);
    }
}

pub async fn a_taken_name_gets_the_next_number(fixture: Fixture) {
    let store = fixture.open().await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(added(import(&store, nameless("work"), "a").await).name);
    }
    assert_eq!(names, ["work", "work 2", "work 3"]);
    let second =
        store.accounts().list().await.unwrap().into_iter().find(|stored| stored.account.name == "work 2");
    store.accounts().delete(&second.unwrap().account.id).await.unwrap();
    assert_eq!(added(import(&store, nameless("work"), "a").await).name, "work 2", "a gap is filled");
    assert_eq!(added(import(&store, nameless("Work"), "a").await).name, "Work", "case tells names apart");
}

pub async fn an_id_in_use_is_a_conflict(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let clash = NewAccount { id: id.clone(), ..seat("other", "w9", "u9") };
    let refused = store.accounts().import(clash, tokens("b")).await;
    assert_eq!(refused, Err(StoreError::Conflict { what: "the account" }));
    assert_eq!(stored(&store, &id).await, (tokens("first"), 1));
    assert_eq!(store.accounts().list().await.unwrap().len(), 1);
}

pub async fn accounts_are_listed_by_name(fixture: Fixture) {
    let store = fixture.open().await;
    for name in ["zeta", "alpha 10", "Ärger", "alpha", "Beta", "alpha 2"] {
        add(&store, name).await;
    }
    let names: Vec<String> =
        store.accounts().list().await.unwrap().into_iter().map(|stored| stored.account.name).collect();
    assert_eq!(
        names,
        ["Beta", "alpha", "alpha 10", "alpha 2", "zeta", "Ärger"],
        "by code point, on every server"
    );
}

pub async fn a_name_can_be_changed_to_a_free_one(fixture: Fixture) {
    let store = fixture.open().await;
    let (work, home) = (add(&store, "work").await, add(&store, "home").await);
    let accounts = store.accounts();
    accounts.rename(&work, "office").await.unwrap();
    accounts.rename(&work, "office").await.expect("its own name is free for it");
    assert_eq!(accounts.rename(&home, "office").await, Err(StoreError::NameTaken));
    assert_eq!(listed(&store, &home).await.account.name, "home");
    accounts.rename(&home, "work").await.expect("the old name is free again");
}

pub async fn a_state_is_kept(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let dead = AccountState::SignInNeeded { reason: SignInReason("token_expired".to_owned()) };
    for state in [AccountState::Paused, dead, AccountState::Active] {
        store.accounts().set_state(&id, state.clone()).await.unwrap();
        assert_eq!(listed(&fixture.open().await, &id).await.account.state, state);
    }
}

pub async fn settings_are_what_was_last_put(fixture: Fixture) {
    let store = fixture.open().await;
    let accounts = store.accounts();
    let new = NewAccount { settings: full_settings("work"), ..seat("work", "w1", "u1") };
    let account = added(import(&store, new, "a").await);
    assert_eq!(account.settings, full_settings("work"));
    let other = add(&store, "other").await;
    assert_eq!(listed(&fixture.open().await, &account.id).await.account, account);

    for settings in [full_settings("again"), AccountSettings::default(), full_settings("last")] {
        accounts.put_settings(&account.id, settings.clone()).await.unwrap();
        let seen = listed(&fixture.open().await, &account.id).await;
        assert_eq!((seen.account.settings, seen.version), (settings, version(1)));
    }
    assert_eq!(listed(&store, &other).await.account.settings, AccountSettings::default());
    let again = NewAccount { settings: full_settings("of the import"), ..seat("x", "w1", "u1") };
    let Imported::Updated(known) = import(&store, again, "b").await else {
        panic!("added a known seat again")
    };
    assert_eq!(known.settings, full_settings("last"), "a known seat keeps its own");
    assert_eq!(listed(&store, &known.id).await.account, known);
}

pub async fn deleting_takes_the_tokens_along(fixture: Fixture) {
    let store = fixture.open().await;
    let new = seat("work", "w1", "u1");
    let id = added(import(&store, new, "a").await).id;
    let other = add(&store, "other").await;
    claim(&store, &id, 100, 200).await;
    store.accounts().delete(&id).await.unwrap();

    assert_eq!(store.accounts().list().await.unwrap().len(), 1);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM credentials").await, 1);
    assert_eq!(stored(&store, &other).await, (tokens("first"), 1));
    let late = store.accounts().finish_refresh(&id, version(1), tokens("late"), None).await;
    assert_eq!(late, Err(GONE), "the result of a rotation that was under way has nowhere to go");
    let again = added(import(&store, seat("work", "w1", "u1"), "b").await);
    assert_eq!(stored(&store, &again.id).await, (tokens("b"), 1));
}

pub async fn what_is_not_there_is_not_found(fixture: Fixture) {
    let store = fixture.open().await;
    let (accounts, id) = (store.accounts(), AccountId::generate());
    assert_eq!(accounts.credentials(&id).await, Err(GONE));
    assert_eq!(accounts.credentials_of(vec![id.clone()]).await, Ok(Vec::new()));
    assert_eq!(accounts.claim_refresh(&id, &holder("me"), at(1), at(2)).await, Err(GONE));
    assert_eq!(accounts.finish_refresh(&id, version(1), tokens("x"), None).await, Err(GONE));
    assert_eq!(accounts.abandon_refresh(&id, &holder("me")).await, Err(GONE));
    assert_eq!(accounts.bury(&id, version(1), AccountState::Paused).await, Err(GONE));
    assert_eq!(accounts.put_settings(&id, AccountSettings::default()).await, Err(GONE));
    assert_eq!(accounts.rename(&id, "x").await, Err(GONE));
    assert_eq!(accounts.set_state(&id, AccountState::Paused).await, Err(GONE));
    assert_eq!(accounts.delete(&id).await, Err(GONE));
}

fn quota(used: f64, plan: Option<&str>) -> QuotaSnapshot {
    QuotaSnapshot {
        short: Some(Window { seconds: 18_000, used, resets_at: Some(at(1_700_010_000)) }),
        long: Some(Window { seconds: 604_800, used: used / 4.0, resets_at: None }),
        features: vec![FeatureWindow {
            feature: "GPT-5.3-Codex-Spark".to_owned(),
            window: Window { seconds: 18_000, used, resets_at: None },
        }],
        credits: Some(Credits { available: true, unlimited: false, balance: Some(used * 8.0) }),
        reset_credits: Some(2),
        plan: plan.map(str::to_owned),
    }
}

pub async fn quota_is_remembered(fixture: Fixture) {
    let store = fixture.open().await;
    let (a, b, gone) = (add(&store, "a").await, add(&store, "b").await, AccountId::generate());
    let accounts = store.accounts();
    accounts.save_quota(Vec::new()).await.unwrap();
    let seen = vec![
        (b.clone(), quota(0.5, Some("pro")), at(20)),
        (gone, quota(0.9, None), at(20)),
        (a.clone(), quota(0.25, None), at(20)),
    ];
    accounts.save_quota(seen).await.expect("an account that was deleted meanwhile is passed over");

    let store = fixture.open().await;
    let (stored_a, stored_b) = (listed(&store, &a).await, listed(&store, &b).await);
    assert_eq!(stored_a.quota, Some((quota(0.25, None), at(20))));
    assert_eq!(stored_a.account.plan.as_deref(), Some("plus"), "an unknown plan replaces nothing");
    assert_eq!(stored_b.quota, Some((quota(0.5, Some("pro")), at(20))));
    assert_eq!(stored_b.account.plan.as_deref(), Some("pro"));

    let later = vec![(a.clone(), quota(0.75, None), at(30)), (b.clone(), quota(0.0, Some("free")), at(10))];
    store.accounts().save_quota(later).await.unwrap();
    assert_eq!(listed(&store, &a).await.quota, Some((quota(0.75, None), at(30))));
    let kept = listed(&store, &b).await;
    assert_eq!(kept.quota, Some((quota(0.5, Some("pro")), at(20))), "an older observation comes too late");
    assert_eq!(kept.account.plan.as_deref(), Some("pro"));
}

pub async fn imports_at_once_recognise_the_seat(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let imports = (0..8).map(|number| {
        let accounts = stores[number % 2].accounts();
        async move { accounts.import(seat("work", "w1", "u1"), tokens("same")).await.unwrap() }
    });
    let done = join_all(imports.map(tokio::spawn)).await;
    let new = done.iter().filter(|imported| matches!(imported, Ok(Imported::Added(_)))).count();
    assert_eq!((new, done.len()), (1, 8));
    let list = stores[0].accounts().list().await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(stored(&stores[1], &list[0].account.id).await, (tokens("same"), 8));
}

pub async fn imports_and_renames_at_once_keep_names_apart(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let movable = add(&stores[0], "movable").await;
    let accounts = stores[0].accounts();
    let imports = tokio::spawn(async move {
        for _ in 0..40 {
            added(accounts.import(nameless("work"), tokens("a")).await.expect("a free name is found"));
        }
    });
    // Goes after the very name that the next import is about to choose.
    let accounts = stores[1].accounts();
    while !imports.is_finished() {
        let names = names(&stores[1]).await;
        let next = (2..).map(|number| format!("work {number}")).find(|name| !names.contains(name));
        let done = accounts.rename(&movable, &next.unwrap()).await;
        assert!(matches!(done, Ok(()) | Err(StoreError::NameTaken)), "{done:?}");
    }
    imports.await.unwrap();
    assert_eq!(names(&stores[0]).await.len(), 41);
}

async fn names(store: &Store) -> HashSet<String> {
    let list = store.accounts().list().await.unwrap();
    list.into_iter().map(|stored| stored.account.name).collect()
}
