//! Further actions behind one button. A plain list of buttons that opens and closes: Tab walks through it, Escape and
//! leaving it close it.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

/// Closes itself when one of its buttons was pressed.
#[component]
pub(crate) fn Menu(label: &'static str, testid: &'static str, children: Children) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let root = NodeRef::<html::Div>::new();
    let button = NodeRef::<html::Button>::new();
    let leave = move |event: web_sys::FocusEvent| {
        let to = event.related_target().and_then(|to| to.dyn_into::<web_sys::Node>().ok());
        // A click on plain ground has no target; that is outside as well.
        let is_inside = root.get_untracked().is_some_and(|root| root.contains(to.as_ref()) && to.is_some());
        if !is_inside {
            is_open.set(false);
        }
    };
    let escape = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Escape" && is_open.get_untracked() {
            event.stop_propagation();
            is_open.set(false);
            if let Some(button) = button.get_untracked() {
                let _focused = button.focus();
            }
        }
    };
    view! {
        <div class="menu" node_ref=root on:focusout=leave on:keydown=escape>
            <button
                type="button"
                class="button menu-button"
                node_ref=button
                data-testid=testid
                aria-expanded=move || is_open.get().to_string()
                on:click=move |_| is_open.update(|open| *open = !*open)
            >
                {label}
            </button>
            <div class="menu-items" hidden=move || !is_open.get() on:click=move |_| is_open.set(false)>
                {children()}
            </div>
        </div>
    }
}

/// One action of a menu.
pub(crate) fn menu_item(
    testid: &'static str,
    words: impl IntoView + 'static,
    act: impl Fn() + 'static,
) -> AnyView {
    view! {
        <button type="button" class="menu-item" data-testid=testid on:click=move |_| act()>
            {words}
        </button>
    }
    .into_any()
}
