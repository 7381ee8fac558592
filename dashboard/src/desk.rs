//! What every page has at hand: the session, the live picture, the clock, the theme and the notices.

use leptos::prelude::*;

use crate::clock::Clock;
use crate::live::Live;
use crate::logic::answer::Problem;
use crate::session::Session;
use crate::theme::ThemeChoice;
use crate::toasts::Toasts;

/// Handles only: copying it copies no data.
#[derive(Clone, Copy)]
pub(crate) struct Desk {
    pub(crate) session: Session,
    pub(crate) live: Live,
    pub(crate) clock: Clock,
    pub(crate) theme: ThemeChoice,
    pub(crate) toasts: Toasts,
}

impl Desk {
    /// Sets everything up, once, for the whole application.
    pub(crate) fn provide() -> Self {
        let session = Session::ask();
        let clock = Clock::start();
        let live = Live::new(session, clock);
        let desk = Self { session, live, clock, theme: ThemeChoice::restore(), toasts: Toasts::new() };
        provide_context(desk);
        desk
    }

    /// The one of this application.
    pub(crate) fn get() -> Self {
        expect_context()
    }

    /// An action came to nothing: says so, or shows the sign-in page if that is the reason.
    pub(crate) fn failed(self, problem: &Problem) {
        if *problem == Problem::SignedOut {
            self.session.ended();
        } else {
            self.toasts.bad(problem.message());
        }
    }
}
