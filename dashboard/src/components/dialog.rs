//! A question before something that cannot be undone. The browser's own dialog: it keeps the focus inside, closes
//! on Escape and gives the focus back.

use leptos::html;
use leptos::prelude::*;

/// Opens when `is_open` becomes true and sets it back when closed.
#[component]
pub(crate) fn Confirm(
    is_open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    text: &'static str,
    action: &'static str,
    on_confirm: Callback<()>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        match (is_open.get(), dialog.open()) {
            (true, false) => {
                let _opened = dialog.show_modal();
            }
            (false, true) => dialog.close(),
            _ => {}
        }
    });
    view! {
        <dialog
            node_ref=dialog
            class="dialog"
            aria-labelledby="confirm-title"
            on:close=move |_| is_open.set(false)
        >
            <h2 id="confirm-title">{title}</h2>
            <p>{text}</p>
            <div class="actions end">
                <button type="button" class="button" on:click=move |_| is_open.set(false)>
                    "Cancel"
                </button>
                <button
                    type="button"
                    class="button danger"
                    data-testid="confirm-action"
                    on:click=move |_| {
                        is_open.set(false);
                        on_confirm.run(());
                    }
                >
                    {action}
                </button>
            </div>
        </dialog>
    }
}
