//! The contract of the storage ports: one table of cases, run against every implementation.
//!
//! A case knows nothing of the database behind its fixture. Each starts with nothing stored; all that fail are
//! reported by name. PostgreSQL is started from the installed binaries, once for the whole table.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accounts;
mod fixture;
mod keys_and_settings;
mod ledger;
mod model;
mod opening;
mod refresh;
mod sealing;
mod server;
mod values;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::fixture::Fixture;
use crate::server::Server;

type Case = fn(Fixture) -> LocalBoxFuture<'static, ()>;

macro_rules! cases {
    ($($module:ident: $($case:ident)+;)+) => {
        const CASES: &[(&str, Case)] = &[
            $($((concat!(stringify!($module), "::", stringify!($case)), |fixture| Box::pin($module::$case(fixture)))),+),+
        ];
    };
}

cases! {
    accounts:
        a_new_seat_is_added
        a_known_seat_is_updated_in_place
        seats_of_one_workspace_are_accounts_of_their_own
        an_account_without_a_seat_is_always_new
        a_taken_name_gets_the_next_number
        an_id_in_use_is_a_conflict
        accounts_are_listed_by_name
        a_name_can_be_changed_to_a_free_one
        a_state_is_kept
        deleting_takes_the_tokens_along
        what_is_not_there_is_not_found
        quota_is_remembered
        imports_at_once_recognise_the_seat
        imports_and_renames_at_once_keep_names_apart;
    refresh:
        a_claim_is_exclusive_until_it_ends
        a_claim_outlives_its_process
        of_many_claims_at_once_one_is_granted
        a_result_is_stored_and_frees_the_claim
        a_stale_result_changes_nothing
        a_sign_in_ends_a_claim
        of_two_results_the_first_counts
        giving_up_frees_the_claim
        giving_up_for_good_marks_the_account
        a_stale_end_touches_nothing
        new_tokens_revive_what_was_called_dead;
    model:
        the_version_strictly_grows;
    keys_and_settings:
        client_keys_are_listed_oldest_first
        a_label_and_a_key_are_taken_once
        a_setting_is_what_was_last_put
        a_setting_put_once_stays
        of_many_that_put_once_one_does;
    sealing:
        secrets_are_not_in_the_database
        a_sealed_value_opens_in_its_own_row_only
        an_older_key_still_opens_and_the_active_one_seals
        without_the_key_secrets_are_refused_by_name
        a_sign_in_heals_an_account_whose_key_is_lost
        errors_quote_neither_tokens_nor_addresses;
    ledger:
        a_settlement_comes_back_as_it_was
        settling_twice_keeps_the_first
        the_newest_come_first
        a_large_batch_is_written_whole
        odd_text_does_not_sink_its_batch
        overlapping_batches_at_once_are_all_kept;
    opening:
        many_that_open_a_new_database_at_once_all_can
        what_was_written_is_there_after_reopening
        a_newer_database_is_refused_and_left_alone
        a_migration_in_another_form_is_refused
        a_closed_store_says_so;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    run(async |_| Fixture::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract() {
    let server = Server::start().await;
    run(async |number| Fixture::postgres(server.empty(number).await)).await;
}

async fn run(make: impl AsyncFn(usize) -> Fixture) {
    let mut failed = Vec::new();
    for (number, (name, case)) in CASES.iter().enumerate() {
        let fixture = make(number).await;
        // A failing assertion does not keep the other cases from running.
        if AssertUnwindSafe(case(fixture)).catch_unwind().await.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed (see above): {failed:#?}", failed.len(), CASES.len());
}
