//! The live picture: the last overview, and the event stream that keeps it fresh.
//!
//! The browser's own reconnecting gives up on an error status and cannot be paced, so a lost stream is closed and
//! opened again from here: with growing waits, for ever, asking first whether the session still stands.
//!
//! Of a large pool the picture has only the accounts to look at first. Who lists all of them asks for the rest, in pages
//! and with pauses. Reading events takes at most a tenth of the browser's time: what comes sooner waits, and only the
//! newest is read.

use std::time::Duration;

use gateway_api::{ADMIN_PREFIX, Overview, SessionState};
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Event, EventSource, MessageEvent};

use crate::clock::Clock;
use crate::logic::answer::Problem;
use crate::logic::backoff;
use crate::logic::roster::Roster;
use crate::session::Session;
use crate::{api, browser};

/// A stream this quiet is opened anew: a sleeping laptop or a lost router leaves it open and dead.
const QUIET_MS: i64 = 40_000;
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// After an event took some time to read, this many times as long passes before the next is read.
const REST_AFTER_READING: i64 = 9;

/// How often the whole list of a large pool is asked for while it is shown.
const LIST_EVERY: Duration = Duration::from_secs(20);

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
    /// Without its accounts, which are in `roster`.
    overview: RwSignal<Option<Overview>>,
    roster: RwSignal<Option<Roster>>,
    /// Whether the picture has only a part of the pool.
    is_part: RwSignal<bool>,
    /// Whether somebody lists the whole pool, and whether the list is on its way.
    lists: StoredValue<bool>,
    is_listing: StoredValue<bool>,
    link: RwSignal<Link>,
    session: Session,
    clock: Clock,
    wire: StoredValue<Option<Wire>, LocalStorage>,
    /// Grows with every start, stop and reconnect; what a callback of an earlier round brings is dropped.
    round: StoredValue<u32>,
    attempt: StoredValue<u32>,
    heard_at: StoredValue<i64>,
    /// The newest event that waits to be read.
    unread: StoredValue<Option<JsValue>, LocalStorage>,
    read_after: StoredValue<i64>,
}

impl Live {
    pub(crate) fn new(session: Session, clock: Clock) -> Self {
        Self {
            overview: RwSignal::new(None),
            roster: RwSignal::new(None),
            is_part: RwSignal::new(false),
            lists: StoredValue::new(false),
            is_listing: StoredValue::new(false),
            link: RwSignal::new(Link::Opening),
            session,
            clock,
            wire: StoredValue::new_local(None),
            round: StoredValue::new(0),
            attempt: StoredValue::new(0),
            heard_at: StoredValue::new(0),
            unread: StoredValue::new_local(None),
            read_after: StoredValue::new(0),
        }
    }

    /// The last overview, without its accounts. Read it through a memo: it changes up to four times a second.
    pub(crate) fn overview(self) -> RwSignal<Option<Overview>> {
        self.overview
    }

    /// The accounts, those of the picture or all of them; changes only when one of them does.
    pub(crate) fn roster(self) -> RwSignal<Option<Roster>> {
        self.roster
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
            self.roster.set(None);
        });
    }

    /// Has every account in the roster, until the calling component goes.
    pub(crate) fn keep_all(self) {
        self.lists.set_value(true);
        let again = set_interval_with_handle(move || self.list(), LIST_EVERY).ok();
        Effect::new(move || {
            self.is_part.track();
            self.list();
        });
        on_cleanup(move || {
            again.iter().for_each(IntervalHandle::clear);
            self.lists.set_value(false);
        });
    }

    /// Fetches the accounts that the picture lacks, if somebody wants them.
    fn list(self) {
        let is_wanted =
            self.lists.get_value() && self.is_part.get_untracked() && !self.is_listing.get_value();
        if !is_wanted || self.is_resting() {
            return;
        }
        self.is_listing.set_value(true);
        spawn_local(async move {
            let answer = api::accounts().await;
            self.is_listing.set_value(false);
            match answer {
                Ok(all) if self.lists.get_value() => self.roster.update(|roster| {
                    if let Some(renewed) = roster.as_ref().and_then(|known| known.renewed(all)) {
                        *roster = Some(renewed);
                    }
                }),
                Err(Problem::SignedOut) => self.session.ended(),
                // The stream tells whether the gateway is there; the next round asks again.
                _ => {}
            }
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
        self.list();
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
        self.roster.update(|roster| {
            if let Some(known) = roster {
                *known = known.without(id);
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
        self.unread.set_value(None);
        self.wire.set_value(Wire::open(self, round));
    }

    fn is_current(self, round: u32) -> bool {
        self.round.try_get_value() == Some(round)
    }

    /// An event came. It is read now, or in a while if the last one was hard work.
    fn arrive(self, data: JsValue, round: u32) {
        self.heard_at.set_value(browser::now_ms());
        let is_waiting = self.unread.with_value(Option::is_some);
        self.unread.set_value(Some(data));
        let wait = self.read_after.get_value() - browser::now_ms();
        match u64::try_from(wait) {
            _ if is_waiting => {}
            Ok(wait) if wait > 0 => set_timeout(move || self.read(round), Duration::from_millis(wait)),
            _ => self.read(round),
        }
    }

    fn read(self, round: u32) {
        // A timer of an earlier round must not take what came since.
        if !self.is_current(round) {
            return;
        }
        let Some(data) = self.unread.try_update_value(Option::take).flatten() else { return };
        let begun = browser::now_ms();
        if let Some(overview) = data.as_string().and_then(|data| serde_json::from_str(&data).ok()) {
            self.hear(overview);
        }
        let ended = browser::now_ms();
        self.read_after.set_value(ended + (ended - begun) * REST_AFTER_READING);
    }

    fn hear(self, mut overview: Overview) {
        self.attempt.set_value(0);
        self.heard_at.set_value(browser::now_ms());
        self.clock.hear(overview.now);
        let accounts = std::mem::take(&mut overview.accounts);
        let is_part = accounts.len() < overview.pool.accounts;
        if self.is_part.get_untracked() != is_part {
            self.is_part.set(is_part);
        }
        let known = self.roster.with_untracked(|known| match known {
            None => Some(Roster::default().renewed(accounts).unwrap_or_default()),
            Some(known) if is_part && self.lists.get_value() => known.touched(accounts),
            Some(known) => known.renewed(accounts),
        });
        if known.is_some() {
            self.roster.set(known);
        }
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
            if live.is_current(round) {
                live.arrive(event.data(), round);
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
