//! Cases: what is secret at rest, and what becomes of it when keys change.

use gateway_core::ports::storage::{ClientKey, Imported, NewAccount, StoreError};
use gateway_domain::{AccountId, AccountState, Egress, EgressProxy, Secret, Timestamp};
use gateway_store::{KeyRing, Store};

use crate::fixture::Fixture;
use crate::values::{
    add, at, busy, client_key, full_settings, holder, listed, nameless, proxy, seat, stored, tokens, version,
};

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
    let id = add(&store, "work").await;
    let imported = NewAccount { settings: full_settings("imported"), ..seat("open-name", "w1", "u1") };
    store.accounts().import(imported, tokens("first")).await.unwrap();
    store.accounts().put_settings(&id, full_settings("put")).await.unwrap();
    store.settings().put_setting("password", Secret::from("hunter2-hunter2")).await.unwrap();
    store.proxies().put_proxy(proxy("tunnel")).await.unwrap();
    // Also what SQLite has only in its log, and what was rewritten.
    let bytes = fixture.on_disk().await;
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("open-name") && holds("tunnel"), "these are the bytes of the tables");
    for secret in [
        "access-first",
        "refresh-first",
        "identity-first",
        "hunter2",
        "header-imported",
        "header-put",
        "x-api-key",
        "password-tunnel",
    ] {
        assert!(!holds(secret), "{secret} is in the clear");
    }
}

pub async fn a_sealed_value_opens_in_its_own_row_only(fixture: Fixture) {
    let store = fixture.open().await;
    let (a, b) = (add(&store, "a").await, add(&store, "b").await);
    store.accounts().finish_refresh(&a, version(1), tokens("of-a"), None).await.unwrap();
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
    store.accounts().finish_refresh(&a, version(1), tokens("second"), None).await.unwrap();
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
        is_sealed(store.accounts().claim_refresh(&id, &holder("me"), at(100), at(160)).await),
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
        accounts.finish_refresh(&id, version(9), tokens("hush"), None).await.unwrap_err(),
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

pub async fn settings_that_do_not_open_set_an_account_aside(fixture: Fixture) {
    let store = fixture.open().await;
    let new = NewAccount { settings: full_settings("work"), ..seat("work", "w1", "u1") };
    let (id, other) = (new.id.clone(), add(&store, "other").await);
    store.accounts().import(new, tokens("first")).await.unwrap();
    store.proxies().put_proxy(proxy("tunnel")).await.unwrap();
    let (_, old_line) = replace_key(&fixture);
    let new_line = std::fs::read_to_string(fixture.key_file()).unwrap();

    let store = fixture.open().await;
    let seen = listed(&store, &id).await.account;
    assert!(matches!(seen.state, AccountState::SignInNeeded { .. }), "{seen:?}");
    assert!(matches!(seen.settings.egress, Egress::Proxy { .. }), "never straight: {seen:?}");
    assert!(seen.settings.headers.is_empty());
    let tunnel = store.proxies().list_proxies().await.unwrap().remove(0);
    assert_eq!((tunnel.enabled, tunnel.url.expose().as_str()), (false, ""));
    // With the old key everything is as it was.
    std::fs::write(fixture.key_file(), format!("{new_line}{old_line}\n")).unwrap();
    let seen = listed(&fixture.open().await, &id).await.account;
    assert_eq!((seen.settings, seen.state), (full_settings("work"), AccountState::Active));
    // Without it, settings are set anew, by hand or by signing in.
    store.accounts().put_settings(&other, full_settings("other")).await.unwrap();
    let again = NewAccount { settings: full_settings("again"), ..seat("work", "w1", "u1") };
    store.accounts().import(again, tokens("again")).await.unwrap();
    for (id, label) in [(&id, "again"), (&other, "other")] {
        let seen = listed(&store, id).await.account;
        assert_eq!((seen.settings, seen.state), (full_settings(label), AccountState::Active));
    }
    store.proxies().put_proxy(EgressProxy { id: tunnel.id, ..proxy("tunnel") }).await.unwrap();
    assert!(store.proxies().list_proxies().await.unwrap()[0].enabled);
}

/// One value in each place where one can be, and for some accounts more than a page.
async fn fill(store: &Store) -> Vec<AccountId> {
    let accounts = store.accounts();
    let batch: Vec<_> = (0..450).map(|number| (nameless(&format!("n{number}")), tokens("first"))).collect();
    let ids = batch.iter().map(|(new, _)| new.id.clone()).collect();
    accounts.import_many(batch).await.unwrap();
    store.proxies().put_proxy(proxy("tunnel")).await.unwrap();
    store.settings().put_setting("policy", Secret::from("spread")).await.unwrap();
    ids
}

pub async fn sealing_anew_frees_the_old_key(fixture: Fixture) {
    let store = fixture.open().await;
    let ids = fill(&store).await;
    store.accounts().put_settings(&ids[7], full_settings("seventh")).await.unwrap();
    assert_eq!(store.reseal().await.unwrap(), 0, "nothing is sealed under another key");
    let (_, old_line) = replace_key(&fixture);
    let new_line = std::fs::read_to_string(fixture.key_file()).unwrap();
    std::fs::write(fixture.key_file(), format!("{new_line}{old_line}\n")).unwrap();

    let store = fixture.open().await;
    store.accounts().finish_refresh(&ids[0], version(1), tokens("second"), None).await.unwrap();
    assert_eq!(store.reseal().await.unwrap(), 449 + 450 + 1 + 1);
    assert_eq!(store.reseal().await.unwrap(), 0);

    std::fs::write(fixture.key_file(), new_line).unwrap();
    let store = fixture.open().await;
    assert_eq!(stored(&store, &ids[0]).await, (tokens("second"), 2));
    let all = store.accounts().credentials_of(ids.clone()).await.unwrap();
    assert!(all.len() == 450 && all.iter().all(|(_, tokens)| tokens.is_ok()));
    let list = store.accounts().list().await.unwrap();
    assert!(list.len() == 450 && list.iter().all(|stored| stored.account.state == AccountState::Active));
    assert_eq!(listed(&store, &ids[7]).await.account.settings, full_settings("seventh"));
    assert!(store.proxies().list_proxies().await.unwrap()[0].enabled);
    assert_eq!(store.settings().setting("policy").await.unwrap(), Some(Secret::from("spread")));
}

pub async fn sealing_anew_passes_over_what_does_not_open(fixture: Fixture) {
    let store = fixture.open().await;
    let ids = fill(&store).await;
    store.accounts().finish_refresh(&ids[3], version(1), tokens("second"), None).await.unwrap();
    let (_, old_line) = replace_key(&fixture);
    let new_line = std::fs::read_to_string(fixture.key_file()).unwrap();
    std::fs::write(fixture.key_file(), format!("{new_line}{old_line}\n")).unwrap();
    fixture.execute("UPDATE credentials SET key_id = 'feedface' WHERE version = 2").await;

    let store = fixture.open().await;
    let why = is_sealed(store.reseal().await);
    assert!(why.contains("901 values") && why.contains("1 stay") && why.contains("feedface"), "{why}");
    let why = is_sealed(store.reseal().await);
    assert!(why.contains("0 values") && why.contains("1 stay"), "{why}");
    assert_eq!(stored(&store, &ids[4]).await, (tokens("first"), 1));
}

pub async fn sealing_anew_beside_rotations_loses_none(fixture: Fixture) {
    let store = fixture.open().await;
    let ids = fill(&store).await;
    let (_, old_line) = replace_key(&fixture);
    let new_line = std::fs::read_to_string(fixture.key_file()).unwrap();
    std::fs::write(fixture.key_file(), format!("{new_line}{old_line}\n")).unwrap();
    let (store, busy) = (fixture.open().await, fixture.open().await);
    let rotated: Vec<AccountId> = ids.iter().step_by(5).cloned().collect();
    let rotating = rotated.clone();
    let rotation = tokio::spawn(async move {
        for id in rotating.iter().rev() {
            busy.accounts().finish_refresh(id, version(1), tokens("second"), None).await.unwrap();
        }
    });
    store.reseal().await.unwrap();
    rotation.await.unwrap();
    std::fs::write(fixture.key_file(), new_line).unwrap();
    let store = fixture.open().await;
    for (id, got) in store.accounts().credentials_of(ids).await.unwrap() {
        let expected = if rotated.contains(&id) { ("second", 2) } else { ("first", 1) };
        assert_eq!(got, Ok((tokens(expected.0), version(expected.1))));
    }
}
