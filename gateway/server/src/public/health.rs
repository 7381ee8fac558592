//! Whether the gateway lives, whether it can serve, and its numbers.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use gateway_core::stage::identify;
use gateway_domain::Dialect;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::peer::peer_of;

use crate::{AppState, rescue};

/// How long the database may take to answer before it counts as away.
const DATABASE_TIME: Duration = Duration::from_secs(2);

/// `GET /health`: the process answers.
pub(crate) async fn alive() -> Response {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// `GET /ready`: it can take requests. 503 while it goes down or its database is away.
pub(crate) async fn ready(State(state): State<AppState>) -> Response {
    let stopping = state.gateway.stopping().is_cancelled();
    let settings = state.gateway.settings();
    let asked = tokio::time::timeout(DATABASE_TIME, settings.setting("ready")).await;
    let database = matches!(asked, Ok(Ok(_)));
    let status = if database && !stopping { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |good: bool| if good { "ok" } else { "away" };
    let body = json!({
        "status": if status.is_success() { "ready" } else { "not ready" },
        "database": word(database),
        "stopping": stopping,
    });
    (status, Json(body)).into_response()
}

/// `GET /metrics`, in the text format of Prometheus. Needs a client key from elsewhere.
pub(crate) async fn metrics(State(state): State<AppState>, request: Request) -> Response {
    if let Err(failure) = identify(&state.gateway.keys(), peer_of(&request), request.headers()) {
        return rescue::answer(&failure, Dialect::OpenAiResponses, None);
    }
    let text = state.metrics.text(&state.gateway, state.sockets.open());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
