//! Cases: what is secret at rest, and what becomes of it when keys change.

use gateway_core::ports::storage::{ClientKey, Imported, StoreError};
use gateway_domain::{Secret, Timestamp};
use gateway_store::KeyRing;

use crate::fixture::Fixture;
use crate::values::{add, at, busy, client_key, seat, stored, tokens, version};

fn is_sealed<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Sealed(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// Replaces the key file by a new one and returns the id of the old key and its line.
fn replace_key(fixture: &Fixture) -> (String, String) {
    let path = fixture.key_file();
    let old = KeyRing::load_or_create(&path).unwrap().active_id().to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_ne!(KeyRing::load_or_create(&path).unwrap().active_id(), old);
    (old, text.lines().last().unwrap().to_owned())
}

pub async fn secrets_are_not_in_the_database(fixture: Fixture) {
    let store = fixture.open().await;
    add(&store, "work").await;
    store.settings().put_setting("password", Secret::from("hunter2-hunter2")).await.unwrap();
    let mut blobs = fixture.blobs("SELECT tokens FROM credentials").await;
    blobs.extend(fixture.blobs("SELECT value FROM settings").await);
    assert_eq!(blobs.len(), 2);
    for blob in blobs {
        for secret in ["access-first", "refresh-first", "identity-first", "hunter2"] {
            assert!(
                !blob.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{secret} is in the clear"
            );
        }
    }
}

pub async fn a_sealed_value_opens_in_its_own_row_only(fixture: Fixture) {
    let store = fixture.open().await;
    let (a, b) = (add(&store, "a").await, add(&store, "b").await);
    store.accounts().finish_refresh(&a, version(1), tokens("of-a")).await.unwrap();
    store.settings().put_setting("one", Secret::from("1")).await.unwrap();
    store.settings().put_setting("two", Secret::from("2")).await.unwrap();
    fixture
        .execute("UPDATE credentials SET tokens = (SELECT c.tokens FROM credentials c WHERE c.version = 2)")
        .await;
    fixture
        .execute("UPDATE settings SET value = (SELECT s.value FROM settings s WHERE s.name = 'one')")
        .await;

    assert_eq!(stored(&store, &a).await.0, tokens("of-a"));
    assert!(is_sealed(store.accounts().credentials(&b).await).contains("moved from another row"));
    assert_eq!(store.settings().setting("one").await.unwrap(), Some(Secret::from("1")));
    assert!(is_sealed(store.settings().setting("two").await).contains("moved from another row"));
}

pub async fn an_older_key_still_opens_and_the_active_one_seals(fixture: Fixture) {
    let store = fixture.open().await;
    let (a, b) = (add(&store, "a").await, add(&store, "b").await);
    store.settings().put_setting("policy", Secret::from("spread")).await.unwrap();
    let (_, old_line) = replace_key(&fixture);
    let new_line = std::fs::read_to_string(fixture.key_file()).unwrap();
    std::fs::write(fixture.key_file(), format!("{new_line}{old_line}\n")).unwrap();

    let store = fixture.open().await;
    assert_eq!(stored(&store, &a).await.0, tokens("first"));
    assert_eq!(store.settings().setting("policy").await.unwrap(), Some(Secret::from("spread")));
    store.accounts().finish_refresh(&a, version(1), tokens("second")).await.unwrap();
    store.settings().put_setting("policy", Secret::from("fill")).await.unwrap();

    // Without the old key, what was written since still opens.
    std::fs::write(fixture.key_file(), new_line).unwrap();
    let store = fixture.open().await;
    assert_eq!(stored(&store, &a).await.0, tokens("second"));
    assert_eq!(store.settings().setting("policy").await.unwrap(), Some(Secret::from("fill")));
    is_sealed(store.accounts().credentials(&b).await);
}

pub async fn without_the_key_secrets_are_refused_by_name(fixture: Fixture) {
    let store = fixture.open().await;
    let id = add(&store, "work").await;
    store.settings().put_setting("policy", Secret::from("spread")).await.unwrap();
    let (old, old_line) = replace_key(&fixture);

    let store = fixture.open().await;
    assert_eq!(store.accounts().list().await.unwrap().len(), 1, "what is not secret can still be seen");
    for why in [
        is_sealed(store.accounts().credentials(&id).await),
        is_sealed(store.accounts().claim_refresh(&id, at(100), at(160)).await),
        is_sealed(store.settings().setting("policy").await),
    ] {
        assert!(why.contains(&old) && why.contains("key file"), "{why}");
        assert!(!why.contains(&old_line), "{why}");
    }
    std::fs::write(fixture.key_file(), old_line).unwrap();
    let store = fixture.open().await;
    assert_eq!(stored(&store, &id).await.0, tokens("first"), "nothing is lost when the key comes back");
    assert_eq!(busy(&store, &id, 100).await, None, "what could not be opened was not claimed");
}

pub async fn a_sign_in_heals_an_account_whose_key_is_lost(fixture: Fixture) {
    let store = fixture.open().await;
    let new = seat("work", "w1", "u1");
    let id = new.id.clone();
    store.accounts().import(new, tokens("lost")).await.unwrap();
    store.settings().put_setting("policy", Secret::from("lost")).await.unwrap();
    replace_key(&fixture);
    let store = fixture.open().await;
    let healed = store.accounts().import(seat("work", "w1", "u1"), tokens("again")).await.unwrap();
    assert!(matches!(healed, Imported::Updated(account) if account.id == id));
    assert_eq!(stored(&store, &id).await, (tokens("again"), 2));
    store.settings().put_setting("policy", Secret::from("again")).await.unwrap();
    assert_eq!(store.settings().setting("policy").await.unwrap(), Some(Secret::from("again")));
}

pub async fn errors_quote_neither_tokens_nor_addresses(fixture: Fixture) {
    let store = fixture.open().await;
    let accounts = store.accounts();
    let mut new = seat("work", "w1", "ann@example.org");
    new.identity.user_id = None;
    let id = new.id.clone();
    accounts.import(new.clone(), tokens("hush")).await.unwrap();
    let other = add(&store, "other").await;
    let mut clash = seat("x", "w2", "bob@example.org");
    clash.id = id.clone();
    let key = ClientKey { created_at: Timestamp::from_secs(1), ..client_key("ann@example.org", 1) };
    store.client_keys().add_key(key.clone()).await.unwrap();

    let mut told = vec![
        accounts.import(clash, tokens("hush")).await.unwrap_err(),
        accounts.rename(&other, "work").await.unwrap_err(),
        accounts.finish_refresh(&id, version(9), tokens("hush")).await.unwrap_err(),
        store.client_keys().add_key(key).await.unwrap_err(),
    ];
    fixture.execute("UPDATE credentials SET key_id = 'feedface'").await;
    told.push(accounts.credentials(&id).await.unwrap_err());
    // A database that somebody took a table from: every statement fails with the server's own words.
    fixture.execute("DROP TABLE credentials").await;
    fixture.execute("DROP TABLE settings").await;
    told.push(accounts.import(new, tokens("hush")).await.unwrap_err());
    told.push(store.settings().put_setting("password", Secret::from("access-hush")).await.unwrap_err());
    assert!(matches!(told.last(), Some(StoreError::Unavailable(_))), "{told:?}");
    for error in told {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hush") && !text.contains("example.org"), "{text}");
        }
    }
}
