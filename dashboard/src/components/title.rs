//! The heading of a page. It names the browser's tab too and receives the focus after a change of the route.

use leptos::prelude::*;

use crate::browser;

/// One per page.
#[component]
pub(crate) fn Title(#[prop(into)] text: Signal<String>) -> impl IntoView {
    Effect::new(move || browser::set_title(&text.get()));
    view! { <h1 tabindex="-1">{text}</h1> }
}
