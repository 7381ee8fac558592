//! Adding an account to a pool that has some.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use crate::components::import_form::ImportForm;
use crate::components::title::Title;

/// Leads back to the overview when done.
#[component]
pub(crate) fn AddAccountPage() -> impl IntoView {
    let navigate = use_navigate();
    let on_done = Callback::new(move |_| navigate("/", NavigateOptions::default()));
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/">"Overview"</a>
        </nav>
        <div class="page-head">
            <Title text="Add account".to_owned() />
        </div>
        <section class="panel narrow">
            <ImportForm on_done=on_done />
        </section>
    }
}
