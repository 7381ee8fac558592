//! The queue step by step; then any sequence of events.

use super::*;
use proptest::prelude::*;

fn now(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn queue(running: usize) -> Queue<u32> {
    Queue::new(Limits { running, waiting: 8, waiting_per_client: 4, patience: Duration::from_secs(10) })
}

fn wait(queue: &mut Queue<u32>, client: &str, secs: i64) -> Ticket {
    match queue.enter(client, 0, now(secs), |_| true) {
        Entry::Waits(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn run(queue: &mut Queue<u32>, client: &str) -> Ticket {
    match queue.enter(client, 0, now(0), |_| true) {
        Entry::Admitted(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn turns_go_round_between_clients() {
    let mut queue = queue(1);
    let mut running = run(&mut queue, "busy");
    let busy = [0; 3].map(|_| wait(&mut queue, "busy", 0));
    let calm = wait(&mut queue, "calm", 0);
    let other = wait(&mut queue, "other", 0);
    let expect = [busy[0], calm, other, busy[1], busy[2]];
    for (ahead, ticket) in expect.iter().enumerate() {
        assert_eq!(queue.position(*ticket), Some(Position { ahead, waiting: 5 }));
    }
    for ticket in expect {
        assert_eq!(queue.next(now(1), |_| true), None, "no room yet");
        queue.leave(running);
        assert_eq!(queue.next(now(1), |_| true), Some(Turn::Admitted(ticket)));
        running = ticket;
    }
    queue.leave(running);
    assert_eq!((queue.running(), queue.waiting(), queue.next(now(2), |_| true)), (0, 0, None));
}

#[test]
fn limits_refuse_by_name() {
    let mut queue = queue(0);
    for _ in 0..4 {
        wait(&mut queue, "busy", 0);
    }
    assert_eq!(queue.enter("busy", 0, now(0), |_| true), Entry::Refused(Full::Client));
    for client in ["a", "b", "c", "d"] {
        wait(&mut queue, client, 0);
    }
    assert_eq!(queue.enter("e", 0, now(0), |_| true), Entry::Refused(Full::Queue));
}

#[test]
fn nobody_waits_longer_than_the_limit_even_when_the_clock_goes_back() {
    let mut queue = queue(0);
    let first = wait(&mut queue, "a", 0);
    let second = wait(&mut queue, "b", 5);
    assert_eq!(queue.deadline(), Some(now(10)));
    assert_eq!(queue.next(now(9), |_| true), None);
    assert_eq!(queue.next(now(10), |_| true), Some(Turn::Expired(first)));
    assert_eq!(queue.next(now(10), |_| true), None);
    assert_eq!(queue.next(now(-1_000), |_| true), None);
    assert_eq!(queue.deadline(), Some(now(-990)));
    assert_eq!(queue.next(now(-990), |_| true), Some(Turn::Expired(second)));
}

#[test]
fn what_waits_for_something_else_does_not_block_and_keeps_its_turn() {
    let mut queue = queue(2);
    let taken = |wants: &u32| *wants != 7;
    let Entry::Waits(tied) = queue.enter("a", 7, now(0), taken) else { panic!("7 is taken") };
    assert!(matches!(queue.enter("a", 1, now(0), taken), Entry::Admitted(_)), "it may pass");
    let Entry::Admitted(last) = queue.enter("b", 1, now(0), |_| true) else {
        // 7 became free: whoever waits for it goes first.
        assert_eq!(queue.next(now(0), |_| true), Some(Turn::Admitted(tied)));
        return;
    };
    panic!("{last:?} overtook {tied:?}");
}

#[test]
fn leaving_twice_changes_nothing() {
    let mut queue = queue(1);
    let running = run(&mut queue, "a");
    let waiting = wait(&mut queue, "a", 0);
    for _ in 0..2 {
        queue.leave(waiting);
        assert_eq!((queue.running(), queue.waiting(), queue.position(waiting)), (1, 0, None));
    }
    for _ in 0..2 {
        queue.leave(running);
        assert_eq!(queue.running(), 0);
    }
}

#[derive(Debug, Clone)]
enum Event {
    Enter(u8, u32),
    Leave(usize),
    Next(u32),
    Clock(i32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u8..4, 0_u32..3).prop_map(|(client, wants)| Event::Enter(client, wants)),
        2 => (0_usize..16).prop_map(Event::Leave),
        3 => (0_u32..4).prop_map(Event::Next),
        1 => (-100_i32..100).prop_map(Event::Clock),
    ]
}

proptest! {
    /// Whatever comes in whatever order: limits hold, everybody is somewhere exactly once, and in the end nobody is.
    #[test]
    fn limits_hold_and_nobody_is_lost(events in prop::collection::vec(event(), 0..300)) {
        let mut queue = queue(3);
        let (mut inside, mut clock) = (Vec::new(), 0_i64);
        for event in events {
            match event {
                Event::Enter(client, wants) => {
                    match queue.enter(&client.to_string(), wants, now(clock), |wants| *wants != 0) {
                        Entry::Admitted(ticket) | Entry::Waits(ticket) => inside.push(ticket),
                        Entry::Refused(_) => prop_assert!(queue.waiting() > 0),
                    }
                }
                Event::Leave(at) => if !inside.is_empty() {
                    let ticket = inside.swap_remove(at % inside.len());
                    queue.leave(ticket);
                    queue.leave(ticket);
                },
                Event::Next(free) => while let Some(turn) = queue.next(now(clock), |wants| *wants < free) {
                    if let Turn::Expired(ticket) = turn {
                        inside.retain(|one| *one != ticket);
                    }
                },
                Event::Clock(step) => clock += i64::from(step),
            }
            prop_assert!(queue.running() <= 3 && queue.waiting() <= 8);
            prop_assert_eq!(queue.running() + queue.waiting(), inside.len());
            prop_assert_eq!(queue.waiters().count(), queue.waiting());
            let mut ahead: Vec<usize> =
                inside.iter().filter_map(|ticket| queue.position(*ticket)).map(|one| one.ahead).collect();
            ahead.sort_unstable();
            prop_assert_eq!(ahead, (0..queue.waiting()).collect::<Vec<_>>(), "every position once");
        }
        // From any state, everybody who waits has an end within the limit.
        let end = now(clock.max(0) + 10_000);
        while queue.next(end, |_| false).is_some() {}
        prop_assert_eq!(queue.waiting(), 0);
    }
}
