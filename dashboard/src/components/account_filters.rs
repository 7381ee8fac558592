//! The filters over the list of accounts.

use std::collections::BTreeSet;

use leptos::prelude::*;

use super::field::select;
use crate::logic::account_filter::{Choices, Filter, state_key};
use crate::logic::accounts::{STATES, kind_word, state_word};
use crate::logic::roster::Roster;

/// The filter's parts as the inputs hold them.
#[derive(Clone, Copy)]
pub(crate) struct FilterParts {
    text: RwSignal<String>,
    state: RwSignal<String>,
    kind: RwSignal<String>,
    group: RwSignal<String>,
    tag: RwSignal<String>,
}

impl FilterParts {
    /// As they stand in the address.
    pub(crate) fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let part = |name: &str| RwSignal::new(value(name).unwrap_or_default());
        Self {
            text: part("q"),
            state: part("state"),
            kind: part("kind"),
            group: part("group"),
            tag: part("tag"),
        }
    }

    /// For the address: names and values, the empty ones too.
    pub(crate) fn pairs(self) -> [(&'static str, String); 5] {
        [
            ("q", self.text.get()),
            ("state", self.state.get()),
            ("kind", self.kind.get()),
            ("group", self.group.get()),
            ("tag", self.tag.get()),
        ]
    }

    /// Tracked.
    pub(crate) fn filter(self) -> Filter {
        Filter {
            text: self.text.get(),
            state: self.state.get(),
            kind: self.kind.get(),
            group: self.group.get(),
            tag: self.tag.get(),
        }
    }

    /// Lists everything again.
    pub(crate) fn clear(self) {
        for part in [self.text, self.state, self.kind, self.group, self.tag] {
            part.set(String::new());
        }
    }
}

/// The row of inputs. Lists with nothing to choose from are left out.
#[component]
pub(crate) fn AccountFilters(
    parts: FilterParts,
    filter: Memo<Filter>,
    roster: RwSignal<Option<Roster>>,
) -> impl IntoView {
    let choices =
        Memo::new(move |_| roster.with(|roster| roster.as_ref().map(Choices::of).unwrap_or_default()));
    let states = || STATES.map(|state| (state_key(state).to_owned(), state_word(state).to_owned())).to_vec();
    let kinds = move || {
        let kinds = choices.with(|choices| choices.kinds.clone());
        kinds.into_iter().map(|kind| (kind.clone(), kind_word(&kind).to_owned())).collect()
    };
    let words = |words: BTreeSet<String>| words.into_iter().map(|word| (word.clone(), word)).collect();
    view! {
        <div class="filters" role="search" aria-label="Filter the accounts">
            <label class="visually-hidden" for="filter-text">
                "Words in name, e-mail address, group or tag"
            </label>
            <input
                id="filter-text"
                data-testid="filter-text"
                type="search"
                placeholder="Filter by name, e-mail, group, tag …"
                autocomplete="off"
                spellcheck="false"
                prop:value=move || parts.text.get()
                on:input=move |event| parts.text.set(event_target_value(&event))
            />
            {one("filter-state", "State", "Any state", parts.state, states)}
            {one("filter-kind", "Kind", "Any kind", parts.kind, kinds)}
            <Show when=move || choices.with(|choices| !choices.groups.is_empty())>
                {one("filter-group", "Group", "Any group", parts.group, move || {
                    words(choices.with(|choices| choices.groups.clone()))
                })}
            </Show>
            <Show when=move || choices.with(|choices| !choices.tags.is_empty())>
                {one("filter-tag", "Tag", "Any tag", parts.tag, move || {
                    words(choices.with(|choices| choices.tags.clone()))
                })}
            </Show>
            <Show when=move || filter.with(|filter| !filter.is_off())>
                <button type="button" class="button quiet" data-testid="filter-clear" on:click=move |_| parts.clear()>
                    "Clear"
                </button>
            </Show>
        </div>
    }
}

fn one(
    id: &'static str,
    label: &'static str,
    any: &'static str,
    value: RwSignal<String>,
    choices: impl Fn() -> Vec<(String, String)> + Send + 'static,
) -> AnyView {
    let choices = move || {
        let mut all = vec![(String::new(), any.to_owned())];
        all.extend(choices());
        let chosen = value.get_untracked();
        // What the address asks for stays visible even where nothing has it any more.
        if all.iter().all(|(key, _)| *key != chosen) {
            all.push((chosen.clone(), chosen));
        }
        all
    };
    view! {
        <label class="visually-hidden" for=id>
            {label}
        </label>
        {select(id, value, choices)}
    }
    .into_any()
}
