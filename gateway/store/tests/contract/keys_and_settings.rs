//! Cases: client keys and settings.

use futures_util::future::join_all;
use gateway_core::ports::storage::StoreError;
use gateway_domain::{AccountId, ClientKeyId, KeyScope, Secret};

use crate::fixture::Fixture;
use crate::values::client_key;

pub async fn client_keys_are_listed_oldest_first(fixture: Fixture) {
    let store = fixture.open().await;
    let keys = store.client_keys();
    let [late, early, middle] = [client_key("late", 30), client_key("early", 10), client_key("middle", 20)];
    for key in [&late, &early, &middle] {
        keys.add_key(key.clone()).await.unwrap();
    }
    assert_eq!(
        fixture.open().await.client_keys().list_keys().await.unwrap(),
        [early.clone(), middle.clone(), late.clone()]
    );
    keys.delete_key(&middle.id).await.unwrap();
    assert_eq!(keys.list_keys().await.unwrap(), [early, late]);
    let gone = Err(StoreError::NotFound { what: "the client key" });
    assert_eq!(keys.delete_key(&middle.id).await, gone);
    assert_eq!(keys.delete_key(&ClientKeyId::generate()).await, gone);
    keys.add_key(middle).await.expect("its label, id and hash are free again");
}

pub async fn a_label_and_a_key_are_taken_once(fixture: Fixture) {
    let store = fixture.open().await;
    let keys = store.client_keys();
    let first = client_key("laptop", 10);
    keys.add_key(first.clone()).await.unwrap();

    let mut same_label = client_key("other", 20);
    same_label.label = first.label.clone();
    assert_eq!(keys.add_key(same_label).await, Err(StoreError::NameTaken));
    let conflict = Err(StoreError::Conflict { what: "the client key" });
    let mut same_hash = client_key("other", 20);
    same_hash.hash = first.hash;
    assert_eq!(keys.add_key(same_hash).await, conflict);
    let mut same_id = client_key("other", 20);
    same_id.id = first.id.clone();
    assert_eq!(keys.add_key(same_id).await, conflict);
    assert_eq!(keys.list_keys().await.unwrap(), [first]);
}

pub async fn a_key_keeps_the_part_of_the_pool_it_was_given(fixture: Fixture) {
    let store = fixture.open().await;
    let keys = store.client_keys();
    let mut key = client_key("intern", 10);
    key.scope.groups = ["cheap".to_owned(), "größer \"eu\"".to_owned()].into();
    key.scope.accounts = [AccountId::parse("acc_1").unwrap()].into();
    keys.add_key(key.clone()).await.unwrap();
    assert_eq!(fixture.open().await.client_keys().list_keys().await.unwrap(), std::slice::from_ref(&key));
    for groups in [&["eu"][..], &[]] {
        key.scope =
            KeyScope { groups: groups.iter().map(ToString::to_string).collect(), ..KeyScope::default() };
        keys.put_scope(&key.id, key.scope.clone()).await.unwrap();
        assert_eq!(keys.list_keys().await.unwrap(), std::slice::from_ref(&key));
    }
    assert_eq!(fixture.number("SELECT COUNT(*) FROM client_keys WHERE scope IS NULL").await, 1);
    let gone = Err(StoreError::NotFound { what: "the client key" });
    assert_eq!(keys.put_scope(&ClientKeyId::generate(), KeyScope::default()).await, gone);
}

pub async fn a_scope_that_cannot_be_read_opens_nothing(fixture: Fixture) {
    let store = fixture.open().await;
    let keys = store.client_keys();
    let kept = client_key("kept", 10);
    keys.add_key(kept.clone()).await.unwrap();
    keys.add_key(client_key("newer", 20)).await.unwrap();
    fixture.execute("UPDATE client_keys SET scope = '[\"of a newer version\"' WHERE label = 'newer'").await;
    assert_eq!(keys.list_keys().await.unwrap(), [kept]);
}

pub async fn a_setting_is_what_was_last_put(fixture: Fixture) {
    let store = fixture.open().await;
    let settings = store.settings();
    assert_eq!(settings.setting("policy").await.unwrap(), None);
    for value in ["spread", "", "größer\nals eine Zeile"] {
        settings.put_setting("policy", Secret::from(value)).await.unwrap();
        settings.put_setting("other", Secret::from("untouched")).await.unwrap();
        let read = fixture.open().await.settings().setting("policy").await.unwrap();
        assert_eq!(read, Some(Secret::from(value)));
    }
    assert_eq!(settings.setting("Policy").await.unwrap(), None, "names are exact");
}

pub async fn a_setting_put_once_stays(fixture: Fixture) {
    let store = fixture.open().await;
    let settings = store.settings();
    assert!(settings.put_setting_once("password", Secret::from("one")).await.unwrap());
    assert!(!settings.put_setting_once("password", Secret::from("two")).await.unwrap());
    assert_eq!(settings.setting("password").await.unwrap(), Some(Secret::from("one")));
    settings.put_setting("password", Secret::from("three")).await.unwrap();
    assert!(!settings.put_setting_once("password", Secret::from("four")).await.unwrap());
    assert_eq!(settings.setting("password").await.unwrap(), Some(Secret::from("three")));
}

pub async fn of_many_that_put_once_one_does(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let puts = (0..10).map(|number: usize| {
        let settings = stores[number % 2].settings();
        async move {
            let value = number.to_string();
            let did = settings.put_setting_once("password", Secret::new(value.clone())).await.unwrap();
            did.then_some(value)
        }
    });
    let winners: Vec<String> =
        join_all(puts.map(tokio::spawn)).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(winners.len(), 1);
    let kept = stores[0].settings().setting("password").await.unwrap().unwrap();
    assert_eq!(kept.expose(), &winners[0]);
}
