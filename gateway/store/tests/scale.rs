//! Ten thousand accounts, imported, known again and listed. How long it takes is said and not judged: the benchmark does
//! that. An unoptimised build seals many times slower, so it does a fifth.

use std::time::Instant;

use gateway_core::ports::storage::{Imported, NewAccount};
use gateway_domain::{
    AccountId, AccountIdentity, AccountKind, AccountSettings, Credentials, Secret, Timestamp,
};
use gateway_store::{KeyRing, StoreOptions, open};

const OPTIMISED: bool = !cfg!(debug_assertions);
const ONE_IMPORT: usize = if OPTIMISED { 5_000 } else { 1_000 };

fn account(number: usize) -> (NewAccount, Credentials) {
    let settings = AccountSettings {
        groups: ["team".to_owned()].into(),
        headers: [("x-team".to_owned(), Secret::new(format!("header-{number}")))].into(),
        ..AccountSettings::default()
    };
    let new = NewAccount {
        id: AccountId::generate(),
        kind: AccountKind::Codex,
        // All wish for one name: the worst there is to find a free one.
        name: "work".to_owned(),
        identity: AccountIdentity {
            workspace_id: Some("workspace".to_owned()),
            user_id: Some(format!("user-{number}")),
            email: Some(format!("user-{number}@example.org")),
        },
        plan: Some("plus".to_owned()),
        settings,
        created_at: Timestamp::from_secs(0),
    };
    // As long as real ones are.
    let token = |kind: &str, length: usize| Secret::new(format!("{kind}-{number}-{}", "x".repeat(length)));
    let credentials = Credentials {
        access_token: token("access", 1_800),
        refresh_token: Some(token("refresh", 200)),
        id_token: Some(token("identity", 1_500)),
        expires_at: None,
        refreshed_at: Timestamp::from_secs(0),
    };
    (new, credentials)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_accounts_are_imported_known_again_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let keys = KeyRing::load_or_create(&folder.path().join("key")).unwrap();
    let file = folder.path().join("gateway.db");
    let store = open(file.to_str().unwrap(), keys, &StoreOptions::default()).await.unwrap();
    let accounts = store.accounts();
    // The second import begins with as many accounts there already; the third knows them all.
    for (first, known) in [(0, false), (ONE_IMPORT, false), (0, true)] {
        let batch: Vec<_> = (first..first + ONE_IMPORT).map(account).collect();
        let started = Instant::now();
        let results = accounts.import_many(batch).await.unwrap();
        let took = started.elapsed();
        println!("import of {ONE_IMPORT} accounts (known before: {known}): {took:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(Imported::Updated(_))) == known));
    }

    let started = Instant::now();
    let list = accounts.list().await.unwrap();
    let took = started.elapsed();
    println!("list of {} accounts: {took:?}", list.len());
    assert_eq!(list.len(), 2 * ONE_IMPORT);

    let ids = list.iter().map(|stored| stored.account.id.clone()).collect();
    let started = Instant::now();
    let tokens = accounts.credentials_of(ids).await.unwrap();
    println!("tokens of {} accounts: {:?}", tokens.len(), started.elapsed());
    assert!(tokens.len() == list.len() && tokens.iter().all(|(_, tokens)| tokens.is_ok()));

    let one_more = account(20_000);
    let started = Instant::now();
    assert!(matches!(accounts.import(one_more.0, one_more.1).await, Ok(Imported::Added(_))));
    println!("import of one more: {:?}", started.elapsed());
}
