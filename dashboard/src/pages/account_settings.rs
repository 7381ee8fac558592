//! What the operator decides about an account. The form holds text until it is saved, so that the page can move around it.

use gateway_api::{AccountDetail, ProxyView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::account::is_codex;
use super::account_headers::{HeaderRows, header_fields};
use crate::api;
use crate::components::dialect_boxes::{DialectBoxes, dialect_field};
use crate::components::field::{Field, area_field, check_field, choice_field, text_field};
use crate::components::mistakes::Mistakes;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::draft::{Draft, PREFERENCES, egress_choices};

/// Names on the wire and where their mistakes are shown.
const FIELDS: &[(&str, &str)] = &[
    ("name", "settings-name"),
    ("notes", "settings-notes"),
    ("groups", "settings-groups"),
    ("tags", "settings-tags"),
    ("weight", "settings-weight"),
    ("priority", "settings-priority"),
    ("preference", "settings-preference"),
    ("max_concurrency", "settings-concurrency"),
    ("allowed_models", "settings-models"),
    ("headers", "settings-headers"),
    ("egress", "settings-egress"),
    ("base_url", "settings-url"),
    ("dialects", "settings-dialects"),
    ("co_owned", "settings-co-owned"),
];

/// The inputs.
#[derive(Clone, Copy)]
struct Form {
    desk: Desk,
    name: RwSignal<String>,
    notes: RwSignal<String>,
    groups: RwSignal<String>,
    tags: RwSignal<String>,
    weight: RwSignal<String>,
    priority: RwSignal<String>,
    preference: RwSignal<String>,
    max_concurrency: RwSignal<String>,
    allowed_models: RwSignal<String>,
    headers: HeaderRows,
    egress: RwSignal<String>,
    base_url: RwSignal<String>,
    dialects: DialectBoxes,
    co_owned: RwSignal<String>,
    warm_up: RwSignal<bool>,
    mistakes: Mistakes,
}

impl Form {
    fn new(draft: Draft) -> Self {
        let text = || RwSignal::new(String::new());
        let form = Self {
            desk: Desk::get(),
            name: text(),
            notes: text(),
            groups: text(),
            tags: text(),
            weight: text(),
            priority: text(),
            preference: text(),
            max_concurrency: text(),
            allowed_models: text(),
            headers: HeaderRows::new(),
            egress: text(),
            base_url: text(),
            dialects: DialectBoxes::new(),
            co_owned: text(),
            warm_up: RwSignal::new(false),
            mistakes: Mistakes::new(FIELDS),
        };
        form.put(draft);
        form
    }

    /// Shows what is stored.
    fn put(self, draft: Draft) {
        let Draft { headers, dialects, warm_up, .. } = &draft;
        self.headers.set(headers.clone());
        self.dialects.set(dialects);
        self.warm_up.set(*warm_up);
        self.name.set(draft.name);
        self.notes.set(draft.notes);
        self.groups.set(draft.groups);
        self.tags.set(draft.tags);
        self.weight.set(draft.weight);
        self.priority.set(draft.priority);
        self.preference.set(draft.preference);
        self.max_concurrency.set(draft.max_concurrency);
        self.allowed_models.set(draft.allowed_models);
        self.egress.set(draft.egress);
        self.base_url.set(draft.base_url);
        self.co_owned.set(draft.co_owned);
        self.mistakes.clear();
    }

    /// What stands in the inputs. Tracked.
    fn draft(self) -> Draft {
        Draft {
            name: self.name.get(),
            notes: self.notes.get(),
            groups: self.groups.get(),
            tags: self.tags.get(),
            weight: self.weight.get(),
            priority: self.priority.get(),
            preference: self.preference.get(),
            max_concurrency: self.max_concurrency.get(),
            allowed_models: self.allowed_models.get(),
            headers: self.headers.drafts(),
            egress: self.egress.get(),
            base_url: self.base_url.get(),
            dialects: self.dialects.get(),
            co_owned: self.co_owned.get(),
            warm_up: self.warm_up.get(),
        }
    }

    fn save(self, loader: Loader<AccountDetail>, is_busy: RwSignal<bool>) {
        let desk = self.desk;
        let Some(stored) = untrack(|| loader.ready()) else { return };
        let patch = match untrack(|| self.draft()).patch(&stored) {
            Ok(Some(patch)) => patch,
            Ok(None) => return,
            Err(mistake) => return self.mistakes.show(mistake),
        };
        self.mistakes.clear();
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::patch_account(&stored.account.id, &patch).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(detail) => {
                    self.put(Draft::of(&detail));
                    loader.set(detail);
                    desk.live.refresh();
                    desk.toasts.good("Saved. It counts from the next request on.");
                }
                // Of all that can be changed, only a name can be taken.
                Err(problem) => self.mistakes.take_at(desk, &problem, Some("name")),
            }
        });
    }
}

/// The form and its two buttons.
#[component]
pub(super) fn SettingsPanel(loader: Loader<AccountDetail>) -> impl IntoView {
    let stored = Memo::new(move |_| loader.ready().map(|detail| Draft::of(&detail)).unwrap_or_default());
    let form = Form::new(stored.get_untracked());
    let is_dirty = Memo::new(move |_| form.draft() != stored.get());
    let is_busy = RwSignal::new(false);
    // Changed elsewhere (another tab, a test that found dialects): shown, unless somebody is typing.
    Effect::new(move |last: Option<Draft>| {
        let now = stored.get();
        if last.is_some_and(|last| last != now && untrack(|| form.draft()) == last) {
            form.put(now.clone());
        }
        now
    });
    let has_tokens = untrack(|| loader.ready()).as_ref().is_some_and(is_codex);
    view! {
        <section class="panel" aria-labelledby="settings-title" data-testid="settings">
            <div class="panel-head">
                <h2 id="settings-title">"Settings"</h2>
            </div>
            <form
                class="form"
                on:submit=move |event: web_sys::SubmitEvent| {
                    event.prevent_default();
                    form.save(loader, is_busy);
                }
            >
                {about(form)}
                {routing(form)}
                {limits(form)}
                {connection(form, has_tokens)}
                {header_fields(form.headers, form.mistakes)}
                {form.mistakes.place()}
                <div class="actions">
                    <button
                        type="submit"
                        class="button primary"
                        data-testid="settings-save"
                        disabled=move || is_busy.get() || !is_dirty.get()
                    >
                        {move || if is_busy.get() { "Saving …" } else { "Save" }}
                    </button>
                    <Show when=move || is_dirty.get()>
                        <button
                            type="button"
                            class="button"
                            data-testid="settings-discard"
                            on:click=move |_| form.put(stored.get_untracked())
                        >
                            "Discard changes"
                        </button>
                    </Show>
                </div>
            </form>
        </section>
    }
}

const fn field(id: &'static str, name: &'static str, label: &'static str, hint: &'static str) -> Field {
    Field { id, name, label, hint }
}

fn about(form: Form) -> AnyView {
    let Form { mistakes, .. } = form;
    let commas = "Several are separated by commas.";
    view! {
        <div class="fields">
            {text_field(field("settings-name", "name", "Name", ""), form.name, mistakes)}
            {text_field(field("settings-groups", "groups", "Groups", commas), form.groups, mistakes)}
            {text_field(field("settings-tags", "tags", "Tags", commas), form.tags, mistakes)}
            <div class="whole">
                {area_field(field("settings-notes", "notes", "Notes", ""), form.notes, mistakes, "2")}
            </div>
        </div>
    }
    .into_any()
}

fn routing(form: Form) -> AnyView {
    let Form { mistakes, .. } = form;
    let choices = || PREFERENCES.map(|(_, key, words)| (key.to_owned(), words.to_owned())).to_vec();
    let weight = "Its share where a policy weighs accounts; 2 gets twice as much as 1.";
    let priority = "A higher one goes before every lower one.";
    view! {
        <div class="fields">
            {choice_field(field("settings-preference", "preference", "Preference", ""), form.preference, mistakes, choices)}
            {text_field(field("settings-weight", "weight", "Weight", weight), form.weight, mistakes)}
            {text_field(field("settings-priority", "priority", "Priority", priority), form.priority, mistakes)}
        </div>
    }
    .into_any()
}

fn limits(form: Form) -> AnyView {
    let Form { mistakes, .. } = form;
    let most = "Empty: the pool's default.";
    let models = "Separated by commas; gpt-5* stands for all that begin so. Empty: all.";
    view! {
        <div class="fields">
            {text_field(
                field("settings-concurrency", "max_concurrency", "Requests at once", most),
                form.max_concurrency,
                mistakes,
            )}
            <div class="two">
                {text_field(
                    field("settings-models", "allowed_models", "Allowed models", models),
                    form.allowed_models,
                    mistakes,
                )}
            </div>
        </div>
    }
    .into_any()
}

fn connection(form: Form, has_tokens: bool) -> AnyView {
    let Form { mistakes, .. } = form;
    let proxies = RwSignal::new(Vec::<ProxyView>::new());
    spawn_local(async move {
        // Without the list the way out that is chosen stays as it is.
        if let Ok(found) = api::proxies().await {
            let _gone = proxies.try_set(found);
        }
    });
    let egress = move || proxies.with(|proxies| egress_choices(proxies, &form.egress.get_untracked()));
    let way_out = "An account whose proxy is down is skipped, never sent straight.";
    let rest = if has_tokens { of_sign_in(form) } else { of_key(form) };
    view! {
        <div class="fields">
            {choice_field(field("settings-egress", "egress", "Way out", way_out), form.egress, mistakes, egress)}
            {rest}
        </div>
    }
    .into_any()
}

fn of_sign_in(form: Form) -> AnyView {
    let hint =
        "The path of the auth.json of a Codex CLI on the gateway's machine that uses the same sign-in.";
    view! {
        <div class="two">
            {text_field(
                field("settings-co-owned", "co_owned", "Shared with a Codex CLI", hint),
                form.co_owned,
                form.mistakes,
            )}
        </div>
        <div class="whole">
            {check_field(
                "settings-warm-up",
                "Warm its windows up",
                "When a window has reset, a tiny request starts the next one, so that it ends sooner.",
                form.warm_up,
            )}
        </div>
    }
    .into_any()
}

fn of_key(form: Form) -> AnyView {
    let hint = "Where its server is; empty for the usual one of its kind.";
    view! {
        <div class="two">
            {text_field(field("settings-url", "base_url", "Address", hint), form.base_url, form.mistakes)}
        </div>
        {dialect_field("settings-dialects", form.dialects, "None: those of its kind.", form.mistakes)}
    }
    .into_any()
}
