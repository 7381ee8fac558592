//! Says that the picture is old, as long as it is. The style sheet lets a moment pass before it appears, so a
//! stream that is back at once does not flicker.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::desk::Desk;
use crate::live::Link;

/// The banner under the header.
#[component]
pub(crate) fn ConnectionLost() -> impl IntoView {
    let live = Desk::get().live;
    view! {
        <Show when=move || live.link() == Link::Lost>
            <div class="connection-lost" role="alert" data-testid="connection-lost">
                {icon(Icon::Warning)}
                <span>"Connection lost, retrying. What you see may be old."</span>
                <button type="button" class="button small" on:click=move |_| live.reconnect()>
                    "Retry now"
                </button>
            </div>
        </Show>
    }
}
