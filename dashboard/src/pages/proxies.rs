//! The proxies that accounts leave through: add, change, try, switch off, remove.

use std::collections::HashMap;

use gateway_api::{ProxyHealthView, ProxyPatch, ProxyTested, ProxyView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::proxy_form::ProxyForm;
use crate::components::badge::badge;
use crate::components::dialog::{Confirm, Dialog};
use crate::components::state::{empty, loaded};
use crate::components::title::Title;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::answer::Problem;
use crate::logic::number::plural;
use crate::logic::time::{ago, latency, span};
use crate::{api, browser};

/// What a try of a proxy came to.
#[derive(Clone, PartialEq)]
enum Trial {
    Running,
    Ended(Result<ProxyTested, Problem>),
}

/// What the rows share.
#[derive(Clone, Copy)]
struct Yard {
    desk: Desk,
    loader: Loader<Vec<ProxyView>>,
    trials: RwSignal<HashMap<String, Trial>>,
    edited: RwSignal<Option<ProxyView>>,
    doomed: RwSignal<Option<ProxyView>>,
    is_editing: RwSignal<bool>,
    is_deleting: RwSignal<bool>,
}

impl Yard {
    fn test(self, id: String) {
        self.trials.update(|trials| drop(trials.insert(id.clone(), Trial::Running)));
        spawn_local(async move {
            match api::test_proxy(&id).await {
                Err(Problem::SignedOut) => self.desk.session.ended(),
                answer => {
                    let ended = Trial::Ended(answer);
                    let _gone = self.trials.try_update(|trials| drop(trials.insert(id, ended)));
                }
            }
        });
    }

    fn switch(self, proxy: &ProxyView) {
        let (id, name, enabled) = (proxy.id.clone(), proxy.name.clone(), !proxy.enabled);
        spawn_local(async move {
            let patch = ProxyPatch { enabled: Some(enabled), ..ProxyPatch::default() };
            match api::patch_proxy(&id, &patch).await {
                Ok(_) => {
                    let word = if enabled { "on" } else { "off" };
                    self.desk.toasts.good(format!("{name} is switched {word}."));
                    self.loader.reload();
                }
                Err(problem) => self.desk.failed(&problem),
            }
        });
    }

    fn delete(self) {
        let Some(proxy) = self.doomed.get_untracked() else { return };
        spawn_local(async move {
            match api::delete_proxy(&proxy.id).await {
                Ok(()) => {
                    self.desk.toasts.good(format!("Deleted {}.", proxy.name));
                    self.loader.reload();
                }
                Err(problem) => self.desk.failed(&problem),
            }
        });
    }
}

/// Everything about proxies.
#[component]
pub(crate) fn ProxiesPage() -> impl IntoView {
    let loader = Loader::new(|| (), |()| async { api::proxies().await });
    let yard = Yard {
        desk: Desk::get(),
        loader,
        trials: RwSignal::new(HashMap::new()),
        edited: RwSignal::new(None),
        doomed: RwSignal::new(None),
        is_editing: RwSignal::new(false),
        is_deleting: RwSignal::new(false),
    };
    let added = Callback::new(move |proxy: ProxyView| {
        yard.desk.toasts.good(format!("Added {}.", proxy.name));
        loader.reload();
        yard.test(proxy.id);
    });
    view! {
        <div class="page-head">
            <div>
                <Title text="Proxies".to_owned() />
                <p class="sub">
                    "The ways out to the upstreams. An account uses the one of its settings, or of its first group that has one."
                </p>
            </div>
        </div>
        <section class="panel" aria-labelledby="new-proxy-title">
            <h2 id="new-proxy-title">"New proxy"</h2>
            <ProxyForm known=None on_done=added on_cancel=None />
        </section>
        <section class="panel" aria-labelledby="proxies-title">
            <div class="panel-head">
                <h2 id="proxies-title">"Proxies in use"</h2>
            </div>
            {loaded(loader, 3, move |proxies| {
                if proxies.is_empty() {
                    empty("No proxies yet", "Without one, every account goes straight to its upstream.").into_any()
                } else {
                    table(proxies, yard)
                }
            })}
        </section>
        <Edit yard=yard />
        <Delete yard=yard />
    }
}

fn table(proxies: Vec<ProxyView>, yard: Yard) -> AnyView {
    let rows = proxies.into_iter().map(|proxy| row(proxy, yard)).collect_view();
    view! {
        <table role="table" class="cards wide proxies">
            <caption class="visually-hidden">"Proxies"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Proxy"</th>
                    <th role="columnheader" scope="col">"State"</th>
                    <th role="columnheader" scope="col">"Used by"</th>
                    <th role="columnheader" scope="col">
                        <span class="visually-hidden">"Actions"</span>
                    </th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(proxy: ProxyView, yard: Yard) -> impl IntoView {
    let groups = proxy.groups.iter().map(|group| view! { <span class="tag">{group.clone()}</span> });
    let groups = groups.collect_view();
    let state = match &proxy.health {
        _ if !proxy.enabled => ("idle", "Off"),
        Some(health) if !health.works => ("bad", "Down"),
        _ => ("good", "On"),
    };
    let found = proxy.health.clone().filter(|_| proxy.enabled).map(|health| {
        let title = browser::local_time(health.probed_at.unwrap_or(health.since));
        view! {
            <span class="sub" data-testid="proxy-health" title=title>
                {move || health_words(&health, yard.desk.clock.now())}
            </span>
        }
    });
    let id = proxy.id.clone();
    let trial = move || yard.trials.with(|trials| trials.get(&id).cloned()).map(|trial| trial_words(&trial));
    view! {
        <tr role="row" data-testid="proxy-row">
            <th role="rowheader" scope="row" class="proxy-who">
                <span class="strong">{proxy.name.clone()}</span>
                <span class="sub break">{proxy.address.clone()}</span>
            </th>
            <td role="cell" class="proxy-state">
                {badge(state.0, state.1.to_owned())} {found} {trial}
            </td>
            <td role="cell" class="proxy-use">
                {plural(proxy.accounts.into(), "account", "accounts")}
                <span class="chips">{groups}</span>
            </td>
            <td role="cell" class="proxy-actions">{buttons(proxy, yard)}</td>
        </tr>
    }
}

/// What the last probe found, and when.
fn health_words(health: &ProxyHealthView, now: i64) -> String {
    let probed = health.probed_at.map(|at| format!(", probed {}", ago(at, now))).unwrap_or_default();
    match (health.works, health.latency_ms, &health.trouble) {
        (true, Some(ms), None) => format!("{}{probed}", latency(ms)),
        (true, _, Some(trouble)) => format!("last probe: {trouble}{probed}"),
        (true, None, None) => probed.trim_start_matches(", ").to_owned(),
        (false, _, trouble) => {
            let why = trouble.as_deref().unwrap_or("no answer");
            format!("for {}: {why}{probed}", span(now.saturating_sub(health.since)))
        }
    }
}

fn trial_words(trial: &Trial) -> AnyView {
    let (class, words) = match trial {
        Trial::Running => ("sub", "testing …".to_owned()),
        Trial::Ended(Ok(tested)) => ("sub", format!("works, {}", latency(tested.latency_ms))),
        Trial::Ended(Err(problem)) => ("sub bad", problem.message()),
    };
    view! {
        <span class=class role="status" data-testid="proxy-trial">
            {words}
        </span>
    }
    .into_any()
}

fn buttons(proxy: ProxyView, yard: Yard) -> AnyView {
    let button = |testid: &'static str, word: &'static str, act: Box<dyn Fn(&ProxyView)>| {
        let proxy = proxy.clone();
        view! {
            <button
                type="button"
                class="button small"
                class:danger-quiet=word == "Delete"
                data-testid=testid
                aria-label=format!("{word} {}", proxy.name)
                on:click=move |_| act(&proxy)
            >
                {word}
            </button>
        }
    };
    let switch = if proxy.enabled { "Switch off" } else { "Switch on" };
    view! {
        <div class="actions end">
            {button("proxy-test", "Test", Box::new(move |proxy| yard.test(proxy.id.clone())))}
            {button("proxy-switch", switch, Box::new(move |proxy| yard.switch(proxy)))}
            {button("proxy-edit", "Edit", Box::new(move |proxy| {
                yard.edited.set(Some(proxy.clone()));
                yard.is_editing.set(true);
            }))}
            {button("proxy-delete", "Delete", Box::new(move |proxy| {
                yard.doomed.set(Some(proxy.clone()));
                yard.is_deleting.set(true);
            }))}
        </div>
    }
    .into_any()
}

#[component]
fn Edit(yard: Yard) -> impl IntoView {
    let title = Signal::derive(move || {
        yard.edited.with(|proxy| format!("Edit {}", proxy.as_ref().map_or("", |proxy| proxy.name.as_str())))
    });
    let saved = Callback::new(move |proxy: ProxyView| {
        yard.is_editing.set(false);
        yard.desk.toasts.good(format!("Saved {}.", proxy.name));
        // What was tried may be another server now.
        yard.trials.update(|trials| drop(trials.remove(&proxy.id)));
        yard.loader.reload();
    });
    let cancelled = Callback::new(move |()| yard.is_editing.set(false));
    view! {
        <Dialog is_open=yard.is_editing title=title>
            <ProxyForm known=yard.edited.get_untracked() on_done=saved on_cancel=Some(cancelled) />
        </Dialog>
    }
}

#[component]
fn Delete(yard: Yard) -> impl IntoView {
    let title = Signal::derive(move || {
        yard.doomed
            .with(|proxy| format!("Delete {}?", proxy.as_ref().map_or("", |proxy| proxy.name.as_str())))
    });
    let text = Signal::derive(move || {
        match yard.doomed.with(|proxy| proxy.as_ref().map_or(0, |proxy| proxy.accounts)) {
            0 => "No account leaves through it now.".to_owned(),
            number => format!(
                "{} through it now. Those that name it are skipped until they are given another way out; those whose \
                 group has it go straight.",
                if number == 1 { "1 account leaves".to_owned() } else { format!("{number} accounts leave") }
            ),
        }
    });
    view! {
        <Confirm
            is_open=yard.is_deleting
            title=title
            text=text
            action="Delete proxy"
            on_confirm=Callback::new(move |()| yard.delete())
        />
    }
}
