//! Cases: settlements.

use futures_util::future::join_all;
use gateway_core::ports::storage::SettlementRecord;
use gateway_domain::{RequestId, TokenUsage};

use crate::fixture::Fixture;
use crate::values::{at, settlement};

pub async fn a_settlement_comes_back_as_it_was(fixture: Fixture) {
    let store = fixture.open().await;
    let full = settlement(RequestId::generate(), 30);
    let bare = SettlementRecord {
        account: None,
        usage: None,
        first_event_ms: None,
        outcome: "no_account".into(),
        status: 503,
        attempts: 0,
        ..settlement(RequestId::generate(), 20)
    };
    let extreme = SettlementRecord {
        usage: Some(TokenUsage { input: 0, input_cached: 0, output: i64::MAX as u64, reasoning: u64::MAX }),
        status: u16::MAX,
        first_event_ms: Some(u32::MAX),
        duration_ms: u32::MAX,
        attempts: u32::MAX,
        ..settlement(RequestId::generate(), 10)
    };
    let batch = vec![extreme.clone(), full.clone(), bare.clone()];
    store.ledger().append(&batch).await.unwrap();
    let mut kept = extreme;
    kept.usage.as_mut().unwrap().reasoning = i64::MAX as u64; // as much as a column holds
    assert_eq!(fixture.open().await.ledger().newest(10).await.unwrap(), [full, bare, kept]);
}

pub async fn a_clients_use_is_added_up(fixture: Fixture) {
    let store = fixture.open().await;
    let of = |client: &str, usage| SettlementRecord {
        client: client.into(),
        usage,
        ..settlement(RequestId::generate(), 10)
    };
    let usage = TokenUsage { input: 10, input_cached: 4, output: 3, reasoning: 1 };
    let batch = vec![of("ada", Some(usage)), of("ada", Some(usage)), of("ada", None), of("adb", Some(usage))];
    store.ledger().append(&batch).await.unwrap();
    let used = store.ledger().used_by("ada").await.unwrap();
    assert_eq!(used.requests, 3);
    assert_eq!(used.tokens, TokenUsage { input: 20, input_cached: 8, output: 6, reasoning: 2 });
    let nobody = store.ledger().used_by("nobody").await.unwrap();
    assert_eq!((nobody.requests, nobody.tokens), (0, TokenUsage::default()));
}

pub async fn settling_twice_keeps_the_first(fixture: Fixture) {
    let store = fixture.open().await;
    let ledger = store.ledger();
    let first = settlement(RequestId::generate(), 10);
    let second = SettlementRecord { outcome: "stream_incomplete".into(), ..first.clone() };
    let new = settlement(RequestId::generate(), 20);
    ledger.append(&[first.clone(), second.clone()]).await.unwrap();
    ledger.append(&[second, new.clone()]).await.expect("the rest of a batch is written");
    ledger.append(&[]).await.unwrap();
    assert_eq!(ledger.newest(10).await.unwrap(), [new, first]);
}

pub async fn the_newest_come_first(fixture: Fixture) {
    let store = fixture.open().await;
    let ledger = store.ledger();
    assert_eq!(ledger.newest(5).await.unwrap(), []);
    let mut requests: Vec<RequestId> = (0..6).map(|_| RequestId::generate()).collect();
    requests.sort();
    // Two arrive in each second; the later id is the newer.
    let batch: Vec<_> =
        requests.iter().zip(0..).map(|(id, number)| settlement(id.clone(), number / 2)).collect();
    ledger.append(&batch).await.unwrap();
    let newest: Vec<RequestId> =
        ledger.newest(4).await.unwrap().into_iter().map(|record| record.request).collect();
    assert_eq!(newest, requests.iter().rev().take(4).cloned().collect::<Vec<_>>());
    assert_eq!(ledger.newest(0).await.unwrap(), []);
    assert_eq!(ledger.newest(u32::MAX).await.unwrap().len(), 6);
}

pub async fn a_large_batch_is_written_whole(fixture: Fixture) {
    let store = fixture.open().await;
    for size in [500_usize, 4000] {
        let batch: Vec<_> = (0..size).map(|_| settlement(RequestId::generate(), 10)).collect();
        store.ledger().append(&batch).await.unwrap();
    }
    assert_eq!(fixture.number("SELECT COUNT(*) FROM settlements").await, 4500);
}

pub async fn odd_text_does_not_sink_its_batch(fixture: Fixture) {
    let store = fixture.open().await;
    let plain = settlement(RequestId::generate(), 20);
    let mut odd = settlement(RequestId::generate(), 10);
    odd.model = "a\0b'; DROP TABLE settlements; -- {\"x\"} \u{1f6a2}".into();
    odd.client = "ü".repeat(5000).into();
    store.ledger().append(&[odd.clone(), plain.clone()]).await.unwrap();
    odd.model = odd.model.replace('\0', "\u{fffd}").into();
    assert_eq!(store.ledger().newest(10).await.unwrap(), [plain, odd]);
}

pub async fn overlapping_batches_at_once_are_all_kept(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let mut expected = Vec::new();
    for _ in 0..3 {
        let requests: Vec<RequestId> = (0..2000).map(|_| RequestId::generate()).collect();
        let appends = (0..4).map(|number: usize| {
            let ledger = stores[number % 2].ledger();
            let mut batch: Vec<_> = requests.iter().map(|id| settlement(id.clone(), 10)).collect();
            // Writers that have them in another order must not end up waiting for one another.
            if number.is_multiple_of(2) {
                batch.reverse();
            }
            tokio::spawn(async move { ledger.append(&batch).await.unwrap() })
        });
        for done in join_all(appends).await {
            done.unwrap();
        }
        expected.extend(requests);
    }
    let newest = stores[1].ledger().newest(10_000).await.unwrap();
    let mut kept: Vec<RequestId> = newest.into_iter().map(|record| record.request).collect();
    kept.sort();
    expected.sort();
    assert_eq!(kept, expected);
}

pub async fn what_is_old_is_removed_a_part_at_a_time(fixture: Fixture) {
    let store = fixture.open().await;
    let ledger = store.ledger();
    assert_eq!(ledger.prune(at(100), 10).await.unwrap(), 0);
    let mut batch: Vec<_> = (0..10).map(|secs| settlement(RequestId::generate(), secs)).collect();
    ledger.append(&batch).await.unwrap();
    batch.reverse();
    let newest = async || ledger.newest(100).await.unwrap();

    assert_eq!(ledger.prune(at(7), 0).await.unwrap(), 0);
    assert_eq!(newest().await, batch);
    assert_eq!(ledger.prune(at(7), 3).await.unwrap(), 3, "at most so many");
    assert_eq!(newest().await, batch[..7], "the oldest went");
    assert_eq!(ledger.prune(at(7), 100).await.unwrap(), 4);
    assert_eq!(newest().await, batch[..3], "what is as old as the limit stays");
    assert_eq!(ledger.prune(at(7), u32::MAX).await.unwrap(), 0);
}

pub async fn several_can_remove_at_once(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    let batch: Vec<_> = (0..1000).map(|secs| settlement(RequestId::generate(), secs)).collect();
    stores[0].ledger().append(&batch).await.unwrap();
    let removed = join_all((0..4_usize).map(|number| {
        let ledger = stores[number % 2].ledger();
        tokio::spawn(async move {
            let mut removed = 0;
            for _ in 0..10 {
                removed += ledger.prune(at(900), 50).await.unwrap();
            }
            removed
        })
    }))
    .await;
    let mut removed: u64 = removed.into_iter().map(Result::unwrap).sum();
    removed += stores[0].ledger().prune(at(900), 1000).await.unwrap();
    assert_eq!(removed, 900, "none is counted twice");
    let mut kept = stores[1].ledger().newest(1000).await.unwrap();
    kept.reverse();
    assert_eq!(kept, batch[900..]);
}
