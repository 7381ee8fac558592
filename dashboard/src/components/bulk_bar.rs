//! What can be done with the accounts that were ticked: pause, resume, export. One request for each account, a few at a
//! time, with the progress in sight and a way to stop.

use std::collections::BTreeSet;

use gateway_api::{AccountPatch, AccountStateView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::account_row::Picked;
use super::export_dialog::{Chosen, ExportDialog};
use crate::api;
use crate::desk::Desk;
use crate::logic::answer::Problem;
use crate::logic::number::{count, plural};
use crate::logic::roster::{Account, Roster};

/// Requests at once; a browser opens six connections to one address, and one is the live stream's.
const LANES: usize = 3;

/// One bulk action under way.
#[derive(Clone, Copy)]
struct Work {
    queue: StoredValue<Vec<String>>,
    lanes: StoredValue<usize>,
    done: RwSignal<usize>,
    total: RwSignal<usize>,
    failed: StoredValue<Vec<String>>,
}

impl Work {
    fn new() -> Self {
        Self {
            queue: StoredValue::new(Vec::new()),
            lanes: StoredValue::new(0),
            done: RwSignal::new(0),
            total: RwSignal::new(0),
            failed: StoredValue::new(Vec::new()),
        }
    }

    /// Tracked.
    fn is_running(self) -> bool {
        self.total.get() > 0
    }

    fn begin(self, desk: Desk, ids: Vec<String>, paused: bool) {
        self.done.set(0);
        self.total.set(ids.len());
        self.failed.set_value(Vec::new());
        self.queue.set_value(ids);
        self.lanes.set_value(LANES);
        for _ in 0..LANES {
            spawn_local(self.lane(desk, paused));
        }
    }

    fn stop(self) {
        self.queue.set_value(Vec::new());
    }

    async fn lane(self, desk: Desk, paused: bool) {
        while let Some(id) = self.queue.try_update_value(Vec::pop).flatten() {
            let patch = AccountPatch { paused: Some(paused), ..AccountPatch::default() };
            match api::patch_account(&id, &patch).await {
                Ok(_) => {}
                Err(Problem::SignedOut) => {
                    desk.session.ended();
                    return;
                }
                Err(problem) => {
                    let _gone = self.failed.try_update_value(|failed| failed.push(problem.message()));
                }
            }
            let _gone = self.done.try_update(|done| *done += 1);
        }
        let left = self.lanes.try_update_value(|lanes| {
            *lanes -= 1;
            *lanes
        });
        if left == Some(0) {
            self.end(desk, paused);
        }
    }

    fn end(self, desk: Desk, paused: bool) {
        let failed = self.failed.try_get_value().unwrap_or_default();
        let done = self.done.try_get_untracked().unwrap_or_default().saturating_sub(failed.len());
        let _gone = self.total.try_set(0);
        desk.live.refresh();
        let verb = if paused { "Paused" } else { "Resumed" };
        if done > 0 {
            desk.toasts.good(format!("{verb} {}.", plural(done as u64, "account", "accounts")));
        }
        if let Some(first) = failed.first() {
            let number = plural(failed.len() as u64, "account was", "accounts were");
            desk.toasts.bad(format!("{number} refused: {first}"));
        }
    }
}

/// Nothing, as long as nothing is ticked. `matching` are all rows of the list, beyond the page that is shown.
#[component]
pub(crate) fn BulkBar(
    picked: Picked,
    matching: Memo<Vec<Account>>,
    roster: RwSignal<Option<Roster>>,
) -> impl IntoView {
    let work = Work::new();
    let is_exporting = RwSignal::new(false);
    let number = Memo::new(move |_| picked.with(BTreeSet::len));
    let has_picked = move || number.get() > 0;
    let export_title =
        Signal::derive(move || format!("Export {}?", plural(number.get() as u64, "account", "accounts")));
    let chosen =
        Signal::derive(move || Chosen { ids: picked.get().into_iter().collect(), can_be_auth_json: false });
    view! {
        <Show when=has_picked>
            <div class="bulk" role="region" aria-label="Selected accounts" data-testid="bulk">
                <span class="strong">{move || format!("{} selected", count(number.get() as u64))}</span>
                <Show
                    when=move || work.is_running()
                    fallback=move || actions(work, picked, matching, roster, is_exporting)
                >
                    <progress
                        aria-label="Progress"
                        max=move || work.total.get().to_string()
                        prop:value=move || work.done.get().to_string()
                    ></progress>
                    <span>{move || format!("{} of {}", count(work.done.get() as u64), count(work.total.get() as u64))}</span>
                    <button type="button" class="button small" on:click=move |_| work.stop()>
                        "Stop"
                    </button>
                </Show>
            </div>
        </Show>
        <ExportDialog is_open=is_exporting title=export_title chosen=chosen />
    }
}

fn actions(
    work: Work,
    picked: Picked,
    matching: Memo<Vec<Account>>,
    roster: RwSignal<Option<Roster>>,
    is_exporting: RwSignal<bool>,
) -> AnyView {
    let desk = Desk::get();
    let act = move |paused: bool| {
        let ids = picked_in_state(picked, roster, paused);
        if ids.is_empty() {
            let words = if paused { "None of them is running." } else { "None of them is paused." };
            desk.toasts.bad(words);
        } else {
            work.begin(desk, ids, paused);
        }
    };
    let all = Memo::new(move |_| matching.with(Vec::len));
    let has_more = move || picked.with(BTreeSet::len) < all.get();
    let pick_all = move |_| {
        picked.set(matching.with_untracked(|rows| rows.iter().map(|account| account.id.clone()).collect()));
    };
    view! {
        <button type="button" class="button small" data-testid="bulk-pause" on:click=move |_| act(true)>
            "Pause"
        </button>
        <button type="button" class="button small" data-testid="bulk-resume" on:click=move |_| act(false)>
            "Resume"
        </button>
        <button type="button" class="button small" data-testid="bulk-export" on:click=move |_| is_exporting.set(true)>
            "Export…"
        </button>
        <span class="bulk-end">
            <Show when=has_more>
                <button type="button" class="button small quiet" data-testid="bulk-all" on:click=pick_all>
                    {move || format!("Select all {}", count(all.get() as u64))}
                </button>
            </Show>
            <button type="button" class="button small quiet" data-testid="bulk-none" on:click=move |_| picked.set(BTreeSet::new())>
                "Select none"
            </button>
        </span>
    }
    .into_any()
}

/// The ticked accounts for which the action means something.
fn picked_in_state(picked: Picked, roster: RwSignal<Option<Roster>>, pause: bool) -> Vec<String> {
    picked.with_untracked(|picked| {
        roster.with_untracked(|roster| {
            let accounts = roster.iter().flat_map(Roster::iter);
            let fits = |state| match state {
                AccountStateView::Paused => !pause,
                // Pausing it would hide that somebody has to sign in.
                AccountStateView::SignInNeeded => false,
                _ => pause,
            };
            let mut ids: Vec<String> = accounts
                .filter(|account| picked.contains(&account.id) && fits(account.state))
                .map(|account| account.id.clone())
                .collect();
            // The lanes take from the end.
            ids.reverse();
            ids
        })
    })
}
