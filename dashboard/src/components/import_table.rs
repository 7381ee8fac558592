//! Every entry of an import and what becomes of it, in pages.

use gateway_api::{ImportRowOutcome, ImportSeat};
use leptos::prelude::*;

use super::badge::badge;
use super::import_form::Outcome;
use super::pager::Pager;
use crate::logic::answer::path_part;
use crate::logic::decisions::full_sentence;
use crate::logic::imports::{Line, OUTCOMES, number_of, outcome_tone, outcome_word};
use crate::logic::number::{UNKNOWN, count};
use crate::logic::paging::Page;

/// The table with its filter.
#[component]
pub(super) fn ImportTable(outcome: Outcome) -> impl IntoView {
    let Outcome { is_preview, lines } = outcome;
    let only = RwSignal::new(None::<ImportRowOutcome>);
    let number = RwSignal::new(0_usize);
    let buttons = filters(&lines, is_preview, only, number);
    let lines = StoredValue::new(lines);
    let fitting = move || {
        let only = only.get();
        lines.with_value(|lines| {
            let fits = |line: &&Line| only.is_none_or(|only| line.row.outcome == only);
            lines.iter().filter(fits).cloned().collect::<Vec<_>>()
        })
    };
    let total = Memo::new(move |_| fitting().len());
    let page = Memo::new(move |_| Page::of(number.get(), total.get()));
    let rows = move || {
        let rows = page.get().slice(&fitting()).iter().map(|line| row(line, is_preview)).collect_view();
        rows.into_any()
    };
    view! {
        {buttons}
        <table role="table" class="cards wide imports">
            <caption class="visually-hidden">"Entries and what becomes of them"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Entry"</th>
                    <th role="columnheader" scope="col">"Account"</th>
                    <th role="columnheader" scope="col">"Seat"</th>
                    <th role="columnheader" scope="col">"Outcome"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        <Pager page=page number=number top="import-result" />
    }
}

/// One button for each outcome, where there are several.
fn filters(
    lines: &[Line],
    is_preview: bool,
    only: RwSignal<Option<ImportRowOutcome>>,
    number: RwSignal<usize>,
) -> Option<AnyView> {
    let found: Vec<(Option<ImportRowOutcome>, String)> = OUTCOMES
        .into_iter()
        .map(|outcome| (outcome, number_of(lines, outcome)))
        .filter(|(_, number)| *number > 0)
        .map(|(outcome, number)| {
            (Some(outcome), format!("{} {}", outcome_word(outcome, is_preview), count(number as u64)))
        })
        .collect();
    if found.len() < 2 {
        return None;
    }
    let all = (None, format!("All {}", count(lines.len() as u64)));
    let buttons = [all].into_iter().chain(found).map(|(which, words)| {
        view! {
            <button
                type="button"
                class="button small"
                aria-pressed=move || (only.get() == which).to_string()
                on:click=move |_| {
                    number.set(0);
                    only.set(which);
                }
            >
                {words}
            </button>
        }
    });
    Some(view! { <div class="actions toggles" role="group" aria-label="Outcome">{buttons.collect_view()}</div> }.into_any())
}

fn row(line: &Line, is_preview: bool) -> impl IntoView + use<> {
    let view = &line.row;
    let name = view.name.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    // Before the import a new account has no page yet.
    let name = match view.account_id.as_deref() {
        Some(id) => view! { <a href=format!("/accounts/{}", path_part(id))>{name}</a> }.into_any(),
        None => name.into_any(),
    };
    let seat = match view.seat {
        ImportSeat::Known => "known",
        ImportSeat::New => "new",
        ImportSeat::Unnamed => "not named",
    };
    view! {
        <tr role="row" data-testid="import-row">
            <th role="rowheader" scope="row" class="import-place">{line.place()}</th>
            <td role="cell" class="import-who">
                <span class="strong">{name}</span>
                <span class="sub">{line.what()}</span>
            </td>
            <td role="cell" data-label="Seat">{seat}</td>
            <td role="cell" class="import-outcome">
                {badge(outcome_tone(view.outcome), outcome_word(view.outcome, is_preview).to_owned())}
                {view.detail.as_deref().map(|why| view! { <span class="sub">{full_sentence(why)}</span> })}
            </td>
        </tr>
    }
}
