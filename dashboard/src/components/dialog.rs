//! What lies over the page: a question before something that cannot be undone, or a short form. The browser's own
//! dialog: it keeps the focus inside, closes on Escape and gives the focus back.

use leptos::html;
use leptos::prelude::*;

/// Opens when `is_open` becomes true and sets it back when closed. What is inside exists only while it is open.
#[component]
pub(crate) fn Dialog(
    is_open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    children: ChildrenFn,
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
    let children = StoredValue::new(children);
    view! {
        <dialog node_ref=dialog class="dialog" aria-label=title on:close=move |_| is_open.set(false)>
            <Show when=move || is_open.get()>
                <h2>{title}</h2>
                {children.with_value(|children| children())}
            </Show>
        </dialog>
    }
}

/// A question: no, or the action.
#[component]
pub(crate) fn Confirm(
    is_open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(into)] text: Signal<String>,
    action: &'static str,
    on_confirm: Callback<()>,
) -> impl IntoView {
    view! {
        <Dialog is_open=is_open title=title>
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
        </Dialog>
    }
}
