//! Signing in: the password is set once, from this machine, and asked for ever after.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use gateway_api::{Credentials, SessionState, SessionView};
use gateway_core::stage::Peer;
use gateway_domain::Secret;
use http::HeaderMap;
use http::header::SET_COOKIE;

use super::error::{Body, Refusal};
use super::guard::{SESSION_COOKIE, session_token};
use crate::AppState;
use crate::peer::peer_of;
use crate::sessions::{PASSWORD_BYTES, SESSION_IDLE};

/// The setting that holds the password's hash.
pub const PASSWORD_SETTING: &str = "admin_password";

/// `GET /session`.
pub(crate) async fn show(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<SessionView>, Refusal> {
    let signed_in = session_token(request.headers())
        .is_some_and(|token| state.sessions.is_open(token, state.gateway.now()));
    let stands = if signed_in {
        SessionState::SignedIn
    } else if stored_password(&state).await?.is_some() {
        SessionState::SignedOut
    } else {
        match peer_of(&request) {
            Peer::Local => SessionState::SetupNeeded,
            Peer::Remote => SessionState::SetupElsewhere,
        }
    };
    Ok(Json(view(stands)))
}

/// `POST /setup`: sets the password if there is none, from this machine only.
pub(crate) async fn set_up(State(state): State<AppState>, request: Request) -> Result<Response, Refusal> {
    if peer_of(&request) == Peer::Remote {
        return Err(Refusal::forbidden(
            "the first password is set from the machine that the gateway runs on",
        ));
    }
    let Body(Credentials { password }) = read(request).await?;
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Err(Refusal::field("password", "a password has 8 to 1024 bytes"));
    }
    let hash =
        state.sessions.hashing.hash(password).await.map_err(|error| Refusal::internal(error.to_string()))?;
    if !state.gateway.settings().put_setting_once(PASSWORD_SETTING, hash).await? {
        return Err(Refusal::conflict("a password is already set; sign in with it"));
    }
    tracing::info!("the admin password was set");
    signed_in(&state)
}

/// `POST /login`.
pub(crate) async fn log_in(State(state): State<AppState>, request: Request) -> Result<Response, Refusal> {
    let now = state.gateway.now();
    if let Some(wait) = state.sessions.closed_for(now) {
        return Err(Refusal::too_many_tries(wait.as_secs().max(1)));
    }
    let Body(Credentials { password }) = read(request).await?;
    check_password(&state, password).await?;
    signed_in(&state)
}

/// Lets only who knows the password through. Wrong ones count, wherever they are tried.
pub(super) async fn check_password(state: &AppState, password: String) -> Result<(), Refusal> {
    let now = state.gateway.now();
    if let Some(wait) = state.sessions.closed_for(now) {
        return Err(Refusal::too_many_tries(wait.as_secs().max(1)));
    }
    let Some(stored) = stored_password(state).await? else {
        return Err(Refusal::conflict("no password is set yet; open the dashboard on the gateway's machine"));
    };
    let verified = state.sessions.hashing.verify(password, stored).await;
    if verified.map_err(|error| Refusal::internal(error.to_string()))? {
        return Ok(());
    }
    state.sessions.wrong_password(now);
    tracing::warn!("a wrong password was refused");
    Err(Refusal::field("password", "this is not the password"))
}

/// `POST /logout`.
pub(crate) async fn log_out(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if let Some(token) = session_token(&headers) {
        state.sessions.close(token);
    }
    let gone = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    ([(SET_COOKIE, gone)], Json(view(SessionState::SignedOut))).into_response()
}

async fn read(request: Request) -> Result<Body<Credentials>, Refusal> {
    use axum::extract::FromRequest;
    Body::from_request(request, &()).await
}

async fn stored_password(state: &AppState) -> Result<Option<Secret>, Refusal> {
    Ok(state.gateway.settings().setting(PASSWORD_SETTING).await?)
}

fn signed_in(state: &AppState) -> Result<Response, Refusal> {
    let token =
        state.sessions.open(state.gateway.now()).map_err(|error| Refusal::internal(error.to_string()))?;
    let age = SESSION_IDLE.as_secs();
    let cookie = format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict");
    Ok(([(SET_COOKIE, cookie)], Json(view(SessionState::SignedIn))).into_response())
}

fn view(state: SessionState) -> SessionView {
    SessionView { state, version: env!("CARGO_PKG_VERSION").to_owned() }
}
