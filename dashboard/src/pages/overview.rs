//! The overview: the live figures, the pool, the last decisions. Without an account: how to add one.

use leptos::prelude::*;

use super::add_account::WAYS;
use crate::components::account_table::PoolPanel;
use crate::components::copy_button::CopyButton;
use crate::components::decision_table::DecisionTable;
use crate::components::policy_select::PolicySelect;
use crate::components::pulse::Pulse;
use crate::components::state::{empty, skeleton};
use crate::components::title::Title;
use crate::desk::Desk;

/// Of the last decisions; the rest has a page of its own.
const SHOWN: usize = 8;

const IMPORT_COMMAND: &str = "switchyard account import ~/.codex/auth.json";

/// What there is to show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Picture {
    Waiting,
    NoAccounts,
    Pool,
}

/// Fed by the event stream alone.
#[component]
pub(crate) fn OverviewPage() -> impl IntoView {
    let desk = Desk::get();
    let (overview, roster) = (desk.live.overview(), desk.live.roster());
    let picture = Memo::new(move |_| {
        roster.with(|roster| match roster {
            None => Picture::Waiting,
            Some(roster) if roster.len() == 0 => Picture::NoAccounts,
            Some(_) => Picture::Pool,
        })
    });
    let policy = Memo::new(move |_| {
        overview.with(|overview| overview.as_ref().map(|overview| overview.policy.clone()))
    });
    view! {
        <div class="page-head">
            <Title text="Overview".to_owned() />
            <PolicySelect active=policy />
        </div>
        {move || match picture.get() {
            Picture::Waiting => skeleton(6).into_any(),
            Picture::NoAccounts => view! { <FirstAccount /> }.into_any(),
            Picture::Pool => view! { <Pool /> }.into_any(),
        }}
    }
}

#[component]
fn Pool() -> impl IntoView {
    let desk = Desk::get();
    let live = desk.live.overview();
    let overview = Memo::new(move |_| live.get());
    let recent = Memo::new(move |_| {
        live.with(|overview| {
            overview.iter().flat_map(|overview| &overview.recent).take(SHOWN).cloned().collect::<Vec<_>>()
        })
    });
    let has_recent = Memo::new(move |_| recent.with(|recent| !recent.is_empty()));
    view! {
        <Pulse overview=overview />
        <PoolPanel />
        <section class="panel" aria-labelledby="recent-title">
            <div class="panel-head">
                <div>
                    <h2 id="recent-title">"Latest decisions"</h2>
                    <p class="sub">"Which account took a request, and why"</p>
                </div>
                <a class="button" href="/decisions">
                    "All decisions"
                </a>
            </div>
            <Show
                when=move || has_recent.get()
                fallback=|| {
                    empty("No requests yet", "Point a client at this gateway; its requests appear here as they come.")
                }
            >
                <DecisionTable decisions=recent now=Signal::derive(move || desk.clock.now()) caption="Latest decisions" />
            </Show>
        </section>
    }
}

/// The first thing a new operator sees after the password.
#[component]
pub(crate) fn FirstAccount() -> impl IntoView {
    let ways = WAYS.map(|way| {
        view! {
            <a class="way" href=way.address()>
                <span class="way-title">{way.title}</span>
                <span class="sub">{way.what}</span>
            </a>
        }
    });
    view! {
        <section class="panel first-account" aria-labelledby="first-title" data-testid="no-accounts">
            <div class="first-lead">
                <h2 id="first-title">"Add your first account"</h2>
                <p class="lead">
                    "Switchyard serves requests from the accounts you give it. Choose a way, or add one on the machine it \
                     runs on:"
                </p>
                <div class="command">
                    <code>{IMPORT_COMMAND}</code>
                    <CopyButton text=IMPORT_COMMAND what="the command" />
                </div>
                <p class="hint">"This page fills itself as soon as the account is there."</p>
            </div>
            <div class="ways">{ways}</div>
        </section>
    }
}
