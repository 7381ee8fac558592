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
    let (flow, comes_back) = match wanted.method {
        SignInMethod::Browser => {
            let comes_back = state.door.open().await.is_some();
            (state.door.sign_ins().begin_browser(wish, &state.door.redirect_uri())?, comes_back)
        }
        SignInMethod::Device => (state.door.sign_ins().begin_device(wish).await?, true),
    };
    Ok((StatusCode::CREATED, Json(view(flow, comes_back))))
}

/// `GET /sign-ins`.
pub(crate) async fn list(State(state): State<AppState>) -> Json<Vec<SignInView>> {
    Json(state.door.sign_ins().list().into_iter().map(|flow| view(flow, true)).collect())
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
    Ok(Json(view(flow, true)))
}

/// `DELETE /sign-ins/{id}`.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SignInView>, Refusal> {
    Ok(Json(view(state.door.sign_ins().cancel(&id)?, true)))
}

/// `POST /sign-ins/callback`.
pub(crate) async fn come_back(
    State(state): State<AppState>,
    Body(wanted): Body<SignInCallback>,
) -> Result<Json<SignInView>, Refusal> {
    let flow = state.door.sign_ins().come_back(&wanted.address).await?;
    state.gateway.sync_accounts().await?;
    Ok(Json(view(flow, true)))
}

fn gone() -> Refusal {
    Refusal::not_found("there is no such sign-in; it ended long ago, or the gateway was restarted")
}

fn view(flow: Flow, comes_back: bool) -> SignInView {
    SignInView {
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
        comes_back,
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
