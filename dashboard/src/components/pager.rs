//! Leafing through a long list.

use leptos::prelude::*;

use crate::browser;
use crate::logic::paging::Page;

/// Nothing, as long as there is one page. `top` is the id of what comes into view with another page.
#[component]
pub(crate) fn Pager(page: Memo<Page>, number: RwSignal<usize>, top: &'static str) -> impl IntoView {
    let turn = move |to: usize| {
        number.set(to);
        browser::scroll_to(top);
    };
    let has_several = move || page.get().pages > 1;
    let at = move || page.get().number;
    view! {
        <Show when=has_several>
            <nav class="pager" aria-label="Pages" data-testid="pager">
                <button
                    type="button"
                    class="button small"
                    data-testid="page-back"
                    disabled=move || at() == 0
                    on:click=move |_| turn(page.get_untracked().number.saturating_sub(1))
                >
                    "Back"
                </button>
                <span class="pager-words">{move || page.get().words()}</span>
                <button
                    type="button"
                    class="button small"
                    data-testid="page-on"
                    disabled=move || at() + 1 == page.get().pages
                    on:click=move |_| turn(page.get_untracked().number + 1)
                >
                    "Next"
                </button>
            </nav>
        </Show>
    }
}
