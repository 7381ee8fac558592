//! Extensions act on requests: a mapping renames, a filter hides and restores, an observer counts, a failing one closes
//! the way or does not, and another version takes over without losing a request.

mod acting;
mod admin;
mod calls;
mod folder;
mod mapping;
mod redaction;

use anyhow::{Context, Result, ensure};
use gateway_core::extensions::Placement;
use gateway_lab::{LabApi, LabConfig, RequestRecord};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Answer, InProcess, Speaks};

use super::lab;

/// Switches an extension on, as the operator decides it.
async fn switch_on(gateway: &InProcess, id: &str, placement: Placement) -> Result<()> {
    let placement = Placement { enabled: Some(true), ..placement };
    gateway.running.gateway.place_extension(id, placement).await.with_context(|| format!("switch {id} on"))
}

async fn ask(gateway: &InProcess, client: Speaks, body: &Value) -> Result<Answer> {
    Answer::read(gateway.post_to(client.path(), HeaderMap::new(), body.to_string()).await?).await
}

/// The turns that reached the lab; what the gateway asks on its own has no body.
fn turns(gateway: &InProcess) -> Vec<RequestRecord> {
    gateway.lab.requests().into_iter().filter(|seen| !seen.body.is_empty()).collect()
}

/// An address that no other test looks for.
const ADDRESS: &str = "ada.lovelace@example.com";
