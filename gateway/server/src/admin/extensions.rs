//! Extensions: which there are and how they fare, what is decided about each, files taken in and out, one version back.
//!
//! Refuses: showing a secret, and deciding anything itself; the set of extensions does.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gateway_api::{
    ExtensionChecked, ExtensionDetail, ExtensionHitView, ExtensionPatch, ExtensionPlaced, ExtensionUpload,
    ExtensionView,
};
use gateway_core::extensions::{Content, ExtensionError, Placement, Upload};
use gateway_core::stage::Route;
use gateway_scheduler::PolicyLanguage;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{Body, Refusal, read_json};
use super::extension_view::{self as view, is_policy_only};
use super::policies::let_decide;
use super::replay::on_a_thread;
use crate::AppState;

/// The largest body of an upload: a component in base64, its manifest, and room to be told what is too large.
const MAX_UPLOAD_BYTES: usize = 24 * 1024 * 1024;
/// The longest anybody waits for a decision: loading a component compiles it.
const DECISION_TIME: Duration = Duration::from_secs(90);
/// Hits told unless asked otherwise, and at most.
const DEFAULT_HITS: usize = 50;
const MAX_HITS: usize = 500;
/// Hits told with one extension.
const DETAIL_HITS: usize = 20;
/// Names in one list of a place.
const MAX_NAMES: usize = 256;

/// `GET /extensions`.
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<ExtensionView>>, Refusal> {
    let gateway = state.gateway.clone();
    Ok(Json(on_a_thread(move || view::rows(&gateway)).await?))
}

/// `GET /extensions/{id}`.
pub(crate) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<ExtensionDetail>, Refusal> {
    detail(&state, id).await.map(Json)
}

async fn detail(state: &AppState, id: String) -> Result<ExtensionDetail, Refusal> {
    let gateway = state.gateway.clone();
    let unknown = ExtensionError::Unknown(id.clone());
    on_a_thread(move || view::detail(&gateway, &id, DETAIL_HITS)).await?.ok_or_else(|| unknown.into())
}

/// The query of the hits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HitsQuery {
    id: Option<String>,
    limit: Option<usize>,
}

/// `GET /extensions/hits?id=&limit=`.
pub(crate) async fn hits(
    State(state): State<AppState>,
    Query(query): Query<HitsQuery>,
) -> Result<Json<Vec<ExtensionHitView>>, Refusal> {
    let limit = query.limit.unwrap_or(DEFAULT_HITS).min(MAX_HITS);
    let gateway = state.gateway.clone();
    Ok(Json(on_a_thread(move || view::hits(&gateway, query.id.as_deref(), limit)).await?))
}

/// `PATCH /extensions/{id}`.
pub(crate) async fn change(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Body(patch): Body<ExtensionPatch>,
) -> Result<Json<ExtensionDetail>, Refusal> {
    if is_policy_only(&state.gateway, &id) {
        if has_a_place(&patch) {
            return Err(Refusal::field("order", format!("{id} only ranks, so it has no place in a chain")));
        }
        if patch.enabled.is_some() {
            choose_or_let_go(&state, &id, &patch).await?;
            return detail(&state, id).await.map(Json);
        }
    }
    let changed = Changes::read(patch)?;
    let (gateway, name) = (state.gateway.clone(), id.clone());
    finish(async move { gateway.change_extension(&name, |decided| changed.apply(decided)).await }).await??;
    tracing::info!(extension = id, "what is decided about an extension changed");
    detail(&state, id).await.map(Json)
}

fn has_a_place(patch: &ExtensionPatch) -> bool {
    let lists = [&patch.routes, &patch.groups, &patch.clients, &patch.models];
    patch.order.is_some()
        || patch.mode.is_some()
        || patch.on_failure.is_some()
        || lists.iter().any(|list| list.is_some())
}

/// One that only ranks serves when it is the one that decides.
async fn choose_or_let_go(state: &AppState, id: &str, patch: &ExtensionPatch) -> Result<(), Refusal> {
    let only = ExtensionPatch { enabled: patch.enabled, ..ExtensionPatch::default() };
    if *patch != only {
        return Err(Refusal::field("enabled", "a policy is chosen or let go of; change the rest by itself"));
    }
    let decides = state.gateway.policy().version().id() == id;
    match patch.enabled {
        Some(Some(true)) => let_decide(state, id).await.map(drop),
        Some(_) if decides => {
            let builtin = state.gateway.policies().all();
            let builtin = builtin.iter().find(|one| one.version().language == PolicyLanguage::BuiltIn);
            let builtin = builtin.ok_or_else(|| Refusal::internal("there is no built-in policy"))?;
            let_decide(state, &builtin.version().id()).await.map(drop)
        }
        _ => Ok(()),
    }
}

/// `POST /extensions/{id}/rollback`.
pub(crate) async fn roll_back(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<ExtensionPlaced>, Refusal> {
    let (gateway, name) = (state.gateway.clone(), id.clone());
    let back = finish(async move { gateway.roll_back_extension(&name).await }).await?;
    let version = back.map_err(|error| match error {
        ExtensionError::Refused(why) => Refusal::conflict(why),
        error => error.into(),
    })?;
    tracing::info!(extension = id, digest = version.digest, "extension went one version back");
    Ok(Json(ExtensionPlaced { id, version: view::release(version) }))
}

/// `POST /extensions`.
pub(crate) async fn upload(
    State(state): State<AppState>,
    request: Request,
) -> Result<(StatusCode, Json<ExtensionPlaced>), Refusal> {
    let (upload, wanted) = read_upload(request).await?;
    let (gateway, id) = (state.gateway.clone(), upload.id());
    let taken = async move { gateway.upload_extension(upload, wanted.raised, wanted.enabled).await };
    let version = finish(taken).await??;
    tracing::info!(extension = id, digest = version.digest, "extension uploaded");
    Ok((StatusCode::CREATED, Json(ExtensionPlaced { id, version: view::release(version) })))
}

/// `POST /extensions/check`: the same steps, and nothing changes.
pub(crate) async fn check(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<ExtensionChecked>, Refusal> {
    let (upload, wanted) = read_upload(request).await?;
    let (gateway, id) = (state.gateway.clone(), upload.id());
    let source = wanted.source.unwrap_or_default();
    let trial = finish(async move { gateway.check_extension(upload, wanted.raised).await }).await??;
    Ok(Json(view::trial(id, trial, &source)))
}

/// `DELETE /extensions/{id}`.
pub(crate) async fn delete(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let (gateway, name) = (state.gateway.clone(), id.clone());
    let gone = finish(async move { gateway.delete_extension(&name).await }).await?;
    gone.map_err(|error| match error {
        ExtensionError::Refused(why) => Refusal::conflict(why),
        error => error.into(),
    })?;
    tracing::info!(extension = id, "extension deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// A decision is carried out to its end, whether or not who asked for it waits so long.
async fn finish<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Refusal> {
    match tokio::time::timeout(DECISION_TIME, tokio::spawn(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Refusal::internal(format!("it did not end well: {error}"))),
        Err(_) => Err(Refusal::internal("it takes long; look at the list in a moment")),
    }
}

/// The upload, and what else was said.
async fn read_upload(request: Request) -> Result<(Upload, ExtensionUpload), Refusal> {
    let mut wanted: ExtensionUpload = read_json(request, MAX_UPLOAD_BYTES).await?;
    let content = match (wanted.component.take(), wanted.source.clone()) {
        (Some(component), None) => {
            let bytes = BASE64.decode(component).map_err(|error| {
                Refusal::field("component", format!("the component is not written in base64: {error}"))
            })?;
            let (manifest, signature) = (wanted.manifest.take(), wanted.signature.take());
            Content::Component { bytes: bytes.into(), manifest, signature }
        }
        (None, Some(source)) if wanted.manifest.is_none() && wanted.signature.is_none() => {
            Content::Script(source)
        }
        (None, Some(_)) => {
            return Err(Refusal::field("manifest", "a script has no manifest and no signature"));
        }
        _ => return Err(Refusal::field("component", "send a component or a source, one of the two")),
    };
    Ok((Upload { name: wanted.name.clone(), content }, wanted))
}

/// A patch whose words are known.
struct Changes(Box<dyn FnOnce(&mut Placement) + Send>);

impl Changes {
    fn read(patch: ExtensionPatch) -> Result<Self, Refusal> {
        let mode = word("mode", patch.mode, "enforce, monitor")?;
        let on_failure = word("on_failure", patch.on_failure, "open, closed, fallback")?;
        for (field, names) in [
            ("routes", &patch.routes),
            ("groups", &patch.groups),
            ("clients", &patch.clients),
            ("models", &patch.models),
        ] {
            if names.iter().flatten().any(|names| names.len() > MAX_NAMES) {
                return Err(Refusal::field(field, format!("at most {MAX_NAMES} names fit")));
            }
        }
        // A filter for a route that does not exist would never be asked, and nobody would notice.
        let stranger = patch.routes.iter().flatten().flatten().find(|route| !is_route(route));
        if let Some(route) = stranger {
            let known = Route::all().map(Route::label).collect::<Vec<_>>().join(", ");
            return Err(Refusal::field("routes", format!("there is no route `{route}`; there are: {known}")));
        }
        Ok(Self(Box::new(move |decided| {
            set(&mut decided.enabled, patch.enabled);
            set(&mut decided.order, patch.order);
            set(&mut decided.mode, mode);
            set(&mut decided.on_failure, on_failure);
            set(&mut decided.routes, patch.routes);
            set(&mut decided.groups, patch.groups);
            set(&mut decided.clients, patch.clients);
            set(&mut decided.models, patch.models);
            set(&mut decided.config, patch.config);
            if let Some(grants) = patch.grants {
                decided.grants = grants.into_iter().collect();
            }
            if let Some(http_out) = patch.http_out {
                decided.http_out = http_out;
            }
            for (name, text) in patch.secrets {
                match text {
                    Some(text) => decided.secrets.insert(name, text),
                    None => decided.secrets.remove(&name),
                };
            }
            if let Some(raised) = patch.raised {
                decided.raised = raised;
            }
        })))
    }

    fn apply(self, decided: &mut Placement) {
        (self.0)(decided);
    }
}

fn set<T>(field: &mut Option<T>, patched: Option<Option<T>>) {
    if let Some(value) = patched {
        *field = value;
    }
}

fn is_route(name: &str) -> bool {
    Route::all().any(|route| route.label() == name)
}

/// A word as manifests write it.
fn word<T: DeserializeOwned>(
    field: &str,
    given: Option<Option<String>>,
    words: &str,
) -> Result<Option<Option<T>>, Refusal> {
    match given {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(text)) => serde_json::from_value(serde_json::Value::from(text.as_str()))
            .map(|value| Some(Some(value)))
            .map_err(|_| Refusal::field(field, format!("one of: {words}; not `{text}`"))),
    }
}
