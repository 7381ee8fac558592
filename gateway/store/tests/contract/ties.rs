//! Cases: what ties conversations to accounts.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use gateway_core::ports::storage::{TieQuery, TieRecord};
use gateway_store::Store;

use crate::fixture::Fixture;
use crate::values::{at, tie};

/// Everything that somebody else would learn at this second.
async fn learned(store: &Store, by: &str, since: i64, now: i64) -> Vec<TieRecord> {
    let wanted = TieQuery { saved_since: at(since), not_by: by.to_owned(), now: at(now), limit: 100 };
    store.ties().ties(wanted).await.unwrap()
}

pub async fn a_tie_comes_back_as_it_was_saved(fixture: Fixture) {
    let store = fixture.open().await;
    let whole = tie(1, 10);
    let bare = TieRecord { kind: 1, served_at: None, hits: None, body_bytes: 0, ..tie(255, 10) };
    store.ties().save_ties(vec![whole.clone(), bare.clone()], "me", at(11)).await.unwrap();
    store.ties().save_ties(Vec::new(), "me", at(12)).await.unwrap();
    let mut read = learned(&fixture.open().await, "the next me", 0, 20).await;
    read.sort_by_key(|tie| tie.digest);
    assert_eq!(read, [whole, bare]);
}

pub async fn of_two_savings_the_later_use_counts(fixture: Fixture) {
    let store = fixture.open().await;
    let ties = store.ties();
    let (late, early) = (tie(1, 20), TieRecord { body_bytes: 1, ..tie(1, 10) });
    ties.save_ties(vec![late.clone()], "me", at(21)).await.unwrap();
    ties.save_ties(vec![early.clone()], "me", at(22)).await.unwrap();
    assert_eq!(learned(&store, "other", 0, 30).await, std::slice::from_ref(&late));
    // In one batch as well.
    let later = tie(1, 25);
    ties.save_ties(vec![later.clone(), early, late], "me", at(26)).await.unwrap();
    assert_eq!(learned(&store, "other", 0, 30).await, [later]);
}

pub async fn others_learn_what_was_saved_since(fixture: Fixture) {
    let store = fixture.open().await;
    let ties = store.ties();
    for (digest, by, saved) in [(1, "one", 11), (2, "two", 12), (3, "one", 13)] {
        ties.save_ties(vec![tie(digest, 10)], by, at(saved)).await.unwrap();
    }
    let digests = async |by, since, now| {
        let learned = learned(&store, by, since, now).await;
        learned.iter().map(|tie| tie.digest[0]).collect::<Vec<_>>()
    };
    assert_eq!(digests("two", 0, 20).await, [3, 1], "the last saved in front, nobody's own");
    assert_eq!(digests("three", 12, 20).await, [3, 2]);
    assert_eq!(digests("three", 0, 10 + 3_600).await, [0; 0], "they have ended");
    let one = TieQuery { saved_since: at(0), not_by: "three".to_owned(), now: at(20), limit: 1 };
    assert_eq!(ties.ties(one).await.unwrap(), [tie(3, 10)]);
}

pub async fn ties_that_ended_and_too_many_are_removed(fixture: Fixture) {
    let store = fixture.open().await;
    let ties = store.ties();
    for digest in 0..6_u8 {
        let used = if digest < 2 { 10 } else { 5_000 };
        let saved = at(i64::from(digest) + 5_010);
        ties.save_ties(vec![tie(digest, used)], "me", saved).await.unwrap();
    }
    let left = async || fixture.number("SELECT COUNT(*) FROM ties").await;
    assert_eq!(ties.prune_ties(at(3_609), 100, 10).await, Ok(0), "none has ended");
    assert_eq!(ties.prune_ties(at(3_610), 100, 1).await, Ok(1), "one at a time");
    assert_eq!(ties.prune_ties(at(3_610), 100, 10).await, Ok(1));
    assert_eq!(left().await, 4);
    assert_eq!(ties.prune_ties(at(3_610), 3, 10).await, Ok(1));
    let kept: Vec<u8> = learned(&store, "other", 0, 5_020).await.iter().map(|tie| tie.digest[0]).collect();
    assert_eq!(kept, [5, 4, 3], "those saved last");
}

pub async fn overlapping_savings_at_once_are_all_kept(fixture: Fixture) {
    let store = fixture.open().await;
    // Each in another order; the last writer's uses are the latest.
    let digests = |writer: u8| (0..40_u8).map(move |n| n.wrapping_mul(writer * 2 + 1) % 40);
    let saving = (0..6_u8).map(|writer| {
        let ties = store.ties();
        let batch = digests(writer).map(|digest| tie(digest, 10 + i64::from(writer))).collect();
        tokio::spawn(async move { ties.save_ties(batch, &format!("w{writer}"), at(20)).await })
    });
    for saved in join_all(saving).await {
        saved.unwrap().unwrap();
    }
    assert_eq!(learned(&store, "other", 0, 30).await.len(), 40);
    let last: BTreeSet<u8> = digests(5).collect();
    let older = learned(&store, "w5", 0, 30).await;
    assert_eq!(older.len(), 40 - last.len(), "the latest use won, whoever came first");
}
