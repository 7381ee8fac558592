//! Every route there is, grouped by who calls it. Paths and handlers only.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use gateway_core::stage::Call;
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
        .route("/v1/responses", post(public::turns::responses).get(public::socket::responses))
        .route("/responses", post(public::turns::responses).get(public::socket::responses))
        .route("/backend-api/codex/responses", post(public::turns::codex).get(public::socket::codex))
        .route("/v1/chat/completions", post(public::turns::chat))
        .route("/chat/completions", post(public::turns::chat))
        .route("/v1/messages", post(public::turns::messages))
        .route("/messages", post(public::turns::messages))
        .route("/v1/messages/count_tokens", post(public::count::count_tokens))
        .route("/messages/count_tokens", post(public::count::count_tokens))
        .route("/v1/models", get(public::models::by_caller))
        .route("/models", get(public::models::by_caller))
        .route("/v1/models/{*id}", get(public::models::one))
        .route("/models/{*id}", get(public::models::one))
        .route("/backend-api/codex/models", get(public::models::codex))
        .merge(calls())
        .merge(public::calls::control())
        // Bodies arrive compressed from Codex with a ChatGPT sign-in; what is not taken here is refused in `body`.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .with_state(state)
}

/// Calls that are no turns, and questions about limits.
fn calls() -> Router<AppState> {
    use public::calls::{backend_call, call, file_uploaded};
    use public::control::{accounts_check, own_usage, pool_usage};
    Router::new()
        .route("/v1/responses/compact", call(Call::Compact))
        .route("/responses/compact", call(Call::Compact))
        .route("/backend-api/codex/responses/compact", call(Call::CodexCompact))
        .route("/v1/embeddings", call(Call::Embeddings))
        .route("/embeddings", call(Call::Embeddings))
        .route("/v1/audio/transcriptions", call(Call::Transcriptions))
        .route("/audio/transcriptions", call(Call::Transcriptions))
        .route("/backend-api/transcribe", backend_call(Call::Transcribe, "transcribe"))
        .route("/v1/images/generations", call(Call::ImageGenerations))
        .route("/images/generations", call(Call::ImageGenerations))
        .route("/backend-api/codex/images/generations", call(Call::CodexImageGenerations))
        .route("/v1/images/edits", call(Call::ImageEdits))
        .route("/images/edits", call(Call::ImageEdits))
        .route("/backend-api/codex/images/edits", call(Call::CodexImageEdits))
        .route("/backend-api/files", backend_call(Call::CreateFile, "files"))
        .route("/backend-api/files/{id}/uploaded", post(file_uploaded))
        .route("/backend-api/wham/usage", get(pool_usage))
        .route("/wham/usage", get(pool_usage))
        .route("/api/codex/usage", get(pool_usage))
        .route("/backend-api/wham/accounts/check", get(accounts_check))
        .route("/wham/accounts/check", get(accounts_check))
        .route("/v1/usage", get(own_usage))
        .route("/usage", get(own_usage))
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
        .route("/accounts/import", post(admin::import::import))
        .route("/accounts/export", post(admin::import::export))
        .route(
            "/accounts/{id}",
            get(admin::accounts::show).patch(admin::accounts::change).delete(admin::accounts::delete),
        )
        .route("/accounts/keys", post(admin::operations::add_key_account))
        .route("/accounts/{id}/test", post(admin::operations::test))
        .route("/accounts/{id}/refresh", post(admin::operations::refresh))
        .route("/accounts/{id}/redeem", post(admin::operations::redeem))
        .route("/accounts/{id}/clear-cooldowns", post(admin::operations::clear_cooldowns))
        .route("/pin", get(admin::operations::pinned).put(admin::operations::pin))
        .route("/proxies", get(admin::proxies::list).post(admin::proxies::add))
        .route("/proxies/{id}", axum::routing::patch(admin::proxies::change).delete(admin::proxies::delete))
        .route("/proxies/{id}/test", post(admin::proxies::test))
        .route("/sign-ins", get(admin::sign_in::list).post(admin::sign_in::begin))
        .route("/sign-ins/callback", post(admin::sign_in::come_back))
        .route("/sign-ins/{id}", get(admin::sign_in::show).delete(admin::sign_in::cancel))
        .route("/decisions", get(admin::decisions::list))
        .route("/decisions/trace", get(admin::replay::export))
        .route("/decisions/{id}", get(admin::decisions::show))
        .route("/policies", get(admin::policies::list))
        .route("/policies/check", post(admin::policies::check))
        .route("/policies/dry-run", post(admin::replay::dry_run))
        .route("/policies/{id}", get(admin::policies::show))
        .route("/policies/{id}/rollback", post(admin::policies::roll_back))
        .route("/extensions", get(admin::extensions::list).post(admin::extensions::upload))
        .route("/extensions/check", post(admin::extensions::check))
        .route("/extensions/hits", get(admin::extensions::hits))
        .route(
            "/extensions/{id}",
            get(admin::extensions::show).patch(admin::extensions::change).delete(admin::extensions::delete),
        )
        .route("/extensions/{id}/rollback", post(admin::extensions::roll_back))
        .route("/policy", axum::routing::put(admin::policies::choose))
        .route("/keys", get(admin::keys::list).post(admin::keys::create))
        .route("/keys/{id}", axum::routing::delete(admin::keys::revoke))
        .route("/keys/{id}/scope", axum::routing::put(admin::keys::put_scope))
        .route_layer(from_fn_with_state(state.clone(), admin::guard::signed_in));
    open.merge(guarded)
        .fallback(admin::unknown)
        .method_not_allowed_fallback(admin::method_not_allowed)
        // Below the session check would be too late: signing in changes state as well.
        .layer(from_fn(admin::guard::same_origin))
        .with_state(state)
}
