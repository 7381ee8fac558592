//! The first visit: setting the password, or being told where it has to be set.

use std::time::Duration;

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::components::field::{PasswordField, form_error, text_of};
use crate::components::gate_card::GateCard;
use crate::desk::Desk;

/// What the admin API demands of a password.
const SHORTEST: usize = 8;

/// How often the page looks whether the password was set elsewhere.
const LOOK_AGAIN: Duration = Duration::from_secs(4);

/// Sets the password and is signed in by it.
#[component]
pub(crate) fn SetupPage() -> impl IntoView {
    let desk = Desk::get();
    let password = NodeRef::<html::Input>::new();
    let mistake = RwSignal::new(None::<String>);
    let is_busy = RwSignal::new(false);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let entered = text_of(password);
        if entered.len() < SHORTEST {
            mistake.set(Some(format!("Use at least {SHORTEST} characters.")));
            return;
        }
        mistake.set(None);
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::setup(entered).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(view) => desk.session.enter(view),
                Err(problem) => {
                    let _gone = mistake.try_set(Some(problem.message()));
                }
            }
        });
    };
    view! {
        <GateCard title="Welcome to Switchyard" lead="Choose the password that opens this dashboard from now on.">
            <form class="form" on:submit=send>
                <PasswordField
                    input=password
                    label="New password"
                    hint=Some("At least 8 characters. It protects the dashboard, not the API.")
                    autocomplete="new-password"
                    testid="setup-password"
                />
                {form_error(move || mistake.get())}
                <button type="submit" class="button primary wide" data-testid="setup-submit" disabled=move || is_busy.get()>
                    {move || if is_busy.get() { "Setting…" } else { "Set password" }}
                </button>
            </form>
        </GateCard>
    }
}

/// No password yet, and this visitor may not be the one to choose it.
#[component]
pub(crate) fn SetupElsewherePage() -> impl IntoView {
    let session = Desk::get().session;
    let watch = set_interval_with_handle(move || session.look_again(), LOOK_AGAIN).ok();
    on_cleanup(move || watch.iter().for_each(IntervalHandle::clear));
    view! {
        <GateCard
            title="Not set up yet"
            lead="The password has to be set from the machine the gateway runs on, so that nobody on the network can be \
                  faster than you."
        >
            <ol class="steps" data-testid="setup-elsewhere">
                <li>"Open this dashboard on that machine, at the address the gateway printed when it started."</li>
                <li>"Or bring that machine's port here, and open the address it then has:"</li>
            </ol>
            <pre class="code-block">
                <code>"ssh -L 8080:127.0.0.1:8080 your-machine"</code>
            </pre>
            <p class="hint">"This page goes on by itself when it is done."</p>
        </GateCard>
    }
}
