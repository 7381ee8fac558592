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

/// Decompression takes the header away; the log wants it.
async fn keep_encoding(mut request: Request, next: Next) -> Response {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING).cloned() {
        request.extensions_mut().insert(SentEncoding(encoding));
    }
    next.run(request).await
}
