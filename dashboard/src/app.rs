//! The frame around all pages: who may see what, the header, the routes.

use gateway_api::SessionState;
use leptos::prelude::*;
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::hooks::use_location;
use leptos_router::path;

use crate::browser;
use crate::components::connection::ConnectionLost;
use crate::components::header::Header;
use crate::components::toast::ToastRegion;
use crate::desk::Desk;
use crate::pages::account::AccountPage;
use crate::pages::accounts::AccountsPage;
use crate::pages::add_account::AddAccountPage;
use crate::pages::decision::DecisionPage;
use crate::pages::decisions::DecisionsPage;
use crate::pages::keys::KeysPage;
use crate::pages::not_found::NotFoundPage;
use crate::pages::overview::OverviewPage;
use crate::pages::proxies::ProxiesPage;
use crate::pages::setup::{SetupElsewherePage, SetupPage};
use crate::pages::sign_in::SignInPage;
use crate::pages::waiting::WaitingPage;
use crate::session::Standing;

/// Everything.
#[component]
pub(crate) fn App() -> impl IntoView {
    Desk::provide();
    view! {
        <Router>
            <Gate />
        </Router>
        <ToastRegion />
    }
}

/// Shows what the visitor's standing allows. The address stays, so signing in leads where one wanted to go.
#[component]
fn Gate() -> impl IntoView {
    let desk = Desk::get();
    move || match desk.session.standing() {
        Standing::Asking => view! { <WaitingPage problem=None /> }.into_any(),
        Standing::Unknown(problem) => view! { <WaitingPage problem=Some(problem) /> }.into_any(),
        Standing::Known(view) => match view.state {
            SessionState::SetupNeeded => view! { <SetupPage /> }.into_any(),
            SessionState::SetupElsewhere => view! { <SetupElsewherePage /> }.into_any(),
            SessionState::SignedOut => view! { <SignInPage /> }.into_any(),
            SessionState::SignedIn => view! { <Shell /> }.into_any(),
        },
    }
}

#[component]
fn Shell() -> impl IntoView {
    let desk = Desk::get();
    desk.live.keep_open();
    focus_on_navigation();
    view! {
        <Header />
        <ConnectionLost />
        <main id="main" class="page">
            <FlatRoutes fallback=NotFoundPage>
                <Route path=path!("/") view=OverviewPage />
                <Route path=path!("/accounts") view=AccountsPage />
                <Route path=path!("/accounts/new/:way?") view=AddAccountPage />
                <Route path=path!("/accounts/:id") view=AccountPage />
                <Route path=path!("/proxies") view=ProxiesPage />
                <Route path=path!("/decisions") view=DecisionsPage />
                <Route path=path!("/decisions/:id") view=DecisionPage />
                <Route path=path!("/keys") view=KeysPage />
            </FlatRoutes>
        </main>
        <footer class="foot">
            <span>"Switchyard " {move || desk.session.version()}</span>
        </footer>
    }
}

/// Not at the first page: there the browser's own start is right.
fn focus_on_navigation() {
    let path = use_location().pathname;
    Effect::new(move |last: Option<String>| {
        let path = path.get();
        if last.is_some_and(|last| last != path) {
            browser::focus_heading();
        }
        path
    });
}
