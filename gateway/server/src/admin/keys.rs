//! Client keys: made here, shown once, kept as a hash.

use axum::Json;
use axum::extract::{Path, State};
use gateway_api::{ClientKeyCreate, ClientKeyCreated, ClientKeyView, KeyScopeView};
use gateway_core::accounts::{ScopeError, check_name, check_scope};
use gateway_core::ports::{ClientKey, StoreError};
use gateway_core::stage::{KEY_PREFIX, hash_client_key};
use gateway_domain::{AccountId, ClientKeyId, KeyScope, Timestamp};
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
    let scope = scope_of(wanted.scope)?;
    let (key, mut kept) =
        new_client_key(label, state.gateway.now()).map_err(|error| Refusal::internal(error.to_string()))?;
    kept.scope = scope;
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
        scope: KeyScope::default(),
    };
    Ok((key, kept))
}

/// `PUT /keys/{id}/scope`.
pub(crate) async fn put_scope(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Body(wanted): Body<KeyScopeView>,
) -> Result<Json<ClientKeyView>, Refusal> {
    let id = ClientKeyId::parse(&id).map_err(|_| no_key())?;
    state.gateway.scope_client_key(&id, scope_of(wanted)?).await?;
    tracing::info!(key.id = %id, "a client key may use another part of the pool");
    let keys = state.gateway.client_keys().await?;
    keys.iter().find(|key| key.id == id).map(|key| Json(view(key))).ok_or_else(no_key)
}

fn no_key() -> Refusal {
    Refusal::not_found("there is no such key")
}

fn scope_of(wanted: KeyScopeView) -> Result<KeyScope, Refusal> {
    let ids = wanted.accounts.iter().map(|id| AccountId::parse(id)).collect::<Result<_, _>>();
    let accounts = ids.map_err(|error| Refusal::field("accounts", error.to_string()))?;
    let scope = KeyScope { groups: wanted.groups, accounts };
    check_scope(&scope).map_err(|bad| Refusal::field(bad.field, bad.why))?;
    Ok(scope)
}

impl From<ScopeError> for Refusal {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::Bad(bad) => Self::field(bad.field, bad.why),
            ScopeError::Store(error) => error.into(),
        }
    }
}

/// `DELETE /keys/{id}`.
pub(crate) async fn revoke(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = ClientKeyId::parse(&id).map_err(|_| no_key())?;
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
        scope: KeyScopeView {
            groups: key.scope.groups.clone(),
            accounts: key.scope.accounts.iter().map(ToString::to_string).collect(),
        },
    }
}
