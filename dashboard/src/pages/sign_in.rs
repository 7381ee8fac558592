//! Signing in with the operator's password.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::components::field::{PasswordField, form_error, text_of};
use crate::components::gate_card::GateCard;
use crate::desk::Desk;

/// The form. The address stays as it is, so what was asked for comes next.
#[component]
pub(crate) fn SignInPage() -> impl IntoView {
    let desk = Desk::get();
    let password = NodeRef::<html::Input>::new();
    let mistake = RwSignal::new(None::<String>);
    let is_busy = RwSignal::new(false);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let entered = text_of(password);
        mistake.set(None);
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::login(entered).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(view) => desk.session.enter(view),
                Err(problem) => {
                    let _gone = mistake.try_set(Some(problem.message()));
                    if let Some(input) = password.get_untracked() {
                        input.select();
                    }
                }
            }
        });
    };
    view! {
        <GateCard title="Sign in" lead="Enter the password of this gateway.">
            <form class="form" on:submit=send>
                <PasswordField
                    input=password
                    label="Password"
                    hint=None
                    autocomplete="current-password"
                    testid="login-password"
                />
                {form_error(move || mistake.get())}
                <button type="submit" class="button primary wide" data-testid="login-submit" disabled=move || is_busy.get()>
                    {move || if is_busy.get() { "Signing in…" } else { "Sign in" }}
                </button>
            </form>
        </GateCard>
    }
}
