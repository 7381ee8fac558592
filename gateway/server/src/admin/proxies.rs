//! The proxies that accounts leave through.

use axum::Json;
use axum::extract::{Path, State};
use gateway_api::{ProxyPatch, ProxyTested, ProxyView};
use gateway_core::ports::Way;
use gateway_domain::{EgressProxy, ProxyId, Secret};
use http::StatusCode;

use super::error::{Body, Refusal};
use super::ways::health_view;
use crate::AppState;

/// `GET /proxies`.
pub(crate) async fn list(State(state): State<AppState>) -> Json<Vec<ProxyView>> {
    Json(state.gateway.egress_proxies().iter().map(|proxy| view(&state, proxy)).collect())
}

/// `POST /proxies`.
pub(crate) async fn add(
    State(state): State<AppState>,
    Body(wanted): Body<ProxyPatch>,
) -> Result<(StatusCode, Json<ProxyView>), Refusal> {
    let url = wanted.url.ok_or_else(|| Refusal::field("url", "a proxy needs its address"))?;
    let proxy = EgressProxy {
        id: ProxyId::generate(),
        name: wanted.name.unwrap_or_else(|| address(&url)),
        url: Secret::new(url),
        enabled: wanted.enabled.unwrap_or(true),
        groups: wanted.groups.unwrap_or_default(),
    };
    state.gateway.put_egress_proxy(proxy.clone()).await?;
    Ok((StatusCode::CREATED, Json(view(&state, &proxy))))
}

/// `PATCH /proxies/{id}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Body(wanted): Body<ProxyPatch>,
) -> Result<Json<ProxyView>, Refusal> {
    let mut proxy = find(&state, &id)?;
    proxy.name = wanted.name.unwrap_or(proxy.name);
    proxy.url = wanted.url.map_or(proxy.url, Secret::new);
    proxy.enabled = wanted.enabled.unwrap_or(proxy.enabled);
    proxy.groups = wanted.groups.unwrap_or(proxy.groups);
    state.gateway.put_egress_proxy(proxy.clone()).await?;
    Ok(Json(view(&state, &proxy)))
}

/// `DELETE /proxies/{id}`.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    state.gateway.delete_egress_proxy(&find(&state, &id)?.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /proxies/{id}/test`.
pub(crate) async fn test(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<ProxyTested>, Refusal> {
    let latency = state.gateway.probe_egress_proxy(&find(&state, &id)?.id).await?;
    Ok(Json(ProxyTested { latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX) }))
}

fn find(state: &AppState, id: &str) -> Result<EgressProxy, Refusal> {
    let proxies = state.gateway.egress_proxies();
    let found = proxies.iter().find(|proxy| proxy.id.as_str() == id).cloned();
    found.ok_or_else(|| Refusal::not_found("there is no such proxy"))
}

fn view(state: &AppState, proxy: &EgressProxy) -> ProxyView {
    let uses = |id: &gateway_domain::AccountId| {
        let to = state.gateway.destination(id);
        to.is_some_and(|to| matches!(&to.way, Way::Proxy { id, .. } if *id == proxy.id))
    };
    let accounts = state.gateway.accounts().keys().filter(|id| uses(id)).count();
    ProxyView {
        id: proxy.id.to_string(),
        name: proxy.name.clone(),
        address: address(proxy.url.expose()),
        enabled: proxy.enabled,
        groups: proxy.groups.clone(),
        accounts: u32::try_from(accounts).unwrap_or(u32::MAX),
        health: state.gateway.proxy_health(&proxy.id).as_ref().and_then(health_view),
    }
}

/// Scheme, host and port; never user and password.
fn address(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}
