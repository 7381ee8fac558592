//! The dialects that a server speaks, to be ticked.

use std::collections::BTreeSet;

use leptos::prelude::*;

use super::field::form_error;
use super::mistakes::Mistakes;
use crate::logic::key_account::DIALECTS;

/// One box for each dialect.
#[derive(Clone, Copy)]
pub(crate) struct DialectBoxes([RwSignal<bool>; DIALECTS.len()]);

impl DialectBoxes {
    /// None ticked.
    pub(crate) fn new() -> Self {
        Self(DIALECTS.map(|_| RwSignal::new(false)))
    }

    /// Ticks these and no others.
    pub(crate) fn set(self, dialects: &BTreeSet<String>) {
        for ((key, _), is_on) in DIALECTS.iter().zip(self.0) {
            is_on.set(dialects.contains(*key));
        }
    }

    /// Those that are ticked. Tracked.
    pub(crate) fn get(self) -> BTreeSet<String> {
        let ticked = DIALECTS.iter().zip(self.0).filter(|(_, is_on)| is_on.get());
        ticked.map(|((key, _), _)| (*key).to_owned()).collect()
    }
}

/// The boxes with what helps to fill them in, and the mistake in them.
pub(crate) fn dialect_field(
    id: &'static str,
    boxes: DialectBoxes,
    hint: &'static str,
    mistakes: Mistakes,
) -> AnyView {
    let boxes = DIALECTS.iter().zip(boxes.0).map(|((key, words), is_on)| {
        view! {
            <label class="pick">
                <input
                    type="checkbox"
                    data-testid=format!("dialect-{key}")
                    prop:checked=move || is_on.get()
                    on:change=move |event| is_on.set(event_target_checked(&event))
                />
                <span>{*words}</span>
            </label>
        }
    });
    view! {
        <fieldset class="choice whole" id=id tabindex="-1">
            <legend>"Dialects it speaks"</legend>
            <div class="picks">{boxes.collect_view()}</div>
            <p class="hint">{hint}</p>
            {form_error(move || mistakes.at("dialects"))}
        </fieldset>
    }
    .into_any()
}
