//! The last decisions, of all accounts or of one.

use leptos::prelude::*;

use crate::api;
use crate::components::decision_table::DecisionTable;
use crate::components::state::{empty, loaded};
use crate::components::title::Title;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::roster::Roster;

/// How many the gateway is asked for.
const LIMIT: u32 = 100;

/// A list that is fetched again whenever the live picture shows a newer decision.
#[component]
pub(crate) fn DecisionsPage() -> impl IntoView {
    let desk = Desk::get();
    let account = RwSignal::new(String::new());
    let loader = Loader::new(
        move || account.get(),
        |id: String| async move {
            let id = Some(id).filter(|id| !id.is_empty());
            api::decisions(id.as_deref(), LIMIT).await
        },
    );
    reload_when_moved(desk, move || loader.reload());
    view! {
        <div class="page-head">
            <Title text="Decisions".to_owned() />
            <AccountFilter account=account />
        </div>
        <section class="panel">
            {loaded(loader, 6, move |decisions| {
                if decisions.is_empty() {
                    return empty("No decisions", "Requests appear here as soon as an account has been chosen for them.")
                        .into_any();
                }
                let now = Signal::derive(move || desk.clock.now());
                let decisions = Signal::derive(move || decisions.clone());
                view! { <DecisionTable decisions=decisions now=now caption="Decisions, the newest first" /> }.into_any()
            })}
        </section>
    }
}

/// Calls `reload` when a decision began or ended, at most once in each tick of the clock.
fn reload_when_moved(desk: Desk, reload: impl Fn() + 'static) {
    let live = desk.live.overview();
    let newest = Memo::new(move |_| {
        desk.clock.now();
        live.with_untracked(|overview| {
            overview.as_ref().map(|overview| {
                let newest = overview.recent.first();
                (
                    newest.map(|one| (one.request_id.clone(), one.outcome.clone())),
                    overview.requests,
                    overview.in_flight,
                )
            })
        })
    });
    Effect::new(move |last: Option<_>| {
        let now = newest.get();
        if last.is_some_and(|last| last != now) {
            reload();
        }
        now
    });
}

#[component]
fn AccountFilter(account: RwSignal<String>) -> impl IntoView {
    let roster = Desk::get().live.roster();
    let names = Memo::new(move |_| {
        roster.with(|roster| {
            let accounts = roster.iter().flat_map(Roster::iter);
            accounts.map(|one| (one.id.clone(), one.name.clone())).collect::<Vec<_>>()
        })
    });
    let options = move || {
        names.get().into_iter().map(|(id, name)| view! { <option value=id>{name}</option> }).collect_view()
    };
    view! {
        <div class="policy">
            <label for="account-filter">"Account"</label>
            <select
                id="account-filter"
                class="select"
                data-testid="account-filter"
                on:change=move |event| account.set(event_target_value(&event))
            >
                <option value="">"All accounts"</option>
                {options}
            </select>
        </div>
    }
}
