//! Client keys: made here, shown once, kept as a hash.

use axum::Json;
use axum::extract::{Path, State};
use gateway_api::{ClientKeyCreate, ClientKeyCreated, ClientKeyView};
use gateway_core::accounts::check_name;
use gateway_core::ports::{ClientKey, StoreError};
use gateway_core::stage::{KEY_PREFIX, hash_client_key};
use gateway_domain::{ClientKeyId, Timestamp};
use http::StatusCode;

use super::error::{Body, Refusal};
use crate::AppState;
use crate::sessions::{HashFailed, random_token};

/// How much of a key is kept in clear, to recognise it.
const HINT_CHARS: usize = 10;

/// `GET /keys`.
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<ClientKeyView>>, Refusal> {
    Ok(Json(state.gateway.client_keys().await?.iter().map(view).collect()))
}

/// `POST /keys`.
pub(crate) async fn create(
    State(state): State<AppState>,
    Body(wanted): Body<ClientKeyCreate>,
) -> Result<(StatusCode, Json<ClientKeyCreated>), Refusal> {
    let label = check_name(&wanted.label).map_err(|error| Refusal::field("label", error.to_string()))?;
    let (key, kept) =
        new_client_key(label, state.gateway.now()).map_err(|error| Refusal::internal(error.to_string()))?;
    let view = view(&kept);
    state.gateway.add_client_key(kept).await.map_err(|error| match error {
        StoreError::NameTaken => Refusal::field("label", "a key with this label exists; choose another"),
        other => other.into(),
    })?;
    tracing::info!(key.id = view.id, "client key made");
    Ok((StatusCode::CREATED, Json(ClientKeyCreated { key, view })))
}

/// A new key and what is kept of it. The label is checked by the caller.
///
/// # Errors
/// The machine is out of entropy.
pub fn new_client_key(label: &str, now: Timestamp) -> Result<(String, ClientKey), HashFailed> {
    let key = format!("{KEY_PREFIX}{}", random_token()?);
    let kept = ClientKey {
        id: ClientKeyId::generate(),
        label: label.to_owned(),
        hint: key.chars().take(HINT_CHARS).collect(),
        hash: hash_client_key(&key),
        created_at: now,
    };
    Ok((key, kept))
}

/// `DELETE /keys/{id}`.
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = ClientKeyId::parse(&id).map_err(|_| Refusal::not_found("there is no such key"))?;
    state.gateway.delete_client_key(&id).await?;
    tracing::info!(key.id = %id, "client key revoked");
    Ok(StatusCode::NO_CONTENT)
}

fn view(key: &ClientKey) -> ClientKeyView {
    ClientKeyView {
        id: key.id.to_string(),
        label: key.label.clone(),
        hint: key.hint.clone(),
        created_at: key.created_at.as_millis(),
    }
}
