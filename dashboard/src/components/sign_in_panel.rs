//! Signing in with ChatGPT: begins flows, watches those that run, and finds them again after a reload. The gateway keeps
//! them; this page only shows them.

use std::collections::HashSet;
use std::time::Duration;

use gateway_api::{SignInBegin, SignInMethod, SignInStage, SignInView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::field::{Field, text_field};
use super::mistakes::Mistakes;
use super::sign_in_flow::SignInFlow;
use crate::api;
use crate::desk::Desk;
use crate::logic::answer::Problem;
use crate::logic::form::some;
use crate::logic::sign_ins::{is_running, shown};

/// How often a running flow is asked about.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The flows of this page.
#[derive(Clone, Copy)]
pub(crate) struct Flows {
    all: RwSignal<Vec<SignInView>>,
    /// Those whose way back does not lead to the gateway. It says so once, when they begin.
    stranded: RwSignal<HashSet<String>>,
}

impl Flows {
    /// Asks for all of them.
    pub(super) fn look(self, desk: Desk) {
        spawn_local(async move {
            match api::sign_ins().await {
                Ok(found) => {
                    let _gone = self.all.try_set(found);
                }
                Err(Problem::SignedOut) => desk.session.ended(),
                // Looked again soon; the banner says that the connection is lost.
                Err(_) => {}
            }
        });
    }

    /// A flow moved; the gateway answered with it.
    pub(super) fn put(self, view: SignInView) {
        let _gone = self.all.try_update(|all| {
            all.retain(|one| one.id != view.id);
            all.push(view);
        });
    }

    fn began(self, view: SignInView) {
        if !view.comes_back {
            let _gone = self.stranded.try_update(|stranded| stranded.insert(view.id.clone()));
        }
        self.put(view);
    }

    /// Tracked.
    pub(super) fn is_stranded(self, id: &str) -> bool {
        self.stranded.with(|stranded| stranded.contains(id))
    }
}

/// Begins and shows sign-ins: of a new account, or again of the one named. `on_done` is told the account's id.
#[component]
pub(crate) fn SignInPanel(account: Option<String>, on_done: Callback<String>) -> impl IntoView {
    let desk = Desk::get();
    let flows = Flows { all: RwSignal::new(Vec::new()), stranded: RwSignal::new(HashSet::new()) };
    flows.look(desk);
    let own = account.clone();
    let views = Memo::new(move |_| {
        let now = untrack(|| desk.clock.now());
        flows.all.with(|all| shown(all, own.as_deref(), now))
    });
    let watch = set_interval_with_handle(
        move || {
            if views.with_untracked(|views| views.iter().any(|one| is_running(&one.stage))) {
                flows.look(desk);
            }
        },
        LOOK_AGAIN,
    )
    .ok();
    on_cleanup(move || watch.iter().for_each(IntervalHandle::clear));
    announce(desk, views, on_done);
    let ids =
        Memo::new(move |_| views.with(|views| views.iter().map(|one| one.id.clone()).collect::<Vec<_>>()));
    let one = move |id: String| {
        Memo::new(move |_| views.with(|views| views.iter().find(|one| one.id == id).cloned()))
    };
    view! {
        <div class="flows">
            <For each=move || ids.get() key=Clone::clone let(id)>
                <SignInFlow flow=one(id) flows=flows />
            </For>
        </div>
        <Begin account=account flows=flows />
    }
}

/// Says when a flow that was seen running is done.
fn announce(desk: Desk, views: Memo<Vec<SignInView>>, on_done: Callback<String>) {
    Effect::new(move |running: Option<HashSet<String>>| {
        let views = views.get();
        for view in &views {
            let was_running = running.as_ref().is_some_and(|running| running.contains(&view.id));
            if let (true, SignInStage::Done { account, name, renewed }) = (was_running, &view.stage) {
                let what = if *renewed { "is signed in again" } else { "was added" };
                desk.toasts.good(format!("{name} {what}."));
                let (id, account) = (view.id.clone(), account.clone());
                spawn_local(async move {
                    // Asked for alone, a sign-in that is done brings its account into the pool at once.
                    let _asked = api::sign_in(&id).await;
                    desk.live.refresh();
                    let _gone = on_done.try_run(account);
                });
            }
        }
        let running = views.into_iter().filter(|view| is_running(&view.stage));
        running.map(|view| view.id).collect()
    });
}

#[component]
fn Begin(account: Option<String>, flows: Flows) -> impl IntoView {
    let desk = Desk::get();
    let name = RwSignal::new(String::new());
    let mistakes = Mistakes::new(&[("name", "sign-in-name")]);
    let is_busy = RwSignal::new(false);
    let is_new = account.is_none();
    let account = StoredValue::new(account);
    let begin = move |method| {
        let account = account.get_value();
        let request = SignInBegin { method, name: some(&name.get_untracked()), account };
        mistakes.clear();
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::begin_sign_in(&request).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(view) => {
                    let _gone = name.try_set(String::new());
                    flows.began(view);
                }
                Err(problem) => mistakes.take(desk, &problem),
            }
        });
    };
    let field = Field {
        id: "sign-in-name",
        name: "name",
        label: "Name (optional)",
        hint: "Otherwise its e-mail address.",
    };
    view! {
        <form
            class="form"
            on:submit=move |event: web_sys::SubmitEvent| {
                event.prevent_default();
                begin(SignInMethod::Browser);
            }
        >
            {is_new.then(|| text_field(field, name, mistakes))}
            {mistakes.place()}
            <div class="actions">
                <button type="submit" class="button primary" data-testid="sign-in-browser" disabled=move || is_busy.get()>
                    "Sign in with the browser"
                </button>
                <button
                    type="button"
                    class="button"
                    data-testid="sign-in-device"
                    disabled=move || is_busy.get()
                    on:click=move |_| begin(SignInMethod::Device)
                >
                    "Use a code on another device"
                </button>
            </div>
            <p class="hint">
                "You sign in at OpenAI, not here; the gateway only receives the tokens. A known account gets new tokens and \
                 keeps its settings."
            </p>
        </form>
    }
}
