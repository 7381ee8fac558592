//! The header overrides of an account. Values travel one way: what is stored is never shown.

use leptos::prelude::*;

use crate::components::field::form_error;
use crate::components::mistakes::Mistakes;
use crate::logic::draft::HeaderDraft;

/// One row as its inputs hold it.
#[derive(Clone, Copy)]
pub(super) struct HeaderRow {
    /// Tells rows apart while they come and go.
    key: usize,
    name: RwSignal<String>,
    value: RwSignal<String>,
    is_stored: bool,
    is_removed: RwSignal<bool>,
}

/// All rows.
#[derive(Clone, Copy)]
pub(super) struct HeaderRows {
    rows: RwSignal<Vec<HeaderRow>>,
    last_key: StoredValue<usize>,
}

impl HeaderRows {
    pub(super) fn new() -> Self {
        Self { rows: RwSignal::new(Vec::new()), last_key: StoredValue::new(0) }
    }

    /// Begins anew from what is stored.
    pub(super) fn set(self, drafts: Vec<HeaderDraft>) {
        let rows = drafts.into_iter().map(|draft| self.row(draft)).collect();
        self.rows.set(rows);
    }

    fn row(self, draft: HeaderDraft) -> HeaderRow {
        let key = self.last_key.get_value() + 1;
        self.last_key.set_value(key);
        HeaderRow {
            key,
            name: RwSignal::new(draft.name),
            value: RwSignal::new(draft.value),
            is_stored: draft.is_stored,
            is_removed: RwSignal::new(draft.is_removed),
        }
    }

    /// Tracked.
    pub(super) fn drafts(self) -> Vec<HeaderDraft> {
        let draft = |row: &HeaderRow| HeaderDraft {
            name: row.name.get(),
            value: row.value.get(),
            is_stored: row.is_stored,
            is_removed: row.is_removed.get(),
        };
        self.rows.with(|rows| rows.iter().map(draft).collect())
    }

    fn add(self) {
        let row = self.row(HeaderDraft::default());
        self.rows.update(|rows| rows.push(row));
    }

    /// A stored one is marked and goes with the next save; a new one goes at once.
    fn remove(self, row: HeaderRow) {
        if row.is_stored {
            row.is_removed.update(|is_removed| *is_removed = !*is_removed);
        } else {
            self.rows.update(|rows| rows.retain(|one| one.key != row.key));
        }
    }
}

/// The rows and a button for another one.
pub(super) fn header_fields(headers: HeaderRows, mistakes: Mistakes) -> AnyView {
    view! {
        <fieldset class="choice">
            <legend>"Header overrides"</legend>
            <p class="hint">
                "Sent upstream with every request of this account, in place of the client's own. Stored values are never shown."
            </p>
            <For each=move || headers.rows.get() key=|row| row.key let(row)>
                {one(headers, row)}
            </For>
            {form_error(move || mistakes.at("headers"))}
            <div class="actions">
                <button
                    type="button"
                    id="settings-headers"
                    class="button small"
                    data-testid="header-add"
                    on:click=move |_| headers.add()
                >
                    "Add a header"
                </button>
            </div>
        </fieldset>
    }
    .into_any()
}

fn one(headers: HeaderRows, row: HeaderRow) -> AnyView {
    let name = if row.is_stored {
        view! { <code class="header-name" class:gone=move || row.is_removed.get()>{row.name.get_untracked()}</code> }
            .into_any()
    } else {
        view! {
            <input
                type="text"
                data-testid="header-name"
                aria-label="Header name"
                placeholder="x-name"
                autocomplete="off"
                spellcheck="false"
                bind:value=row.name
            />
        }
        .into_any()
    };
    let words = move || match (row.is_stored, row.is_removed.get()) {
        (true, true) => "Keep",
        _ => "Remove",
    };
    let label = move || format!("{} the header {}", words(), row.name.get());
    view! {
        <div class="header-row" data-testid="header-row">
            {name}
            <input
                type="password"
                data-testid="header-value"
                aria-label=move || format!("Value of {}", row.name.get())
                placeholder=if row.is_stored { "unchanged" } else { "value" }
                autocomplete="new-password"
                disabled=move || row.is_removed.get()
                bind:value=row.value
            />
            <button type="button" class="button small" aria-label=label on:click=move |_| headers.remove(row)>
                {words}
            </button>
        </div>
    }
    .into_any()
}
