//! Calls that are no turns, and the paths of the ChatGPT backend that are passed on: which path is which call. The
//! pipeline does the rest.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on, post};
use gateway_core::ports::BackendPath;
use gateway_core::stage::{CONTROL_ROUTES, Call, Route};
use gateway_domain::{Failure, FailureKind};
use http::Method;

use super::turns::run;
use crate::{AppState, rescue};

/// The longest id of an uploaded file, in bytes.
const MAX_FILE_ID: usize = 128;

/// A path that carries one call.
pub(crate) fn call(call: Call) -> MethodRouter<AppState> {
    post(async move |State(state): State<AppState>, request: Request| {
        run(state, Route::Call(call), None, request).await
    })
}

/// A call that a child gateway is asked for by its path.
pub(crate) fn backend_call(call: Call, path: &'static str) -> MethodRouter<AppState> {
    post(async move |State(state): State<AppState>, request: Request| {
        let backend = backend(&request, path.into(), None);
        run(state, Route::Call(call), Some(backend), request).await
    })
}

/// `POST /backend-api/files/{id}/uploaded`.
pub(crate) async fn file_uploaded(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > MAX_FILE_ID || !id.bytes().all(is_id) {
        return rescue::unknown_route(&state, &request);
    }
    let backend = backend(&request, format!("files/{id}/uploaded").into(), Some(id));
    run(state, Route::Call(Call::FileUploaded), Some(backend), request).await
}

/// The control routes of the backend. What is not named among them does not exist here.
pub(crate) fn control() -> Router<AppState> {
    CONTROL_ROUTES.iter().fold(Router::new(), |router, (method, path)| {
        let filter = if *method == "GET" { MethodFilter::GET } else { MethodFilter::POST };
        let handler = async move |State(state): State<AppState>, request: Request| {
            if request.method() == Method::HEAD {
                let failure = Failure::client(FailureKind::MethodNotAllowed, "ask with GET");
                return rescue::answer(&failure, Route::Call(Call::Control).dialect(), None);
            }
            let backend = backend(&request, (*path).into(), None);
            run(state, Route::Call(Call::Control), Some(backend), request).await
        };
        router.route(&format!("/backend-api/{path}"), on(filter, handler))
    })
}

fn backend(request: &Request, path: std::borrow::Cow<'static, str>, file: Option<String>) -> BackendPath {
    let query = request.uri().query().map(str::to_owned);
    BackendPath { method: request.method().clone(), path, query, file }
}
