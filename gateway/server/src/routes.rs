//! Every route there is, grouped by who calls it. Paths and handlers only.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::{AppState, admin, dashboard, public, rescue};

pub(crate) fn router(state: AppState) -> Router {
    let (lost, wrong) = (state.clone(), state.clone());
    Router::new()
        .merge(clients(state.clone()))
        .merge(operations(state.clone()))
        .nest(gateway_api::ADMIN_PREFIX, administration(state))
        .fallback(move |request| dashboard::page_or_unknown(lost.clone(), request))
        .method_not_allowed_fallback(move |request| rescue::method_not_allowed(wrong.clone(), request))
        // Outermost: one request's bug is one request's 500.
        .layer(CatchPanicLayer::custom(rescue::panicked))
}

/// SDKs and coding agents.
fn clients(state: AppState) -> Router {
    Router::new()
        .route("/v1/responses", post(public::responses::public).get(rescue::no_web_socket))
        .route("/backend-api/codex/responses", post(public::responses::codex).get(rescue::no_web_socket))
        .route("/v1/models", get(public::models::by_caller))
        .route("/backend-api/codex/models", get(public::models::codex))
        // Bodies arrive compressed from Codex with a ChatGPT sign-in; what is not taken here is refused in `body`.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .with_state(state)
}

/// Load balancers, supervisors, Prometheus.
fn operations(state: AppState) -> Router {
    Router::new()
        .route("/health", get(public::health::alive))
        .route("/ready", get(public::health::ready))
        .route("/metrics", get(public::health::metrics))
        .with_state(state)
}

/// The dashboard and scripts of the operator.
fn administration(state: AppState) -> Router {
    let open = Router::new()
        .route("/session", get(admin::session::show))
        .route("/setup", post(admin::session::set_up))
        .route("/login", post(admin::session::log_in));
    let guarded = Router::new()
        .route("/logout", post(admin::session::log_out))
        .route("/overview", get(admin::overview::show))
        .route("/events", get(admin::overview::events))
        .route("/accounts", get(admin::accounts::list).post(admin::accounts::import))
        .route(
            "/accounts/{id}",
            get(admin::accounts::show).patch(admin::accounts::change).delete(admin::accounts::delete),
        )
        .route("/decisions", get(admin::decisions::list))
        .route("/decisions/{id}", get(admin::decisions::show))
        .route("/policies", get(admin::policies::list))
        .route("/policy", axum::routing::put(admin::policies::choose))
        .route("/keys", get(admin::keys::list).post(admin::keys::create))
        .route("/keys/{id}", axum::routing::delete(admin::keys::revoke))
        .route_layer(from_fn_with_state(state.clone(), admin::guard::signed_in));
    open.merge(guarded)
        .fallback(admin::unknown)
        .method_not_allowed_fallback(admin::method_not_allowed)
        // Below the session check would be too late: signing in changes state as well.
        .layer(from_fn(admin::guard::same_origin))
        .with_state(state)
}
