//! Accounts: list, import, look at, change, remove.

use axum::Json;
use axum::extract::{Path, Query, State};
use gateway_api::{
    AccountDetail, AccountPatch, AccountView, AccountsQuery, ImportAccounts, ImportOutcome, ImportResult,
};
use gateway_core::ports::Imported;
use gateway_domain::{AccountId, AccountState};
use http::StatusCode;

use super::error::{Body, Refusal};
use super::{account_rows, account_settings, view};
use crate::AppState;

/// Decisions shown with an account.
const RECENT: usize = 20;

/// `GET /accounts?offset=&limit=`.
pub(crate) async fn list(
    State(state): State<AppState>,
    Query(query): Query<AccountsQuery>,
) -> Json<Vec<AccountView>> {
    Json(account_rows::page(&state.gateway, query))
}

/// `POST /accounts`.
pub(crate) async fn import(
    State(state): State<AppState>,
    Body(wanted): Body<ImportAccounts>,
) -> Result<(StatusCode, Json<ImportResult>), Refusal> {
    let imported = state.gateway.import_account(&wanted.auth_json, wanted.name.as_deref()).await?;
    let (status, outcome, account) = match imported {
        Imported::Added(account) => (StatusCode::CREATED, ImportOutcome::Added, account),
        Imported::Updated(account) => (StatusCode::OK, ImportOutcome::Updated, account),
    };
    tracing::info!(account.id = %account.id, updated = status == StatusCode::OK, "account imported");
    let account = account_rows::one(&state.gateway, &account.id).ok_or_else(gone)?;
    Ok((status, Json(ImportResult { outcome, account })))
}

/// `GET /accounts/{id}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<AccountDetail>, Refusal> {
    detail(&state, &parse(&id)?)
}

/// `PATCH /accounts/{id}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Body(patch): Body<AccountPatch>,
) -> Result<Json<AccountDetail>, Refusal> {
    let id = parse(&id)?;
    if let Some(name) = &patch.name {
        state.gateway.rename_account(&id, name).await?;
    }
    if let Some(settings) = patch.settings {
        let known = state.gateway.accounts().get(&id).map(|account| account.settings.clone());
        let settings = account_settings::patched(known.ok_or_else(gone)?, settings)?;
        state.gateway.put_account_settings(&id, settings).await?;
    }
    if let Some(paused) = patch.paused {
        set_paused(&state, &id, paused).await?;
    }
    detail(&state, &id)
}

async fn set_paused(state: &AppState, id: &AccountId, paused: bool) -> Result<(), Refusal> {
    let now = state.gateway.accounts().get(id).map(|account| account.state.clone()).ok_or_else(gone)?;
    let next = match (now, paused) {
        (AccountState::SignInNeeded { .. }, false) => {
            return Err(Refusal::conflict("this account must be signed in again: import its auth.json anew"));
        }
        (_, true) => AccountState::Paused,
        (_, false) => AccountState::Active,
    };
    Ok(state.gateway.set_account_state(id, next).await?)
}

/// `DELETE /accounts/{id}`.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = parse(&id)?;
    state.gateway.delete_account(&id).await?;
    tracing::info!(account.id = %id, "account removed");
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn detail(state: &AppState, id: &AccountId) -> Result<Json<AccountDetail>, Refusal> {
    view::account_detail(&state.gateway, id, RECENT).map(Json).ok_or_else(gone)
}

pub(crate) fn parse(id: &str) -> Result<AccountId, Refusal> {
    AccountId::parse(id).map_err(|_| gone())
}

fn gone() -> Refusal {
    Refusal::not_found("there is no such account")
}
