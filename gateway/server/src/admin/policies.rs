//! Policies: which there are, and which decides.

use axum::Json;
use axum::extract::State;
use gateway_api::{PolicyChoice, PolicyView};
use gateway_core::POLICY_SETTING;
use gateway_domain::Secret;

use super::error::{Body, Refusal};
use super::view;
use crate::AppState;

/// `GET /policies`.
pub(crate) async fn list(State(state): State<AppState>) -> Json<Vec<PolicyView>> {
    let active = state.gateway.policy().version().id();
    let all = state.gateway.policies().all();
    Json(all.iter().map(|policy| view::policy(policy.version(), &active)).collect())
}

/// `PUT /policy`: from the next ranking on, and after a restart.
pub(crate) async fn choose(
    State(state): State<AppState>,
    Body(choice): Body<PolicyChoice>,
) -> Result<Json<PolicyView>, Refusal> {
    let found = state.gateway.policies().find(&choice.id);
    found.map_err(|error| Refusal::field("id", error.to_string()))?;
    // Durable first, so that what decides now is what decides after a restart.
    state.gateway.settings().put_setting(POLICY_SETTING, Secret::new(choice.id.clone())).await?;
    let policy =
        state.gateway.choose_policy(&choice.id).map_err(|error| Refusal::field("id", error.to_string()))?;
    tracing::info!(policy = choice.id, "policy switched");
    Ok(Json(view::policy(policy.version(), &choice.id)))
}
