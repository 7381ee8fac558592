//! The ways to add accounts: signing in, importing, a key.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::components::import_form::ImportForm;
use crate::components::key_form::KeyForm;
use crate::components::sign_in_panel::SignInPanel;
use crate::components::title::Title;

/// One way, as a part of the address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) what: &'static str,
}

impl Way {
    pub(crate) fn address(self) -> String {
        if self.key.is_empty() { "/accounts/new".to_owned() } else { format!("/accounts/new/{}", self.key) }
    }
}

const SIGN_IN: Way = Way {
    key: "",
    title: "Sign in with ChatGPT",
    what: "Plus, Pro, Business and other plans that include Codex",
};
const IMPORT: Way =
    Way { key: "import", title: "Import", what: "auth.json, tokens, or an export of another gateway" };
const KEY: Way =
    Way { key: "key", title: "API key or server", what: "OpenAI, Anthropic, your own server, a gateway" };

/// All of them.
pub(crate) const WAYS: [Way; 3] = [SIGN_IN, IMPORT, KEY];

/// Each way has an address of its own, so a reload and a link lead back to it.
#[component]
pub(crate) fn AddAccountPage() -> impl IntoView {
    let params = use_params_map();
    let way = Memo::new(move |_| {
        let key = params.with(|params| params.get("way").unwrap_or_default());
        WAYS.into_iter().find(|way| way.key == key).unwrap_or(SIGN_IN)
    });
    let links = WAYS.map(|one| {
        view! {
            <a class="way" href=one.address() aria-current=move || (way.get() == one).then_some("page")>
                <span class="way-title">{one.title}</span>
                <span class="sub">{one.what}</span>
            </a>
        }
    });
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/accounts">"Accounts"</a>
        </nav>
        <div class="page-head">
            <Title text="Add account".to_owned() />
        </div>
        <nav class="ways" aria-label="Ways to add an account">
            {links}
        </nav>
        {move || match way.get() {
            IMPORT => view! { <ImportForm /> }.into_any(),
            KEY => view! { <KeyForm /> }.into_any(),
            _ => view! {
                <section class="panel narrow" aria-label="Sign in with ChatGPT">
                    <SignInPanel account=None on_done=Callback::new(|_| ()) />
                </section>
            }
            .into_any(),
        }}
    }
}
