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
mod import_many;
mod keys_and_settings;
mod ledger;
mod model;
mod opening;
mod proxies;
mod refresh;
mod sealing;
mod server;
mod ties;
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
        settings_are_what_was_last_put
        deleting_takes_the_tokens_along
        what_is_not_there_is_not_found
        quota_is_remembered
        imports_at_once_recognise_the_seat
        imports_and_renames_at_once_keep_names_apart;
    import_many:
        each_of_a_batch_has_its_own_result
        a_batch_that_changes_nothing_is_fine
        a_batch_is_written_whole_or_not_at_all
        overlapping_batches_at_once_know_each_others_seats
        tokens_of_many_come_at_once;
    proxies:
        a_proxy_comes_back_as_it_was_put
        the_name_of_a_proxy_is_taken_once;
    refresh:
        a_claim_is_exclusive_until_it_ends
        a_claim_outlives_its_process
        who_waits_for_a_rotation_takes_its_result
        who_waits_for_a_rotation_that_is_given_up_goes_on
        of_many_claims_at_once_one_is_granted
        a_result_is_stored_and_frees_the_claim
        a_stale_result_changes_nothing
        a_sign_in_ends_a_claim
        of_two_results_the_first_counts
        giving_up_frees_the_claim
        a_late_holder_cannot_give_back_a_newer_claim
        a_claim_of_an_older_gateway_is_not_given_back
        burying_marks_the_account_and_ends_the_claim
        a_stale_burial_touches_nothing
        tokens_that_name_their_owner_fill_in_what_was_not_known
        tokens_of_a_seat_that_does_not_fit_are_kept_and_the_account_is_set_aside
        new_tokens_revive_what_was_called_dead;
    model:
        the_version_strictly_grows;
    keys_and_settings:
        client_keys_are_listed_oldest_first
        a_label_and_a_key_are_taken_once
        a_key_keeps_the_part_of_the_pool_it_was_given
        a_scope_that_cannot_be_read_opens_nothing
        a_setting_is_what_was_last_put
        a_setting_put_once_stays
        of_many_that_put_once_one_does;
    sealing:
        secrets_are_not_in_the_database
        a_sealed_value_opens_in_its_own_row_only
        an_older_key_still_opens_and_the_active_one_seals
        without_the_key_secrets_are_refused_by_name
        a_sign_in_heals_an_account_whose_key_is_lost
        errors_quote_neither_tokens_nor_addresses
        settings_that_do_not_open_set_an_account_aside
        sealing_anew_frees_the_old_key
        sealing_anew_passes_over_what_does_not_open
        sealing_anew_beside_rotations_loses_none;
    ledger:
        a_settlement_comes_back_as_it_was
        a_clients_use_is_added_up
        settling_twice_keeps_the_first
        the_newest_come_first
        a_large_batch_is_written_whole
        odd_text_does_not_sink_its_batch
        overlapping_batches_at_once_are_all_kept
        what_is_old_is_removed_a_part_at_a_time
        several_can_remove_at_once;
    ties:
        a_tie_comes_back_as_it_was_saved
        of_two_savings_the_later_use_counts
        others_learn_what_was_saved_since
        ties_that_ended_and_too_many_are_removed
        overlapping_savings_at_once_are_all_kept;
    opening:
        many_that_open_a_new_database_at_once_all_can
        what_was_written_is_there_after_reopening
        a_newer_database_is_refused_and_left_alone
        a_migration_in_another_form_is_refused
        a_database_of_the_first_version_is_brought_up_to_date
        the_first_version_can_write_beside_this_one
        a_store_answers_until_it_is_closed
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
