//! A button that copies a text and says so.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::{Icon, icon};
use crate::browser;
use crate::desk::Desk;

/// `what` names the text in the button's label: `Copy the key`.
#[component]
pub(crate) fn CopyButton(#[prop(into)] text: String, what: &'static str) -> impl IntoView {
    let desk = Desk::get();
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let text = text.clone();
        spawn_local(async move {
            if browser::copy(text).await {
                let _gone = copied.try_set(true);
                let back = move || {
                    let _gone = copied.try_set(false);
                };
                set_timeout(back, Duration::from_secs(2));
            } else {
                desk.toasts
                    .bad("This browser does not let the page copy. Select the text and copy it by hand.");
            }
        });
    };
    view! {
        <button
            type="button"
            class="button small"
            aria-label=move || format!("{} {what}", if copied.get() { "Copied" } else { "Copy" })
            on:click=copy
        >
            {move || icon(if copied.get() { Icon::Check } else { Icon::Copy })}
            {move || if copied.get() { "Copied" } else { "Copy" }}
        </button>
    }
}
