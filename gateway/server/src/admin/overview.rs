//! The overview: once, or as live events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use gateway_api::Overview;
use gateway_core::stage::hash_client_key;
use http::HeaderMap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::guard::{operator_key, session_token};
use super::view;
use crate::AppState;

/// The shortest time between two events.
const COALESCE: Duration = Duration::from_millis(250);
/// Rates and countdowns move without anything happening, so an event comes at least this often.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);
/// Comments that keep proxies from closing the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /overview`.
pub(crate) async fn show(State(state): State<AppState>) -> Json<Overview> {
    Json(view::overview(&state.gateway))
}

struct Watching {
    state: AppState,
    who: Watcher,
    changes: watch::Receiver<u64>,
    /// When the next event may come; none before the first one.
    not_before: Option<Instant>,
}

/// Who is told. They are only as long as they might ask again.
enum Watcher {
    Session(String),
    Operator([u8; 32]),
}

impl Watcher {
    fn of(headers: &HeaderMap) -> Self {
        match operator_key(headers) {
            Some(key) => Self::Operator(hash_client_key(key)),
            None => Self::Session(session_token(headers).unwrap_or_default().to_owned()),
        }
    }

    async fn may_watch(&self, state: &AppState) -> bool {
        match self {
            Self::Session(token) => state.sessions.is_open(token, state.gateway.now()),
            Self::Operator(hash) => state.gateway.operator(hash).await.is_some(),
        }
    }
}

/// `GET /events`: `overview` events until the session, the key or the gateway ends.
pub(crate) async fn events(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watching =
        Watching { who: Watcher::of(&headers), changes: state.gateway.watch(), not_before: None, state };
    Sse::new(unfold(watching, next_event)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

async fn next_event(mut watching: Watching) -> Option<(Result<Event, Infallible>, Watching)> {
    let stopping = watching.state.gateway.stopping();
    if let Some(not_before) = watching.not_before {
        let due = async {
            sleep_until(not_before).await;
            // Either will do: a change, or that nothing changed for a while.
            drop(timeout(AT_LEAST_EVERY, watching.changes.changed()).await);
        };
        tokio::select! {
            () = stopping.cancelled() => return None,
            () = due => {}
        }
    }
    if !watching.who.may_watch(&watching.state).await {
        return None;
    }
    watching.changes.mark_unchanged();
    let overview = view::overview(&watching.state.gateway);
    watching.not_before = Some(Instant::now() + COALESCE);
    let event = Event::default().event("overview").json_data(&overview).unwrap_or_else(|error| {
        tracing::error!(%error, "the overview could not be written");
        Event::default().comment("unreadable")
    });
    Some((Ok(event), watching))
}
