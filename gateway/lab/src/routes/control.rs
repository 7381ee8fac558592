//! The lab's own routes under `/lab`, for the demo and for tools in other processes.
//! Refuses nothing: whoever reaches a lab may do anything with it, so a lab listens on localhost only.

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use crate::errors::{API_ERROR_BODIES, ERROR_BODIES};
use crate::fault::FaultRule;
use crate::lab::Lab;

pub(super) fn router() -> Router<Lab> {
    Router::new()
        .route("/state", get(state))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/clock/advance", post(advance))
        .route("/accounts/{account}/auth.json", get(auth_json))
        .route("/sign-in", post(sign_in))
        .route("/devices/{user_code}/{decision}", post(decide_device))
}

/// Everything at a glance.
async fn state(State(lab): State<Lab>) -> Json<Value> {
    let accounts: Vec<Value> = lab
        .accounts()
        .enumerate()
        .map(|(index, account)| {
            json!({
                "index": index,
                "email": account.email,
                "workspace_id": account.workspace_id,
                "plan": account.plan,
                "windows": lab.windows(index),
                "tokens": lab.tokens(index),
                "stats": lab.stats(index),
            })
        })
        .collect();
    let names: Vec<&str> = ERROR_BODIES.iter().chain(API_ERROR_BODIES).map(|row| row.name).collect();
    Json(json!({
        "now": lab.clock().now(),
        "accounts": accounts,
        "waiting_devices": lab.waiting_devices(),
        "faults": lab.rules(),
        "connections": {"accepted": lab.connections_accepted(), "open": lab.connections_open()},
        "error_bodies": names,
    }))
}

async fn add_fault(State(lab): State<Lab>, rule: Result<Json<FaultRule>, JsonRejection>) -> Response {
    match rule {
        Ok(Json(rule)) => Json(json!({"id": lab.script(rule)})).into_response(),
        Err(rejection) => wrong(&rejection),
    }
}

async fn clear_faults(State(lab): State<Lab>) -> StatusCode {
    lab.clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

async fn advance(State(lab): State<Lab>, by: Result<Json<Advance>, JsonRejection>) -> Response {
    match by {
        Ok(Json(Advance { seconds })) => {
            lab.advance(Duration::from_secs(seconds));
            Json(json!({"now": lab.clock().now()})).into_response()
        }
        Err(rejection) => wrong(&rejection),
    }
}

/// A login as a file that Codex and `switchyard account import` read.
async fn auth_json(State(lab): State<Lab>, Path(account): Path<usize>) -> Response {
    match lab.issue_auth_json(account) {
        Some(auth) => Json(auth).into_response(),
        None => {
            let error = format!("there is no account {account}; GET /lab/state lists them");
            (StatusCode::NOT_FOUND, Json(json!({"error": error}))).into_response()
        }
    }
}

/// Who signs in at the browser next; nobody when `account` is null.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    account: Option<usize>,
}

async fn sign_in(State(lab): State<Lab>, who: Result<Json<SignIn>, JsonRejection>) -> Response {
    match who {
        Ok(Json(SignIn { account: Some(account) })) => lab.sign_in_as(account),
        Ok(Json(SignIn { account: None })) => lab.deny_sign_ins(),
        Err(rejection) => return wrong(&rejection),
    }
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Debug, Deserialize)]
struct Decider {
    #[serde(default)]
    account: usize,
}

/// A person types a device's user code and agrees (`confirm`) or refuses (`deny`).
async fn decide_device(
    State(lab): State<Lab>,
    Path((user_code, decision)): Path<(String, String)>,
    Query(Decider { account }): Query<Decider>,
) -> Response {
    let decided = match decision.as_str() {
        "confirm" => lab.confirm_device(&user_code, account),
        "deny" => lab.deny_device(&user_code),
        _ => false,
    };
    if decided {
        return Json(json!({"decided": decision})).into_response();
    }
    let error = format!("no device waits with code {user_code}, or {decision} is neither confirm nor deny");
    (StatusCode::NOT_FOUND, Json(json!({"error": error}))).into_response()
}

fn wrong(rejection: &JsonRejection) -> Response {
    (rejection.status(), Json(json!({"error": rejection.body_text()}))).into_response()
}
