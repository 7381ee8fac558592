//! Calls of the admin API, one function each. The cookie is the browser's business; the header that other origins
//! cannot set is ours. What an answer means is decided in `logic::answer`.

use gateway_api::{
    ADMIN_PREFIX, AccountDetail, AccountPatch, AccountTested, AccountView, AddKeyAccount, CSRF_HEADER,
    ClientKeyCreate, ClientKeyCreated, ClientKeyView, Credentials, DecisionSummary, DecisionView,
    ExportRequest, ImportReport, ImportRequest, KeyScopeView, MAX_ACCOUNTS_PAGE, Overview, PinView,
    PolicyChoice, PolicyView, ProxyPatch, ProxyTested, ProxyView, SessionView, SignInBegin, SignInCallback,
    SignInView,
};
use leptos::prelude::window;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::logic::answer::{self, Problem, path_part};

/// Longer than any admin call takes; shorter than patience.
const TIMEOUT_MS: u32 = 20_000;
/// The same for calls that wait for an upstream, or carry thousands of accounts.
const LONG_TIMEOUT_MS: u32 = 120_000;

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
    post("/logout", TIMEOUT_MS).await
}

/// Everything the overview shows.
pub(crate) async fn overview() -> Result<Overview, Problem> {
    get("/overview").await
}

/// All accounts, a page after the other.
pub(crate) async fn accounts() -> Result<Vec<AccountView>, Problem> {
    let mut all: Vec<AccountView> = Vec::new();
    loop {
        let path = format!("/accounts?offset={}&limit={MAX_ACCOUNTS_PAGE}", all.len());
        let page: Vec<AccountView> = get(&path).await?;
        let is_last = page.len() < MAX_ACCOUNTS_PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// One account.
pub(crate) async fn account(id: &str) -> Result<AccountDetail, Problem> {
    get(&format!("/accounts/{}", path_part(id))).await
}

/// Adds accounts from a text, or says what would come of it.
pub(crate) async fn import(request: &ImportRequest) -> Result<ImportReport, Problem> {
    send_long("/accounts/import", request).await
}

/// The text of an export. Tokens and all: it goes into a file and nowhere else.
pub(crate) async fn export(request: &ExportRequest) -> Result<String, Problem> {
    let (status, body) = fetch("POST", "/accounts/export", Some(json(request)?), LONG_TIMEOUT_MS).await?;
    answer::succeed(status, &body)?;
    Ok(body)
}

/// Adds an account that is opened by a key.
pub(crate) async fn add_key_account(request: &AddKeyAccount) -> Result<AccountDetail, Problem> {
    send("POST", "/accounts/keys", request).await
}

/// Looks at an account's upstream.
pub(crate) async fn test_account(id: &str) -> Result<AccountTested, Problem> {
    post(&format!("/accounts/{}/test", path_part(id)), LONG_TIMEOUT_MS).await
}

/// Rotates an account's tokens.
pub(crate) async fn refresh_account(id: &str) -> Result<AccountDetail, Problem> {
    post(&format!("/accounts/{}/refresh", path_part(id)), LONG_TIMEOUT_MS).await
}

/// Ends an account's cooldowns.
pub(crate) async fn clear_cooldowns(id: &str) -> Result<AccountDetail, Problem> {
    post(&format!("/accounts/{}/clear-cooldowns", path_part(id)), TIMEOUT_MS).await
}

/// Lets one account serve everything that it can, or none.
pub(crate) async fn pin(account: Option<String>) -> Result<PinView, Problem> {
    send("PUT", "/pin", &PinView { account }).await
}

/// All sign-ins that are under way or ended lately.
pub(crate) async fn sign_ins() -> Result<Vec<SignInView>, Problem> {
    get("/sign-ins").await
}

/// One sign-in. Where it is done, its account is in the pool from then on.
pub(crate) async fn sign_in(id: &str) -> Result<SignInView, Problem> {
    get(&format!("/sign-ins/{}", path_part(id))).await
}

/// Begins a sign-in.
pub(crate) async fn begin_sign_in(request: &SignInBegin) -> Result<SignInView, Problem> {
    send_long("/sign-ins", request).await
}

/// The address on which the browser ended.
pub(crate) async fn finish_sign_in(address: String) -> Result<SignInView, Problem> {
    send_long("/sign-ins/callback", &SignInCallback { address }).await
}

/// Calls a sign-in off.
pub(crate) async fn cancel_sign_in(id: &str) -> Result<SignInView, Problem> {
    let (status, body) = fetch("DELETE", &format!("/sign-ins/{}", path_part(id)), None, TIMEOUT_MS).await?;
    answer::value(status, &body)
}

/// The proxies that accounts leave through.
pub(crate) async fn proxies() -> Result<Vec<ProxyView>, Problem> {
    get("/proxies").await
}

/// Adds a proxy.
pub(crate) async fn add_proxy(request: &ProxyPatch) -> Result<ProxyView, Problem> {
    send("POST", "/proxies", request).await
}

/// Changes a proxy.
pub(crate) async fn patch_proxy(id: &str, patch: &ProxyPatch) -> Result<ProxyView, Problem> {
    send("PATCH", &format!("/proxies/{}", path_part(id)), patch).await
}

/// Removes a proxy.
pub(crate) async fn delete_proxy(id: &str) -> Result<(), Problem> {
    delete(&format!("/proxies/{}", path_part(id))).await
}

/// Tries a proxy.
pub(crate) async fn test_proxy(id: &str) -> Result<ProxyTested, Problem> {
    post(&format!("/proxies/{}/test", path_part(id)), LONG_TIMEOUT_MS).await
}

/// Renames, pauses or resumes an account, or changes its settings.
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
pub(crate) async fn create_key(label: String, scope: KeyScopeView) -> Result<ClientKeyCreated, Problem> {
    send("POST", "/keys", &ClientKeyCreate { label, scope }).await
}

/// Takes a key back.
pub(crate) async fn revoke_key(id: &str) -> Result<(), Problem> {
    delete(&format!("/keys/{}", path_part(id))).await
}

async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    let (status, body) = fetch("GET", path, None, TIMEOUT_MS).await?;
    answer::value(status, &body)
}

async fn send<T: DeserializeOwned>(method: &str, path: &str, body: &impl Serialize) -> Result<T, Problem> {
    let (status, body) = fetch(method, path, Some(json(body)?), TIMEOUT_MS).await?;
    answer::value(status, &body)
}

async fn send_long<T: DeserializeOwned>(path: &str, body: &impl Serialize) -> Result<T, Problem> {
    let (status, body) = fetch("POST", path, Some(json(body)?), LONG_TIMEOUT_MS).await?;
    answer::value(status, &body)
}

async fn post<T: DeserializeOwned>(path: &str, timeout_ms: u32) -> Result<T, Problem> {
    let (status, body) = fetch("POST", path, None, timeout_ms).await?;
    answer::value(status, &body)
}

async fn delete(path: &str) -> Result<(), Problem> {
    let (status, body) = fetch("DELETE", path, None, TIMEOUT_MS).await?;
    answer::succeed(status, &body)
}

fn json(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|_| Problem::Garbled { status: 0 })
}

async fn fetch(
    method: &str,
    path: &str,
    body: Option<String>,
    timeout_ms: u32,
) -> Result<(u16, String), Problem> {
    try_fetch(method, path, body, timeout_ms).await.map_err(|_| Problem::Unreachable)
}

async fn try_fetch(
    method: &str,
    path: &str,
    body: Option<String>,
    timeout_ms: u32,
) -> Result<(u16, String), JsValue> {
    let headers = web_sys::Headers::new()?;
    headers.set("accept", "application/json")?;
    if method != "GET" {
        headers.set(CSRF_HEADER, "1")?;
    }
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    init.set_signal(Some(&web_sys::AbortSignal::timeout_with_u32(timeout_ms)));
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
