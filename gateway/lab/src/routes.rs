//! The paths of the simulated services and who answers them.
//! Refuses to answer itself.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::header;
use tower_http::decompression::RequestDecompressionLayer;

use crate::canned;
use crate::exchange::{SentEncoding, exchange};
use crate::fault::Route;
use crate::lab::Lab;

mod api;
pub(crate) mod backend;
pub(crate) mod calls;
mod control;
pub(crate) mod oauth;
mod socket;
mod turn;

/// Everything the lab serves: issuer, backend, the APIs that take keys, and its own control routes.
pub fn router(lab: &Lab) -> Router {
    let responses = if lab.shared().canned.is_some() {
        post(canned::responses)
    } else {
        post(async |State(lab), request| exchange(lab, Route::Responses, request, turn::answer).await)
    };
    let responses = responses.get(socket::upgrade);
    Router::new()
        .route("/backend-api/codex/responses", responses)
        .merge(issuer())
        .merge(backend_questions())
        .merge(keyed())
        .merge(backend_calls())
        .merge(keyed_calls())
        .nest("/lab", control::router())
        .fallback(async |State(lab), request| exchange(lab, Route::Other, request, backend::not_found).await)
        .layer(RequestDecompressionLayer::new())
        .layer(middleware::from_fn(keep_encoding))
        .with_state(lab.clone())
}

/// The OAuth issuer.
fn issuer() -> Router<Lab> {
    Router::new()
        .route(
            "/oauth/token",
            post(async |State(lab), request| exchange(lab, Route::Token, request, oauth::token).await),
        )
        .route(
            "/oauth/authorize",
            get(async |State(lab), request| exchange(lab, Route::Authorize, request, oauth::authorize).await),
        )
        .route(
            "/api/accounts/deviceauth/usercode",
            post(async |State(lab), request| {
                exchange(lab, Route::DeviceCode, request, oauth::device_code).await
            }),
        )
        .route(
            "/api/accounts/deviceauth/token",
            post(async |State(lab), request| {
                exchange(lab, Route::DeviceToken, request, oauth::device_token).await
            }),
        )
        .route(
            "/codex/device",
            get(async |State(lab), request| exchange(lab, Route::Other, request, oauth::device_page).await),
        )
}

/// What the ChatGPT backend answers besides turns.
fn backend_questions() -> Router<Lab> {
    Router::new()
        .route(
            "/backend-api/codex/models",
            get(async |State(lab), request| exchange(lab, Route::Models, request, backend::models).await),
        )
        .route(
            "/backend-api/wham/usage",
            get(async |State(lab), request| exchange(lab, Route::Usage, request, backend::usage).await),
        )
        .route(
            "/backend-api/wham/rate-limit-reset-credits/consume",
            post(async |State(lab), request| exchange(lab, Route::Redeem, request, backend::redeem).await),
        )
        .route(
            "/backend-api/wham/accounts/check",
            get(async |State(lab), request| {
                exchange(lab, Route::AccountsCheck, request, backend::accounts_check).await
            }),
        )
        .route(
            "/backend-api/wham/settings/user",
            get(async |State(lab), request| exchange(lab, Route::Settings, request, backend::settings).await),
        )
}

/// The APIs that take keys.
fn keyed() -> Router<Lab> {
    Router::new()
        .route(
            "/v1/responses",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiResponses, request, api::responses).await
            }),
        )
        .route(
            "/v1/chat/completions",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiChat, request, api::chat_completions).await
            }),
        )
        .route(
            "/v1/messages",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiMessages, request, api::create_message).await
            }),
        )
        .route(
            "/v1/messages/count_tokens",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiCountTokens, request, api::count_tokens).await
            }),
        )
        .route(
            "/v1/models",
            get(async |State(lab), request| exchange(lab, Route::ApiModels, request, api::models).await),
        )
}

/// What the ChatGPT backend does besides turns.
fn backend_calls() -> Router<Lab> {
    let control = || async |State(lab), request| exchange(lab, Route::Control, request, calls::control).await;
    let router = Router::new()
        .route(
            "/backend-api/transcribe",
            post(async |State(lab), request| {
                exchange(lab, Route::Transcribe, request, calls::transcribe).await
            }),
        )
        .route(
            "/backend-api/files",
            post(async |State(lab), request| exchange(lab, Route::Files, request, calls::create_file).await),
        )
        .route(
            "/backend-api/files/{id}/uploaded",
            post(async |State(lab), request| {
                exchange(lab, Route::Files, request, calls::file_uploaded).await
            }),
        )
        .route(
            "/backend-api/codex/images/generations",
            post(async |State(lab), request| {
                exchange(lab, Route::CodexImages, request, calls::codex_images).await
            }),
        )
        .route("/backend-api/codex/thread/goal/get", get(control()).post(control()));
    let posted = [
        "codex/thread/goal/set",
        "codex/thread/goal/clear",
        "codex/analytics-events/events",
        "codex/memories/trace_summarize",
        "codex/safety/arc",
        "codex/alpha/search",
    ];
    let asked = [
        "codex/agent-identities/jwks",
        "wham/agent-identities/jwks",
        "ps/plugins/installed",
        "ps/plugins/suggested/codex",
    ];
    let router = posted
        .iter()
        .fold(router, |router, path| router.route(&format!("/backend-api/{path}"), post(control())));
    asked.iter().fold(router, |router, path| router.route(&format!("/backend-api/{path}"), get(control())))
}

/// What the APIs that take keys do besides turns.
fn keyed_calls() -> Router<Lab> {
    Router::new()
        .route(
            "/v1/responses/compact",
            post(async |State(lab), request| exchange(lab, Route::ApiCompact, request, calls::compact).await),
        )
        .route(
            "/v1/embeddings",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiEmbeddings, request, calls::embeddings).await
            }),
        )
        .route(
            "/v1/audio/transcriptions",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiTranscriptions, request, calls::transcriptions).await
            }),
        )
        .route(
            "/v1/images/generations",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiImages, request, calls::image_generations).await
            }),
        )
        .route(
            "/v1/images/edits",
            post(async |State(lab), request| {
                exchange(lab, Route::ApiImages, request, calls::image_edits).await
            }),
        )
}

/// Decompression takes the header away; the log wants it.
async fn keep_encoding(mut request: Request, next: Next) -> Response {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING).cloned() {
        request.extensions_mut().insert(SentEncoding(encoding));
    }
    next.run(request).await
}
