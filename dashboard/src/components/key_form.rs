//! Adds an account that is opened by a key, and tries it.

use gateway_api::{AccountDetail, AccountTested};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::dialect_boxes::{DialectBoxes, dialect_field};
use super::field::{Field, check_field, form_error, secret_field, text_field};
use super::mistakes::Mistakes;
use super::test_result::test_result;
use crate::api;
use crate::desk::Desk;
use crate::logic::answer::{Problem, path_part};
use crate::logic::key_account::{Address, KINDS, KeyKind, Typed, kind_of, read};

/// What the form holds.
#[derive(Clone, Copy)]
struct Form {
    desk: Desk,
    kind: RwSignal<String>,
    name: RwSignal<String>,
    key: RwSignal<String>,
    base_url: RwSignal<String>,
    dialects: DialectBoxes,
    is_tested: RwSignal<bool>,
    mistakes: Mistakes,
    busy: RwSignal<Option<&'static str>>,
    added: RwSignal<Option<Added>>,
}

/// What was added, and what the test said.
#[derive(Clone, PartialEq)]
struct Added {
    id: String,
    name: String,
    tested: Option<Result<AccountTested, Problem>>,
}

impl Form {
    fn kind(self) -> KeyKind {
        self.kind.with(|kind| kind_of(kind))
    }

    fn typed(self) -> Typed {
        Typed {
            kind: self.kind.get_untracked(),
            name: self.name.get_untracked(),
            key: self.key.get_untracked(),
            base_url: self.base_url.get_untracked(),
            dialects: untrack(|| self.dialects.get()),
        }
    }

    fn send(self) {
        let request = match read(&self.typed()) {
            Ok(request) => request,
            Err(mistake) => return self.mistakes.show(mistake),
        };
        self.mistakes.clear();
        self.busy.set(Some("Adding …"));
        spawn_local(async move {
            match api::add_key_account(&request).await {
                Ok(detail) => self.added(detail).await,
                Err(problem) => self.mistakes.take_at(self.desk, &problem, Some("name")),
            }
            let _gone = self.busy.try_set(None);
        });
    }

    async fn added(self, detail: AccountDetail) {
        let AccountDetail { account, .. } = detail;
        self.desk.live.refresh();
        self.desk.toasts.good(format!("Added {}.", account.name));
        // The key has arrived; nothing keeps it here.
        for part in [self.name, self.key, self.base_url] {
            let _gone = part.try_set(String::new());
        }
        let mut added = Added { id: account.id, name: account.name, tested: None };
        if self.is_tested.try_get_untracked() == Some(true) {
            let _gone = self.busy.try_set(Some("Testing …"));
            added.tested = Some(api::test_account(&added.id).await);
        }
        let _gone = self.added.try_set(Some(added));
    }
}

/// The form, and above it what was added last.
#[component]
pub(crate) fn KeyForm() -> impl IntoView {
    let [first, ..] = KINDS;
    let form = Form {
        desk: Desk::get(),
        kind: RwSignal::new(first.key.to_owned()),
        name: RwSignal::new(String::new()),
        key: RwSignal::new(String::new()),
        base_url: RwSignal::new(String::new()),
        dialects: DialectBoxes::new(),
        is_tested: RwSignal::new(true),
        mistakes: Mistakes::new(&[
            ("name", "key-name"),
            ("key", "key-key"),
            ("base_url", "key-url"),
            ("dialects", "key-dialects"),
        ]),
        busy: RwSignal::new(None),
        added: RwSignal::new(None),
    };
    view! {
        {move || form.added.get().map(|added| added_notice(&added))}
        <section class="panel" aria-label="The account">
            <form
                class="form"
                on:submit=move |event: web_sys::SubmitEvent| {
                    event.prevent_default();
                    form.added.set(None);
                    form.send();
                }
            >
                {kinds(form)}
                <div class="fields">{fields(form)}</div>
                {move || (form.kind().key == "openai-compatible").then(|| {
                    let hint = "Leave all of them empty and the test finds out.";
                    dialect_field("key-dialects", form.dialects, hint, form.mistakes)
                })}
                {check_field(
                    "key-test",
                    "Test it after adding",
                    "Asks for its list of models; that costs nothing.",
                    form.is_tested,
                )}
                {form.mistakes.place()}
                <div class="actions">
                    <button type="submit" class="button primary" data-testid="key-add" disabled=move || form.busy.get().is_some()>
                        {move || form.busy.get().unwrap_or("Add account")}
                    </button>
                </div>
            </form>
        </section>
    }
}

fn kinds(form: Form) -> AnyView {
    let cards = KINDS.map(|kind| {
        let choose = move |_| {
            form.mistakes.clear();
            form.kind.set(kind.key.to_owned());
        };
        view! {
            <label class="way">
                <input
                    type="radio"
                    name="kind"
                    class="visually-hidden"
                    data-testid=format!("kind-{}", kind.key)
                    prop:checked=move || form.kind.with(|chosen| chosen == kind.key)
                    on:change=choose
                />
                <span class="way-title">{kind.label}</span>
                <span class="sub">{kind.what}</span>
            </label>
        }
    });
    view! {
        <fieldset class="choice">
            <legend>"What does the key open?"</legend>
            <div class="ways four">{cards}</div>
            {form_error(move || form.mistakes.at("kind"))}
        </fieldset>
    }
    .into_any()
}

fn fields(form: Form) -> AnyView {
    let name = Field { id: "key-name", name: "name", label: "Name", hint: "How it is called here." };
    view! {
        {text_field(name, form.name, form.mistakes)}
        {move || {
            let kind = form.kind();
            let key = Field { id: "key-key", name: "key", label: "Key", hint: kind.key_hint };
            secret_field(key, form.key, form.mistakes)
        }}
        {move || {
            let kind = form.kind();
            let label = if kind.address == Address::Needed { "Address" } else { "Address (optional)" };
            let field = Field { id: "key-url", name: "base_url", label, hint: kind.address_hint };
            text_field(field, form.base_url, form.mistakes)
        }}
    }
    .into_any()
}

fn added_notice(added: &Added) -> AnyView {
    let href = format!("/accounts/{}", path_part(&added.id));
    view! {
        <section class="panel added" aria-labelledby="added-title" data-testid="key-added">
            <div class="panel-head">
                <h2 id="added-title">{format!("Added {}", added.name)}</h2>
                <a class="button" href=href>
                    "Open the account"
                </a>
            </div>
            {added.tested.as_ref().map(test_result)}
        </section>
    }
    .into_any()
}
