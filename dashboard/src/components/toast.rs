//! Where notices appear. The one live region of the page: numbers that change four times a second are not read out.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::desk::Desk;
use crate::toasts::Toast;

/// The corner of the notices.
#[component]
pub(crate) fn ToastRegion() -> impl IntoView {
    let toasts = Desk::get().toasts;
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.shown() key=|toast| toast.id let(toast)>
                {
                    let Toast { id, tone, text } = toast;
                    view! {
                        <div class="toast" data-testid="toast" data-tone=tone.key()>
                            {icon(Icon::of_tone(tone.key()))}
                            <span>{text}</span>
                            <button
                                type="button"
                                class="icon-button"
                                aria-label="Dismiss"
                                on:click=move |_| toasts.dismiss(id)
                            >
                                {icon(Icon::Cross)}
                            </button>
                        </div>
                    }
                }
            </For>
        </div>
    }
}
