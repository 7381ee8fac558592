//! What an operator does with accounts: keys, tests, refreshes, cooldowns, the pin.

use axum::Json;
use axum::extract::{Path, State};
use gateway_api::{AccountDetail, AccountTested, AddKeyAccount, PinView, Redeemed};
use gateway_core::operations::{KeyAccount, OperationError};
use gateway_domain::{AccountId, AccountKind, AccountSettings, Secret};
use gateway_protocol::codex::Redemption;
use http::StatusCode;

use super::account_settings::patched;
use super::accounts::{detail, parse};
use super::error::{Body, Refusal};
use crate::AppState;

/// `POST /accounts/keys`.
pub(crate) async fn add_key_account(
    State(state): State<AppState>,
    Body(wanted): Body<AddKeyAccount>,
) -> Result<(StatusCode, Json<AccountDetail>), Refusal> {
    let kind = AccountKind::parse(&wanted.kind)
        .ok_or_else(|| Refusal::field("kind", "one of openai, openai-compatible, anthropic, gateway"))?;
    let settings = patched(AccountSettings::default(), wanted.settings)?;
    let account = KeyAccount { kind, name: wanted.name, key: Secret::new(wanted.key), settings };
    let account = state.gateway.add_key_account(account).await?;
    tracing::info!(account.id = %account.id, kind = kind.as_str(), "account added");
    Ok((StatusCode::CREATED, detail(&state, &account.id)?))
}

/// `POST /accounts/{id}/test`.
pub(crate) async fn test(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<AccountTested>, Refusal> {
    let tested = state.gateway.test_account(&parse(&id)?).await?;
    Ok(Json(AccountTested {
        latency_ms: u64::try_from(tested.latency.as_millis()).unwrap_or(u64::MAX),
        models: tested.models,
        dialects: tested.dialects.into_iter().map(|dialect| dialect.as_str().to_owned()).collect(),
    }))
}

/// `POST /accounts/{id}/refresh`.
pub(crate) async fn refresh(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<AccountDetail>, Refusal> {
    let id = parse(&id)?;
    state.gateway.refresh_account(&id).await?;
    detail(&state, &id)
}

/// `POST /accounts/{id}/redeem`.
pub(crate) async fn redeem(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Redeemed>, Refusal> {
    let id = parse(&id)?;
    let redemption = state.gateway.redeem_reset_credit(&id).await?;
    let windows_reset = match redemption {
        Redemption::Reset { windows } => windows,
        Redemption::AlreadyRedeemed | Redemption::NothingToReset | Redemption::NoCredit => None,
    };
    let Json(detail) = detail(&state, &id)?;
    Ok(Json(Redeemed { outcome: redemption.label().to_owned(), windows_reset, detail }))
}

/// `POST /accounts/{id}/clear-cooldowns`.
pub(crate) async fn clear_cooldowns(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<AccountDetail>, Refusal> {
    let id = parse(&id)?;
    state.gateway.clear_cooldowns(&id)?;
    detail(&state, &id)
}

/// `GET /pin`.
pub(crate) async fn pinned(State(state): State<AppState>) -> Json<PinView> {
    Json(pin_view(&state))
}

/// `PUT /pin`.
pub(crate) async fn pin(
    State(state): State<AppState>,
    Body(wanted): Body<PinView>,
) -> Result<Json<PinView>, Refusal> {
    let id = wanted.account.as_deref().map(parse).transpose()?;
    state.gateway.pin(id.as_ref()).await?;
    Ok(Json(pin_view(&state)))
}

fn pin_view(state: &AppState) -> PinView {
    let pinned = state.gateway.with_pool(|pool| {
        let pinned = pool.members().find(|slot| slot.settings.pinned);
        pinned.map(|slot| AccountId::to_string(&slot.profile.id))
    });
    PinView { account: pinned }
}

impl From<OperationError> for Refusal {
    fn from(error: OperationError) -> Self {
        let message = error.to_string();
        match error {
            OperationError::Setting(bad) => Self::field(bad.field, bad.why),
            OperationError::Account(error) => error.into(),
            OperationError::NothingToRefresh
            | OperationError::NoResetCredits
            | OperationError::RedeemRuns
            | OperationError::NoWay => Self::conflict(message),
            OperationError::NoToken(_) => Self::issuer(message),
            OperationError::Upstream(failure) => Self::upstream(&failure),
            OperationError::Proxy(_) => Self::proxy(message),
        }
    }
}
