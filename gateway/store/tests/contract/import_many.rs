//! Cases: many accounts at once, imported and read.

use futures_util::future::join_all;
use gateway_core::ports::storage::{Imported, NewAccount, StoreError};
use gateway_domain::{AccountId, AccountState, Credentials};

use crate::fixture::Fixture;
use crate::values::{add, busy, claim, full_settings, listed, nameless, seat, stored, tokens, version};

type Told = Result<(&'static str, String, AccountId), StoreError>;

fn told(results: Vec<Result<Imported, StoreError>>) -> Vec<Told> {
    let told = |imported| match imported {
        Imported::Added(account) => ("added", account.name, account.id),
        Imported::Updated(account) => ("updated", account.name, account.id),
    };
    results.into_iter().map(|result| result.map(told)).collect()
}

pub async fn each_of_a_batch_has_its_own_result(fixture: Fixture) {
    let store = fixture.open().await;
    let accounts = store.accounts();
    let known = add(&store, "work").await;
    let paused = add(&store, "paused").await;
    accounts.set_state(&paused, AccountState::Paused).await.unwrap();
    claim(&store, &known, 100, 160).await;

    let (fresh, clash) = (seat("work", "w9", "ann"), NewAccount { id: known.clone(), ..nameless("clash") });
    let twice = NewAccount { id: fresh.id.clone(), ..seat("twice", "w9", "bob") };
    let known_again = NewAccount { id: known.clone(), ..seat("renamed?", "workspace", "work") };
    let mut other_tokens = tokens("ann again");
    other_tokens.id_token = None;
    let batch = vec![
        (fresh.clone(), tokens("ann")),
        (clash, tokens("clash")),
        (known_again, tokens("known")),
        (nameless("work"), tokens("loose")),
        (NewAccount { plan: Some("pro".to_owned()), ..seat("ignored", "w9", "ann") }, other_tokens.clone()),
        (twice, tokens("twice")),
        (nameless("work"), tokens("loose 2")),
        (NewAccount { settings: full_settings("new"), ..seat("set", "w9", "cat") }, tokens("cat")),
        (seat("ignored", "workspace", "work"), tokens("known again")),
    ];
    let ids: Vec<AccountId> = batch.iter().map(|(new, _)| new.id.clone()).collect();
    let results = accounts.import_many(batch).await.unwrap();

    let conflict = || Err(StoreError::Conflict { what: "the account" });
    let expected: Vec<Told> = vec![
        Ok(("added", "work 2".to_owned(), fresh.id.clone())),
        conflict(),
        Ok(("updated", "work".to_owned(), known.clone())),
        Ok(("added", "work 3".to_owned(), ids[3].clone())),
        Ok(("updated", "work 2".to_owned(), fresh.id.clone())),
        conflict(),
        Ok(("added", "work 4".to_owned(), ids[6].clone())),
        Ok(("added", "set".to_owned(), ids[7].clone())),
        Ok(("updated", "work".to_owned(), known.clone())),
    ];
    assert_eq!(told(results.clone()), expected);

    let store = fixture.open().await;
    assert_eq!(store.accounts().list().await.unwrap().len(), 6);
    assert_eq!(stored(&store, &fresh.id).await, (other_tokens, 2), "the later of two sign-ins counts");
    assert_eq!(stored(&store, &known).await, (tokens("known again"), 3));
    assert_eq!(busy(&store, &known, 120).await, None, "the claim on the old tokens is gone");
    assert_eq!(stored(&store, &ids[6]).await, (tokens("loose 2"), 1));
    assert_eq!(listed(&store, &fresh.id).await.account.plan.as_deref(), Some("pro"));
    assert_eq!(listed(&store, &paused).await.account.state, AccountState::Paused, "nobody signed in to it");
    for at in [3, 4, 6, 7, 8] {
        let (Imported::Added(account) | Imported::Updated(account)) = results[at].clone().unwrap();
        assert_eq!(listed(&store, &account.id).await.account, account, "result {at} is what is stored");
    }
}

pub async fn a_batch_that_changes_nothing_is_fine(fixture: Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.accounts().import_many(Vec::new()).await.unwrap(), Vec::new());
    let id = add(&store, "work").await;
    let batch = vec![(NewAccount { id: id.clone(), ..nameless("x") }, tokens("x"))];
    let results = store.accounts().import_many(batch).await.unwrap();
    assert_eq!(results, [Err(StoreError::Conflict { what: "the account" })]);
    let mut broken = nameless("never");
    broken.settings.weight = f64::NAN;
    let batch = vec![(broken, tokens("x")), (nameless("fine"), tokens("y"))];
    let results = store.accounts().import_many(batch).await.unwrap();
    assert!(matches!(&results[..], [Err(StoreError::Sealed(_)), Ok(Imported::Added(_))]), "{results:?}");
    assert_eq!(store.accounts().list().await.unwrap().len(), 2);
}

pub async fn a_batch_is_written_whole_or_not_at_all(fixture: Fixture) {
    let store = fixture.open().await;
    add(&store, "work").await;
    fixture.execute("DROP TABLE credentials").await;
    let batch = (0..300).map(|number| (nameless(&format!("n{number}")), tokens("x"))).collect();
    let failed = store.accounts().import_many(batch).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    assert_eq!(fixture.number("SELECT COUNT(*) FROM accounts").await, 1);
}

pub async fn overlapping_batches_at_once_know_each_others_seats(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let imports = (0..4_usize).map(|number| {
        let accounts = stores[number % 2].accounts();
        let mut batch: Vec<(NewAccount, Credentials)> = (0..100)
            .map(|user| (seat("work", "w1", &format!("u{user}")), tokens(&format!("{user}"))))
            .collect();
        // Writers that have them in another order must not end up waiting for one another.
        if number.is_multiple_of(2) {
            batch.reverse();
        }
        tokio::spawn(async move { accounts.import_many(batch).await.unwrap() })
    });
    let results: Vec<_> = join_all(imports).await.into_iter().flat_map(Result::unwrap).collect();
    let new = results.iter().filter(|result| matches!(result, Ok(Imported::Added(_)))).count();
    let known = results.iter().filter(|result| matches!(result, Ok(Imported::Updated(_)))).count();
    assert_eq!((new, known), (100, 300));
    let list = stores[0].accounts().list().await.unwrap();
    assert_eq!(list.len(), 100);
    assert!(list.iter().all(|stored| stored.version == version(4)), "{list:?}");
}

pub async fn tokens_of_many_come_at_once(fixture: Fixture) {
    let store = fixture.open().await;
    let accounts = store.accounts();
    let batch: Vec<_> =
        (0..200).map(|number| (nameless(&format!("n{number}")), tokens(&format!("{number}")))).collect();
    let expected: Vec<_> = batch.iter().map(|(new, tokens)| (new.id.clone(), tokens.clone())).collect();
    accounts.import_many(batch).await.unwrap();
    let (first, second) = (expected[0].0.clone(), expected[1].0.clone());
    accounts.finish_refresh(&first, version(1), tokens("rotated"), None).await.unwrap();
    fixture.execute("UPDATE credentials SET key_id = 'feedface' WHERE version = 2").await;

    let mut wanted: Vec<AccountId> = expected.iter().map(|(id, _)| id.clone()).collect();
    wanted.extend([AccountId::generate(), second.clone()]);
    let got = accounts.credentials_of(wanted).await.unwrap();
    assert_eq!(got.len(), 200, "one that is gone is left out, one that is asked for twice comes once");
    for (id, expected) in expected {
        let (_, got) = got.iter().find(|(got, _)| *got == id).unwrap();
        match got {
            Err(StoreError::Sealed(why)) => assert!(id == first && why.contains("feedface"), "{why}"),
            got => assert_eq!(got, &Ok((expected, version(1)))),
        }
    }
    assert_eq!(accounts.credentials_of(Vec::new()).await.unwrap(), Vec::new());
    let one = accounts.credentials_of(vec![second.clone()]).await.unwrap();
    assert_eq!(one, [(second, Ok((tokens("1"), version(1))))]);
}
