//! Decisions: the last ones, and one in full.

use axum::Json;
use axum::extract::{Path, Query, State};
use gateway_api::{DecisionSummary, DecisionView};
use gateway_domain::RequestId;
use serde::Deserialize;

use super::error::Refusal;
use super::view;
use crate::AppState;

/// Decisions listed unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// The query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
    account: Option<String>,
}

/// `GET /decisions?limit=&account=`.
pub(crate) async fn list(
    State(state): State<AppState>,
    Query(query): Query<ListQuery>,
) -> Json<Vec<DecisionSummary>> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    Json(view::newest(&state.gateway, limit, query.account.as_deref()))
}

/// `GET /decisions/{request_id}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<DecisionView>, Refusal> {
    let decision = RequestId::parse(&id).ok().and_then(|id| state.gateway.decisions().find(&id));
    decision.map(|decision| Json(view::decision(&state.gateway, &decision))).ok_or_else(|| {
        Refusal::not_found("this decision is not kept: the gateway remembers the last ones until it restarts")
    })
}
