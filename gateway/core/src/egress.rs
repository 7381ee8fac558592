//! How the egress proxies are doing: what their probes and the requests through them found, and when the next probe is
//! due. An account whose proxy is down is skipped until the proxy answers; it is never sent another way.
//!
//! Refuses: probing (the background round does) and knowing which accounts leave through which proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_domain::{EgressProxy, ProxyId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A proxy that works is probed again after this.
const WORKS: Duration = Duration::from_secs(60);
/// One that is down is probed again after this.
const IS_DOWN: Duration = Duration::from_secs(5);
/// One that missed a single probe is probed again after this.
const DOUBT: Duration = Duration::from_secs(1);
/// Misses in a row after which a proxy that worked is down: one alone may be the upstream's hiccup.
const MISSES: u32 = 2;
/// For this long after a probe that got through where a request had not, requests do not close the way: what they cannot
/// reach lies behind the proxy.
const CLEARED: Duration = Duration::from_secs(30);

/// Whether a proxy works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyState {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// Its last probe got through.
    Up,
    /// It does not work.
    Down,
}

/// What is known of one proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyHealth {
    /// Whether it works.
    pub state: ProxyState,
    /// Since when that is so; `None` while nobody knows.
    pub since: Option<Timestamp>,
    /// When it was last probed.
    pub probed_at: Option<Timestamp>,
    /// How long the last good probe took.
    pub latency: Option<Duration>,
    /// Why the last probe failed, for people; a good one takes it away.
    pub trouble: Option<String>,
    misses: u32,
    /// A request failed on its way since the last probe.
    suspected: bool,
    /// When a probe got through although a request had failed.
    cleared_at: Option<Timestamp>,
}

impl ProxyHealth {
    fn turn(&mut self, state: ProxyState, now: Timestamp) -> Turn {
        if self.state == state {
            return Turn::None;
        }
        let was_down = self.state == ProxyState::Down;
        (self.state, self.since) = (state, Some(now));
        match (was_down, state == ProxyState::Down) {
            (_, true) => Turn::WentDown,
            (true, false) => Turn::CameBack,
            (false, false) => Turn::None,
        }
    }

    fn due(&self, now: Timestamp) -> bool {
        let Some(at) = self.probed_at.filter(|at| !self.suspected && *at <= now) else { return true };
        let pause = match self.state {
            ProxyState::Unknown => Duration::ZERO,
            ProxyState::Up if self.misses > 0 => DOUBT,
            ProxyState::Up => WORKS,
            ProxyState::Down => IS_DOWN,
        };
        at.plus(pause) <= now
    }

    fn probed(&mut self, found: Result<Duration, String>, now: Timestamp) -> Turn {
        let suspected = std::mem::take(&mut self.suspected);
        self.probed_at = Some(now);
        match found {
            Ok(latency) => {
                (self.misses, self.latency, self.trouble) = (0, Some(latency), None);
                self.cleared_at = if suspected { Some(now) } else { self.cleared_at };
                self.turn(ProxyState::Up, now)
            }
            Err(trouble) => {
                self.misses = self.misses.saturating_add(1);
                self.trouble = Some(trouble);
                // A request saw the same, or it never worked: that is proof enough.
                if self.misses >= MISSES || suspected || self.state != ProxyState::Up {
                    self.turn(ProxyState::Down, now)
                } else {
                    Turn::None
                }
            }
        }
    }

    fn failed(&mut self, sure: Certainty, now: Timestamp) -> Turn {
        let lately = |at: Option<Timestamp>, span| at.is_some_and(|at| at <= now && now < at.plus(span));
        let cleared = self.state == ProxyState::Up && lately(self.cleared_at, CLEARED);
        self.suspected = !cleared || !lately(self.probed_at, IS_DOWN);
        match sure {
            Certainty::Connection if !cleared => {
                self.trouble = Some("a request found no connection through it".to_owned());
                self.turn(ProxyState::Down, now)
            }
            Certainty::Connection | Certainty::Perhaps => Turn::None,
        }
    }
}

/// How sure a failed request is that its proxy is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// No connection was made.
    Connection,
    /// The connection broke; the upstream may have closed it.
    Perhaps,
}

/// What became of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "accounts behind it must be told"]
pub enum Turn {
    /// Nothing that matters to accounts.
    None,
    /// It is down from now on.
    WentDown,
    /// It works again.
    CameBack,
}

/// All proxies that were probed or failed.
#[derive(Debug, Default)]
pub struct EgressWatch {
    known: Mutex<BTreeMap<ProxyId, ProxyHealth>>,
    /// Told when a probe should not wait for its turn.
    hurry: Notify,
}

impl EgressWatch {
    /// What is known of a proxy.
    #[must_use]
    pub fn health(&self, id: &ProxyId) -> Option<ProxyHealth> {
        self.known.lock().get(id).cloned()
    }

    /// Since when a proxy is down; `None` when it is not.
    #[must_use]
    pub fn down_since(&self, id: &ProxyId) -> Option<Timestamp> {
        let known = self.known.lock();
        known.get(id).filter(|health| health.state == ProxyState::Down).and_then(|health| health.since)
    }

    /// Of the proxies in use, those whose probe is due. Of those that are gone nothing is kept.
    #[must_use]
    pub fn due(&self, all: &[EgressProxy], in_use: &BTreeSet<ProxyId>, now: Timestamp) -> Vec<ProxyId> {
        let mut known = self.known.lock();
        known.retain(|id, _| all.iter().any(|proxy| proxy.id == *id));
        let due = |id: &&ProxyId| known.get(id).is_none_or(|health| health.due(now));
        in_use.iter().filter(due).cloned().collect()
    }

    /// Takes in a probe's result.
    pub fn probed(&self, id: &ProxyId, found: Result<Duration, String>, now: Timestamp) -> Turn {
        self.known.lock().entry(id.clone()).or_default().probed(found, now)
    }

    /// Takes in that a request failed on its way.
    pub fn failed(&self, id: &ProxyId, sure: Certainty, now: Timestamp) -> Turn {
        let turn = self.known.lock().entry(id.clone()).or_default().failed(sure, now);
        self.hurry.notify_one();
        turn
    }

    /// A proxy's address changed: what was known of the old one means nothing.
    pub fn forget(&self, id: &ProxyId) {
        self.known.lock().remove(id);
        self.hurry.notify_one();
    }

    /// Returns when a probe should not wait for its turn.
    pub async fn hurried(&self) {
        self.hurry.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Certainty::{Connection, Perhaps};
    use ProxyState::{Down, Unknown, Up};

    enum Event {
        Good,
        Bad,
        Failed(Certainty),
    }
    use Event::{Bad, Failed, Good};

    const GOOD: Duration = Duration::from_millis(20);

    /// What happened at which second, and what the proxy is afterwards.
    fn told(events: &[(i64, Event, ProxyState, Turn)]) {
        let mut health = ProxyHealth::default();
        for (at, event, state, turn) in events {
            let now = Timestamp::from_secs(*at);
            let got = match event {
                Good => health.probed(Ok(GOOD), now),
                Bad => health.probed(Err("refused".to_owned()), now),
                Failed(sure) => health.failed(*sure, now),
            };
            assert_eq!((health.state, got), (*state, *turn), "at {at}");
        }
    }

    #[test]
    fn a_proxy_goes_down_by_two_misses_or_one_that_a_request_saw_and_comes_back_by_one_answer() {
        told(&[
            (0, Good, Up, Turn::None),
            (60, Bad, Up, Turn::None),
            (61, Good, Up, Turn::None),
            (121, Bad, Up, Turn::None),
            (122, Bad, Down, Turn::WentDown),
            (127, Bad, Down, Turn::None),
            (132, Good, Up, Turn::CameBack),
        ]);
        // The first probe of all needs no second one.
        told(&[(0, Bad, Down, Turn::WentDown), (5, Good, Up, Turn::CameBack)]);
        // A broken connection is a suspicion that the next probe settles.
        told(&[
            (0, Good, Up, Turn::None),
            (40, Failed(Perhaps), Up, Turn::None),
            (41, Bad, Down, Turn::WentDown),
        ]);
    }

    #[test]
    fn a_request_without_a_connection_closes_the_way_at_once_unless_a_probe_just_got_through() {
        told(&[(0, Failed(Connection), Down, Turn::WentDown), (1, Failed(Connection), Down, Turn::None)]);
        told(&[
            (0, Good, Up, Turn::None),
            (45, Failed(Connection), Down, Turn::WentDown),
            (46, Good, Up, Turn::CameBack),
            // It works; what is out of reach lies behind it.
            (47, Failed(Connection), Up, Turn::None),
            (77, Failed(Connection), Down, Turn::WentDown),
        ]);
        told(&[(0, Failed(Perhaps), Unknown, Turn::None), (1, Good, Up, Turn::None)]);
    }

    #[test]
    fn probes_come_more_often_where_something_is_wrong() {
        let watch = EgressWatch::default();
        let id = ProxyId::parse("prx_1").unwrap();
        let used = BTreeSet::from([id.clone()]);
        let all = [EgressProxy {
            id: id.clone(),
            name: "eu".into(),
            url: gateway_domain::Secret::from("http://h"),
            enabled: true,
            groups: BTreeSet::new(),
        }];
        let due = |secs: i64| !watch.due(&all, &used, Timestamp::from_secs(secs)).is_empty();
        assert!(due(0), "never probed");
        assert_eq!(watch.probed(&id, Ok(GOOD), Timestamp::from_secs(0)), Turn::None);
        assert!(!due(59) && due(60));
        assert!(due(-100), "the clock was set back");
        assert_eq!(watch.failed(&id, Perhaps, Timestamp::from_secs(40)), Turn::None);
        assert!(due(40), "a request suspects it");
        assert_eq!(watch.probed(&id, Err("x".into()), Timestamp::from_secs(41)), Turn::WentDown);
        assert!(!due(45) && due(46));
        assert_eq!(watch.down_since(&id), Some(Timestamp::from_secs(41)));
        assert!(watch.due(&all, &BTreeSet::new(), Timestamp::from_secs(99)).is_empty(), "nobody uses it");
        assert!(watch.due(&[], &BTreeSet::new(), Timestamp::from_secs(99)).is_empty());
        assert_eq!(watch.health(&id), None, "it is gone");
    }
}
