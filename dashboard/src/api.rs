//! Calls of the admin API, one function each. The cookie is the browser's business; the header that other origins
//! cannot set is ours. What an answer means is decided in `logic::answer`.

use gateway_api::{
    ADMIN_PREFIX, AccountDetail, AccountPatch, CSRF_HEADER, ClientKeyCreate, ClientKeyCreated, ClientKeyView,
    Credentials, DecisionSummary, DecisionView, ImportAccounts, ImportResult, Overview, PolicyChoice,
    PolicyView, SessionView,
};
use leptos::prelude::window;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::logic::answer::{self, Problem, path_part};

/// Longer than any admin call takes; shorter than patience.
const TIMEOUT_MS: u32 = 20_000;

/// Where the visitor stands.
pub(crate) async fn session() -> Result<SessionView, Problem> {
    get("/session").await
}

/// Sets the password at the first visit.
pub(crate) async fn setup(password: String) -> Result<SessionView, Problem> {
    send("POST", "/setup", &Credentials { password }).await
}

/// Signs in.
pub(crate) async fn login(password: String) -> Result<SessionView, Problem> {
    send("POST", "/login", &Credentials { password }).await
}

/// Signs out.
pub(crate) async fn logout() -> Result<SessionView, Problem> {
    let (status, body) = fetch("POST", "/logout", None).await?;
    answer::value(status, &body)
}

/// Everything the overview shows.
pub(crate) async fn overview() -> Result<Overview, Problem> {
    get("/overview").await
}

/// One account.
pub(crate) async fn account(id: &str) -> Result<AccountDetail, Problem> {
    get(&format!("/accounts/{}", path_part(id))).await
}

/// Adds an account from the text of an `auth.json`.
pub(crate) async fn import(request: &ImportAccounts) -> Result<ImportResult, Problem> {
    send("POST", "/accounts", request).await
}

/// Renames, pauses or resumes an account.
pub(crate) async fn patch_account(id: &str, patch: &AccountPatch) -> Result<AccountDetail, Problem> {
    send("PATCH", &format!("/accounts/{}", path_part(id)), patch).await
}

/// Deletes an account.
pub(crate) async fn delete_account(id: &str) -> Result<(), Problem> {
    delete(&format!("/accounts/{}", path_part(id))).await
}

/// The newest decisions, of one account or of all.
pub(crate) async fn decisions(account: Option<&str>, limit: u32) -> Result<Vec<DecisionSummary>, Problem> {
    let account = account.map(|id| format!("&account={}", path_part(id))).unwrap_or_default();
    get(&format!("/decisions?limit={limit}{account}")).await
}

/// One decision, whole.
pub(crate) async fn decision(request_id: &str) -> Result<DecisionView, Problem> {
    get(&format!("/decisions/{}", path_part(request_id))).await
}

/// The policies that can be chosen.
pub(crate) async fn policies() -> Result<Vec<PolicyView>, Problem> {
    get("/policies").await
}

/// Lets another policy decide.
pub(crate) async fn choose_policy(id: String) -> Result<PolicyView, Problem> {
    send("PUT", "/policy", &PolicyChoice { id }).await
}

/// The keys handed out.
pub(crate) async fn keys() -> Result<Vec<ClientKeyView>, Problem> {
    get("/keys").await
}

/// Makes a key; the answer is the only place where it can be read.
pub(crate) async fn create_key(label: String) -> Result<ClientKeyCreated, Problem> {
    send("POST", "/keys", &ClientKeyCreate { label }).await
}

/// Takes a key back.
pub(crate) async fn revoke_key(id: &str) -> Result<(), Problem> {
    delete(&format!("/keys/{}", path_part(id))).await
}

async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    let (status, body) = fetch("GET", path, None).await?;
    answer::value(status, &body)
}

async fn send<T: DeserializeOwned>(method: &str, path: &str, body: &impl Serialize) -> Result<T, Problem> {
    let body = serde_json::to_string(body).map_err(|_| Problem::Garbled { status: 0 })?;
    let (status, body) = fetch(method, path, Some(body)).await?;
    answer::value(status, &body)
}

async fn delete(path: &str) -> Result<(), Problem> {
    let (status, body) = fetch("DELETE", path, None).await?;
    answer::succeed(status, &body)
}

async fn fetch(method: &str, path: &str, body: Option<String>) -> Result<(u16, String), Problem> {
    try_fetch(method, path, body).await.map_err(|_| Problem::Unreachable)
}

async fn try_fetch(method: &str, path: &str, body: Option<String>) -> Result<(u16, String), JsValue> {
    let headers = web_sys::Headers::new()?;
    headers.set("accept", "application/json")?;
    if method != "GET" {
        headers.set(CSRF_HEADER, "1")?;
    }
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    init.set_signal(Some(&web_sys::AbortSignal::timeout_with_u32(TIMEOUT_MS)));
    if let Some(body) = body {
        headers.set("content-type", "application/json")?;
        init.set_body(&JsValue::from_str(&body));
    }
    init.set_headers(&headers);
    let url = format!("{ADMIN_PREFIX}{path}");
    let request = web_sys::Request::new_with_str_and_init(&url, &init)?;
    let response: web_sys::Response =
        JsFuture::from(window().fetch_with_request(&request)).await?.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    Ok((response.status(), text.as_string().unwrap_or_default()))
}
