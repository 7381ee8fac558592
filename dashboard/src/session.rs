//! Where the visitor stands with the gateway, and the calls that change it.

use std::time::Duration;

use gateway_api::{SessionState, SessionView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::logic::answer::Problem;
use crate::logic::backoff;
use crate::{api, browser};

/// What is known of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Asked, no answer yet.
    Asking,
    /// The gateway could not be asked; it is asked again.
    Unknown(Problem),
    /// It answered.
    Known(SessionView),
}

/// The session as a signal.
#[derive(Clone, Copy)]
pub(crate) struct Session(RwSignal<Standing>);

impl Session {
    /// Asks the gateway, and again until it answers.
    pub(crate) fn ask() -> Self {
        let session = Self(RwSignal::new(Standing::Asking));
        session.ask_again(0);
        session
    }

    fn ask_again(self, attempt: u32) {
        spawn_local(async move {
            match api::session().await {
                Ok(view) => self.enter(view),
                Err(problem) => {
                    self.0.set(Standing::Unknown(problem));
                    let wait = backoff::delay_ms(attempt, browser::random());
                    let wait = Duration::from_millis(u64::from(wait));
                    set_timeout(move || self.ask_again(attempt.saturating_add(1)), wait);
                }
            }
        });
    }

    /// Tracked.
    pub(crate) fn standing(self) -> Standing {
        self.0.get()
    }

    /// The gateway's version, once it answered.
    pub(crate) fn version(self) -> Option<String> {
        self.0.with(|standing| match standing {
            Standing::Known(view) => Some(view.version.clone()),
            _ => None,
        })
    }

    /// Asks once more, for a page that waits for something to be done elsewhere.
    pub(crate) fn look_again(self) {
        spawn_local(async move {
            if let Ok(view) = api::session().await {
                self.enter(view);
            }
        });
    }

    /// The gateway told where the visitor stands now.
    pub(crate) fn enter(self, view: SessionView) {
        if self.0.with_untracked(|standing| *standing != Standing::Known(view.clone())) {
            self.0.set(Standing::Known(view));
        }
    }

    /// A call was refused because the session is over.
    pub(crate) fn ended(self) {
        let version = untrack(|| self.version()).unwrap_or_default();
        self.enter(SessionView { state: SessionState::SignedOut, version });
    }
}
