//! The API over real sockets, against the lab.

mod admin;
mod bad_input;
mod binary;
mod bodies;
mod callers;
mod calls;
mod cli;
mod cli_accounts;
mod cli_codex;
mod cli_elsewhere;
mod cli_ext;
mod cli_plugin;
mod cli_policy;
mod cli_upkeep;
mod control;
mod counting;
mod dialects;
mod egress;
mod error_bodies;
mod extensions;
mod fault_matrix;
mod fidelity;
mod foreign_reasoning;
mod hang_up;
mod hostile;
mod images;
mod import;
mod keeping;
mod key_scopes;
mod kinds;
mod large_pool;
mod models;
mod no_capacity;
mod operations;
mod policy_texts;
mod replay;
mod routes;
mod scheduling;
mod sealed;
mod session;
mod sign_in;
mod socket;
mod socket_upstream;
mod stream_faults;
mod tokens;
mod torture;
mod upkeep;

use anyhow::{Result, ensure};
use gateway_lab::{LabAccount, LabClock, LabConfig};
use switchyard_tests::{Event, InProcess, events_of, eventually, read_events, turn};

/// When the clocks of these tests stand, in Unix seconds.
const NOW: i64 = 1_800_000_000;

/// A lab with this many equal accounts on a clock that stands still.
fn lab(accounts: usize) -> LabConfig {
    let names = ["ada", "grace", "edsger", "barbara", "tony"];
    let accounts = names.iter().take(accounts).map(|name| LabAccount::new(name, "plus")).collect();
    LabConfig::new(accounts, LabClock::fixed(NOW))
}

/// Waits until the gateway knows every account's windows.
async fn quotas_known(gateway: &InProcess) -> Result<()> {
    let inner = gateway.running.gateway.clone();
    eventually("the quotas are known", async || {
        let known = inner.with_pool(|pool| pool.members().all(|slot| slot.quota_seen_at.is_some()));
        Ok(known.then_some(()))
    })
    .await
}

/// That the gateway still serves.
async fn still_serves(gateway: &InProcess) -> Result<()> {
    let answer = gateway.ask(&turn("are you there?")).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    completed(&events_of(&answer.text())?)
}

/// That a stream came to its good end.
fn completed(events: &[Event]) -> Result<()> {
    let last = events.last().map(|event| event.name.as_str());
    ensure!(last == Some("response.completed"), "the last event is {last:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_comes_back_whole() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let response = gateway.post(&turn("hello")).await?;
    assert_eq!(response.status(), 200);
    completed(&read_events(response).await?)?;
    gateway.stop().await
}
