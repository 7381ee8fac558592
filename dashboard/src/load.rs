//! Loads what a page shows, once for its key and again when asked to.

use std::future::Future;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::desk::Desk;
use crate::logic::answer::Problem;

/// What is there to show.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Load<T> {
    /// Asked for.
    Waiting,
    /// Here.
    Ready(T),
    /// It cannot be shown.
    Failed(Problem),
}

/// A value that is fetched for a key (the id in the path) and can be fetched again.
pub(crate) struct Loader<T: Send + Sync + 'static> {
    state: RwSignal<Load<T>>,
    wish: RwSignal<u32>,
}

impl<T: Send + Sync + 'static> Clone for Loader<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Loader<T> {}

impl<T: Clone + Send + Sync + 'static> Loader<T> {
    /// Fetches now, and anew whenever `key` changes.
    pub(crate) fn new<K, Fetch, Answer>(key: impl Fn() -> K + Send + Sync + 'static, fetch: Fetch) -> Self
    where
        K: Clone + PartialEq + Send + Sync + 'static,
        Fetch: Fn(K) -> Answer + 'static,
        Answer: Future<Output = Result<T, Problem>> + 'static,
    {
        let desk = Desk::get();
        let loader = Self { state: RwSignal::new(Load::Waiting), wish: RwSignal::new(0) };
        let key = Memo::new(move |_| key());
        Effect::new(move |last: Option<K>| {
            loader.wish.track();
            let now = key.get();
            if last.as_ref() != Some(&now) {
                loader.state.set(Load::Waiting);
            }
            let answer = fetch(now.clone());
            let asked = now.clone();
            spawn_local(async move {
                let answer = answer.await;
                // The page may have moved on, or may be gone.
                if key.try_get_untracked() == Some(asked) {
                    loader.take(desk, answer);
                }
            });
            now
        });
        loader
    }

    fn take(self, desk: Desk, answer: Result<T, Problem>) {
        match answer {
            Ok(value) => self.set(value),
            Err(Problem::SignedOut) => desk.session.ended(),
            // What is shown stays: the banner already says that the connection is lost.
            Err(Problem::Unreachable) if self.is_ready() => {}
            Err(problem) => {
                let _gone = self.state.try_set(Load::Failed(problem));
            }
        }
    }

    fn is_ready(self) -> bool {
        self.state.try_with_untracked(|state| matches!(state, Load::Ready(_))).unwrap_or(false)
    }

    /// Tracked.
    pub(crate) fn get(self) -> Load<T> {
        self.state.get()
    }

    /// The value, if it is here. Tracked.
    pub(crate) fn ready(self) -> Option<T> {
        match self.state.get() {
            Load::Ready(value) => Some(value),
            _ => None,
        }
    }

    /// An action answered with the new value.
    pub(crate) fn set(self, value: T) {
        let _gone = self.state.try_set(Load::Ready(value));
    }

    /// Fetches again.
    pub(crate) fn reload(self) {
        let _gone = self.wish.try_update(|wish| *wish = wish.wrapping_add(1));
    }
}
