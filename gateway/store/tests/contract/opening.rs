//! Cases: opening a database that is new, known, shared, or from the future.

use futures_util::future::join_all;
use gateway_core::ports::storage::{Imported, StoreError};
use gateway_domain::{AccountId, AccountSettings, RequestId, Secret};
use gateway_store::{OpenError, Store};

use crate::fixture::Fixture;
use crate::values::{add, at, client_key, full_settings, listed, seat, settlement, stored, tokens, version};

pub async fn many_that_open_a_new_database_at_once_all_can(fixture: Fixture) {
    let opening = (0..6).map(|_| tokio::spawn(fixture.opening()));
    let stores: Vec<_> = join_all(opening).await.into_iter().map(|opened| opened.unwrap().unwrap()).collect();
    let id = add(&stores[0], "work").await;
    for store in &stores {
        assert_eq!(stored(store, &id).await, (tokens("first"), 1));
    }
    assert_eq!(fixture.number("SELECT COUNT(*) FROM _sqlx_migrations").await, 4);
}

pub async fn what_was_written_is_there_after_reopening(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let key = client_key("laptop", 10);
    let settled = settlement(RequestId::generate(), 10);
    store.client_keys().add_key(key.clone()).await.unwrap();
    store.settings().put_setting("policy", Secret::from("spread")).await.unwrap();
    store.ledger().append(std::slice::from_ref(&settled)).await.unwrap();
    let accounts = store.accounts().list().await.unwrap();
    store.close().await;

    let store = fixture.open().await;
    assert_eq!(store.accounts().list().await.unwrap(), accounts);
    assert_eq!(stored(&store, &id).await, (tokens("first"), 1));
    assert_eq!(store.client_keys().list_keys().await.unwrap(), [key]);
    assert_eq!(store.settings().setting("policy").await.unwrap(), Some(Secret::from("spread")));
    assert_eq!(store.ledger().newest(5).await.unwrap(), [settled]);
}

pub async fn a_newer_database_is_refused_and_left_alone(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    let ours = fixture.number("SELECT COUNT(*) FROM _sqlx_migrations").await;
    fixture
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9001, 'from the future', success, checksum, execution_time FROM _sqlx_migrations
             WHERE version = 1",
        )
        .await;
    let Err(refused) = fixture.try_open().await else { panic!("a newer database was opened") };
    assert!(matches!(refused, OpenError::Newer { migration: 9001 }), "{refused}");
    assert!(refused.to_string().contains("the database was written by a newer version"), "{refused}");
    assert_eq!(fixture.number("SELECT COUNT(*) FROM _sqlx_migrations").await, ours + 1);
    assert_eq!(stored(&store, &id).await, (tokens("first"), 1), "who has it open goes on");
    assert!(fixture.try_open().await.is_err(), "refused every time, and nobody waits for a lock");
}

pub async fn a_migration_in_another_form_is_refused(fixture: Fixture) {
    let store = fixture.open().await;
    store.client_keys().add_key(client_key("laptop", 10)).await.unwrap();
    // Any bytes that are not the checksum.
    fixture.execute("UPDATE _sqlx_migrations SET checksum = (SELECT hash FROM client_keys)").await;
    let Err(refused) = fixture.try_open().await else { panic!("opened over an edited migration") };
    assert!(matches!(&refused, OpenError::Migration(why) if why.contains("migration 1")), "{refused}");
}

/// What the first version wrote, in its own statements. (Its tokens are any bytes that both databases have.)
const WRITTEN_BY_THE_FIRST: &[&str] = &[
    "INSERT INTO accounts (id, kind, name, seat, workspace_id, user_id, email, plan, state, created_at, quota,
                           quota_seen_at)
     VALUES ('acc_old', 'codex', 'old', 'w1/u1', 'w1', 'u1', NULL, 'plus', 'active', 1000,
             '{\"short\":{\"seconds\":18000,\"used\":0.5,\"resets_at\":null},\"long\":null,\"plan\":\"plus\"}', 2000)",
    "INSERT INTO credentials (account_id, version, tokens, key_id, expires_at, refreshed_at)
     SELECT 'acc_old', 3, checksum, 'feedface', NULL, 1000 FROM _sqlx_migrations WHERE version = 1",
    "UPDATE credentials SET refresh_claimed_until = 160000 WHERE account_id = 'acc_old'",
];

async fn an_account_of_the_first_version_is_usable(store: &Store) {
    let id = AccountId::parse("acc_old").unwrap();
    let seen = listed(store, &id).await;
    assert_eq!((seen.account.settings, seen.version), (AccountSettings::default(), version(3)));
    let (quota, seen_at) = seen.quota.unwrap();
    assert_eq!((quota.short.unwrap().used, quota.features, seen_at), (0.5, Vec::new(), at(2)));
    let again = store.accounts().import(seat("again", "w1", "u1"), tokens("fresh")).await.unwrap();
    assert!(matches!(again, Imported::Updated(account) if account.id == id));
    assert_eq!(stored(store, &id).await, (tokens("fresh"), 4));
    store.accounts().put_settings(&id, full_settings("old")).await.unwrap();
    assert_eq!(listed(store, &id).await.account.settings, full_settings("old"));
}

pub async fn a_database_of_the_first_version_is_brought_up_to_date(fixture: Fixture) {
    fixture.make_first_version().await;
    for sql in WRITTEN_BY_THE_FIRST {
        fixture.execute(sql).await;
    }
    an_account_of_the_first_version_is_usable(&fixture.open().await).await;
}

pub async fn the_first_version_can_write_beside_this_one(fixture: Fixture) {
    let store = fixture.open().await;
    for sql in WRITTEN_BY_THE_FIRST {
        fixture.execute(sql).await;
    }
    an_account_of_the_first_version_is_usable(&store).await;
}

pub async fn a_store_answers_until_it_is_closed(fixture: Fixture) {
    let store = fixture.open().await;
    store.ping().await.unwrap();
    fixture.execute("DROP TABLE settings").await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    store.close().await;
    assert_eq!(store.ping().await, Err(StoreError::Unavailable("it was closed".to_owned())));
}

pub async fn a_closed_store_says_so(fixture: Fixture) {
    let store = fixture.open().await;
    add(&store, "work").await;
    store.close().await;
    for error in [
        store.accounts().list().await.unwrap_err(),
        store.client_keys().add_key(client_key("laptop", 10)).await.unwrap_err(),
        store.settings().setting("policy").await.unwrap_err(),
        store.ledger().append(&[settlement(RequestId::generate(), 10)]).await.unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::Unavailable(why) if why == "it was closed"), "{error}");
    }
}
