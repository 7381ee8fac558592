//! Signing accounts in: begin, watch, come back, call off.

use axum::Json;
use axum::extract::{Path, State};
use gateway_api::{SignInBegin, SignInCallback, SignInMethod, SignInStage, SignInView};
use gateway_core::sign_in::{Flow, FlowError, Method, Stage, Wish};
use gateway_domain::AccountId;
use http::StatusCode;

use super::error::{Body, Refusal};
use crate::AppState;

/// `POST /sign-ins`.
pub(crate) async fn begin(
    State(state): State<AppState>,
    Body(wanted): Body<SignInBegin>,
) -> Result<(StatusCode, Json<SignInView>), Refusal> {
    let account = wanted.account.as_deref().map(AccountId::parse).transpose();
    let account = account.map_err(|error| Refusal::field("account", error.to_string()))?;
    // Said now, not after somebody has signed in for nothing.
    if let Some(account) = account.as_ref().filter(|id| !state.gateway.accounts().contains_key(*id)) {
        return Err(Refusal::not_found(format!("there is no account `{account}` to sign in again")));
    }
    let wish = Wish { name: wanted.name, account };
    let flow = match wanted.method {
        SignInMethod::Browser => {
            // A door that cannot be opened is no mistake: the address is pasted then.
            let _port: Option<std::net::SocketAddr> = state.door.open().await;
            state.door.sign_ins().begin_browser(wish, &state.door.redirect_uri())?
        }
        SignInMethod::Device => state.door.sign_ins().begin_device(wish).await?,
    };
    Ok((StatusCode::CREATED, Json(view(&state, flow))))
}

/// `GET /sign-ins`.
pub(crate) async fn list(State(state): State<AppState>) -> Json<Vec<SignInView>> {
    Json(state.door.sign_ins().list().into_iter().map(|flow| view(&state, flow)).collect())
}

/// `GET /sign-ins/{id}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SignInView>, Refusal> {
    let flow = state.door.sign_ins().find(&id).ok_or_else(gone)?;
    // A device's account was stored behind everybody's back; whoever reads "done" finds it in the pool.
    if let Stage::Done { account, .. } = &flow.stage
        && !state.gateway.accounts().contains_key(account)
    {
        state.gateway.sync_accounts().await?;
    }
    Ok(Json(view(&state, flow)))
}

/// `DELETE /sign-ins/{id}`.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SignInView>, Refusal> {
    Ok(Json(view(&state, state.door.sign_ins().cancel(&id)?)))
}

/// `POST /sign-ins/callback`.
pub(crate) async fn come_back(
    State(state): State<AppState>,
    Body(wanted): Body<SignInCallback>,
) -> Result<Json<SignInView>, Refusal> {
    let flow = state.door.sign_ins().come_back(&wanted.address).await?;
    state.gateway.sync_accounts().await?;
    Ok(Json(view(&state, flow)))
}

fn gone() -> Refusal {
    Refusal::not_found("there is no such sign-in; it ended long ago, or the gateway was restarted")
}

/// Whether the sign-in ends without anybody pasting an address: a device is asked about, a browser comes back through the
/// door, if that stands open where the flow sends it.
fn comes_back(state: &AppState, flow: &Flow) -> bool {
    match (&flow.method, &flow.stage) {
        (Method::Browser, Stage::Waiting { .. }) => state.door.is_open(),
        (Method::Browser | Method::Device, _) => true,
    }
}

fn view(state: &AppState, flow: Flow) -> SignInView {
    SignInView {
        comes_back: comes_back(state, &flow),
        id: flow.id,
        method: match flow.method {
            Method::Browser => SignInMethod::Browser,
            Method::Device => SignInMethod::Device,
        },
        renews: flow.account.map(|id| id.to_string()),
        stage: match flow.stage {
            Stage::Waiting { url, user_code } => SignInStage::Waiting { url, user_code },
            Stage::Exchanging => SignInStage::Exchanging,
            Stage::Done { account, name, renewed } => {
                SignInStage::Done { account: account.to_string(), name, renewed }
            }
            Stage::Failed { why } => SignInStage::Failed { why },
            Stage::Cancelled => SignInStage::Cancelled,
            Stage::Expired => SignInStage::Expired,
        },
        begun_at: flow.begun_at.as_millis(),
        expires_at: flow.expires_at.as_millis(),
    }
}

impl From<FlowError> for Refusal {
    fn from(error: FlowError) -> Self {
        let message = error.to_string();
        match error {
            FlowError::NotRunning => Self::not_found(message),
            FlowError::TooMany | FlowError::OtherSeat { .. } => Self::conflict(message),
            FlowError::NoCallback => Self::field("address", message),
            FlowError::Issuer(_) | FlowError::Refused(_) | FlowError::Tokens(_) => Self::issuer(message),
            FlowError::Account(error) => error.into(),
        }
    }
}
