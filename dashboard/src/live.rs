//! The live picture: the last overview, and the event stream that keeps it fresh.
//!
//! The browser's own reconnecting gives up on an error status and cannot be paced, so a lost stream is closed and
//! opened again from here: with growing waits, for ever, asking first whether the session still stands.

use std::time::Duration;

use gateway_api::{ADMIN_PREFIX, Overview, SessionState};
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventSource, MessageEvent};

use crate::clock::Clock;
use crate::logic::answer::Problem;
use crate::logic::backoff;
use crate::session::Session;
use crate::{api, browser};

/// A stream this quiet is opened anew: a sleeping laptop or a lost router leaves it open and dead.
const QUIET_MS: i64 = 40_000;
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// How the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not heard from yet.
    Opening,
    /// Events come.
    Open,
    /// Broken; being opened again.
    Lost,
}

/// The picture and the stream behind it.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    overview: RwSignal<Option<Overview>>,
    link: RwSignal<Link>,
    session: Session,
    clock: Clock,
    wire: StoredValue<Option<Wire>, LocalStorage>,
    /// Grows with every start, stop and reconnect; what a callback of an earlier round brings is dropped.
    round: StoredValue<u32>,
    attempt: StoredValue<u32>,
    heard_at: StoredValue<i64>,
}

impl Live {
    pub(crate) fn new(session: Session, clock: Clock) -> Self {
        Self {
            overview: RwSignal::new(None),
            link: RwSignal::new(Link::Opening),
            session,
            clock,
            wire: StoredValue::new_local(None),
            round: StoredValue::new(0),
            attempt: StoredValue::new(0),
            heard_at: StoredValue::new(0),
        }
    }

    /// The last overview. Read it through a memo: it changes up to four times a second.
    pub(crate) fn overview(self) -> RwSignal<Option<Overview>> {
        self.overview
    }

    /// Tracked.
    pub(crate) fn link(self) -> Link {
        self.link.get()
    }

    /// Opens the stream and keeps it open until the calling component goes.
    pub(crate) fn keep_open(self) {
        self.reconnect();
        let watch = set_interval_with_handle(move || self.check_quiet(), CHECK_EVERY).ok();
        let online = window_event_listener(ev::online, move |_| self.reconnect());
        // A browser opens six connections to one address and keeps left pages for a while: one that nobody looks at
        // must not hold one of them.
        let seen = window_event_listener_untyped("visibilitychange", move |_| {
            if browser::is_visible() { self.wake() } else { self.rest() }
        });
        let left = window_event_listener_untyped("pagehide", move |_| self.rest());
        let back = window_event_listener_untyped("pageshow", move |_| self.wake());
        on_cleanup(move || {
            watch.iter().for_each(IntervalHandle::clear);
            online.remove();
            seen.remove();
            left.remove();
            back.remove();
            self.rest();
            self.overview.set(None);
        });
    }

    /// Lets go of the stream without calling it lost.
    fn rest(self) {
        self.next_round();
        self.wire.set_value(None);
    }

    /// Somebody looks again.
    fn wake(self) {
        if self.is_resting() {
            self.reconnect();
        } else {
            self.check_quiet();
        }
    }

    fn is_resting(self) -> bool {
        self.wire.with_value(Option::is_none)
    }

    /// Does not wait for the next try.
    pub(crate) fn reconnect(self) {
        self.attempt.set_value(0);
        self.connect(self.next_round());
    }

    /// Fetches the overview now, after an action that changed it.
    pub(crate) fn refresh(self) {
        spawn_local(async move {
            match api::overview().await {
                Ok(overview) => self.hear(overview),
                Err(Problem::SignedOut) => self.session.ended(),
                Err(_) => self.lose(),
            }
        });
    }

    /// An account was deleted: its row goes at once, not with the next event.
    pub(crate) fn forget_account(self, id: &str) {
        self.overview.update(|overview| {
            if let Some(overview) = overview {
                overview.accounts.retain(|account| account.id != id);
            }
        });
    }

    fn next_round(self) -> u32 {
        let round = self.round.get_value().wrapping_add(1);
        self.round.set_value(round);
        round
    }

    fn connect(self, round: u32) {
        self.heard_at.set_value(browser::now_ms());
        self.wire.set_value(Wire::open(self, round));
    }

    fn is_current(self, round: u32) -> bool {
        self.round.try_get_value() == Some(round)
    }

    fn hear(self, overview: Overview) {
        self.attempt.set_value(0);
        self.heard_at.set_value(browser::now_ms());
        self.clock.hear(overview.now);
        self.overview.set(Some(overview));
        if self.link.get_untracked() != Link::Open {
            self.link.set(Link::Open);
        }
    }

    /// The stream broke: closes it and tries again after a while.
    fn lose(self) {
        let round = self.next_round();
        self.link.set(Link::Lost);
        let attempt = self.attempt.get_value();
        self.attempt.set_value(attempt.saturating_add(1));
        let wait = Duration::from_millis(u64::from(backoff::delay_ms(attempt, browser::random())));
        set_timeout(move || self.retry(round), wait);
    }

    fn retry(self, round: u32) {
        if !self.is_current(round) {
            return;
        }
        self.wire.set_value(None);
        spawn_local(async move {
            let answer = api::session().await;
            match answer {
                _ if !self.is_current(round) => {}
                Ok(view) if view.state == SessionState::SignedIn => self.connect(round),
                Ok(view) => self.session.enter(view),
                Err(_) => self.lose(),
            }
        });
    }

    fn check_quiet(self) {
        let quiet = browser::now_ms() - self.heard_at.get_value();
        if !self.is_resting() && quiet > QUIET_MS && self.link.get_untracked() == Link::Open {
            self.reconnect();
        }
    }
}

/// One open stream. Dropping it closes it and lets its callbacks go.
struct Wire {
    source: EventSource,
    _on_overview: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl Wire {
    fn open(live: Live, round: u32) -> Option<Self> {
        let source = EventSource::new(&format!("{ADMIN_PREFIX}/events")).ok()?;
        let on_overview = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let overview = event.data().as_string().and_then(|data| serde_json::from_str(&data).ok());
            if let Some(overview) = overview.filter(|_| live.is_current(round)) {
                live.hear(overview);
            }
        });
        let closing = source.clone();
        let on_error = Closure::<dyn FnMut(Event)>::new(move |_| {
            closing.close();
            if live.is_current(round) {
                live.lose();
            }
        });
        source
            .add_event_listener_with_callback("overview", on_overview.as_ref().unchecked_ref())
            .and_then(|()| {
                source.add_event_listener_with_callback("error", on_error.as_ref().unchecked_ref())
            })
            .ok()?;
        Some(Self { source, _on_overview: on_overview, _on_error: on_error })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.source.close();
    }
}
