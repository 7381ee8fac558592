//! The issuer: the authorize page, the device flow, and `POST /oauth/token`, which trades refresh tokens and codes, in
//! JSON and in form bodies. The person at the browser agrees at once, unless the handle says otherwise.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::config::CLIENT_ID;
use crate::errors;
use crate::exchange::{Answer, AnswerBody, Arrived};
use crate::form;
use crate::lab::Lab;
use crate::sign_in::{DEVICE_LIFE, DeviceReply};
use crate::tokens::{Lifetime, RefreshFailure, TokenSet};

/// The account whose refresh token is presented, so that rules can name it.
pub(crate) fn owner(lab: &Lab, arrived: &Arrived) -> Option<usize> {
    let token = arrived.fields().remove("refresh_token")?;
    lab.shared().tokens.lock().owner(&token)
}

/// The trade.
pub(super) fn token(lab: &Lab, arrived: &Arrived) -> Answer {
    let fields = arrived.fields();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let refuse = |row| Answer::error(&row, lab.clock().now());
    let trade = match field("grant_type") {
        "refresh_token" => by_refresh,
        "authorization_code" => by_code,
        _ => return refuse(errors::UNSUPPORTED_GRANT),
    };
    if field("client_id") != CLIENT_ID {
        return refuse(errors::INVALID_CLIENT);
    }
    match trade(lab, &field) {
        Ok(tokens) => given(&tokens),
        Err(row) => refuse(row),
    }
}

fn by_refresh<'a>(lab: &Lab, field: &dyn Fn(&str) -> &'a str) -> Result<TokenSet, errors::ErrorBody> {
    let rotated = lab.shared().tokens.lock().rotate(field("refresh_token"), lab.clock().now_ms());
    rotated.map_err(|failure| match failure {
        RefreshFailure::Unknown => errors::INVALID_GRANT,
        RefreshFailure::Reused => errors::REFRESH_TOKEN_REUSED,
        RefreshFailure::Expired => errors::REFRESH_TOKEN_EXPIRED,
        RefreshFailure::Revoked => errors::REFRESH_TOKEN_INVALIDATED,
    })
}

fn by_code<'a>(lab: &Lab, field: &dyn Fn(&str) -> &'a str) -> Result<TokenSet, errors::ErrorBody> {
    let now = lab.clock().now();
    let (code, verifier) = (field("code"), field("code_verifier"));
    let traded = lab.shared().sign_ins.lock().trade(code, verifier, field("redirect_uri"), now);
    let account = traded.ok_or(errors::INVALID_GRANT)?;
    lab.login(account, Lifetime::Normal).ok_or(errors::INVALID_GRANT)
}

fn given(tokens: &TokenSet) -> Answer {
    Answer::json(
        StatusCode::OK,
        &json!({
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "id_token": tokens.id_token,
            "expires_in": tokens.expires_in,
            "token_type": "Bearer",
            "scope": "openid profile email offline_access",
        }),
    )
}

/// `GET /oauth/authorize`: the browser goes back with a code, or with the person's no.
pub(super) fn authorize(lab: &Lab, arrived: &Arrived) -> Answer {
    let fields = form::fields(arrived.parts.uri.query().unwrap_or_default());
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let wrong = |what: &str| {
        let body = json!({"error": "invalid_request", "error_description": what});
        Answer::json(StatusCode::BAD_REQUEST, &body)
    };
    if field("client_id") != CLIENT_ID {
        return Answer::error(&errors::INVALID_CLIENT, lab.clock().now());
    }
    let (challenge, redirect_uri, state) = (field("code_challenge"), field("redirect_uri"), field("state"));
    if field("response_type") != "code" || field("code_challenge_method") != "S256" {
        return wrong("response_type must be code and code_challenge_method S256");
    }
    if challenge.len() != 43 || state.is_empty() || !redirect_uri.starts_with("http") {
        return wrong("code_challenge, state and redirect_uri are required");
    }
    if !field("scope").split(' ').any(|scope| scope == "offline_access") {
        return wrong("without offline_access there is no refresh token");
    }
    let mut sign_ins = lab.shared().sign_ins.lock();
    let answer = if sign_ins.denies {
        "error=access_denied".to_owned()
    } else {
        let account = sign_ins.account;
        format!(
            "code={}",
            form::encode(&sign_ins.authorize(account, challenge, redirect_uri, lab.clock().now()))
        )
    };
    let joint = if redirect_uri.contains('?') { '&' } else { '?' };
    let location = format!("{redirect_uri}{joint}{answer}&state={}", form::encode(state));
    let mut response = Answer::json(StatusCode::FOUND, &Value::Null).with("location", &location);
    response.body = AnswerBody::Whole(bytes::Bytes::new());
    response
}

/// `POST /api/accounts/deviceauth/usercode`.
pub(super) fn device_code(lab: &Lab, arrived: &Arrived) -> Answer {
    let (config, now) = (&lab.shared().config, lab.clock().now());
    if !config.device_flow {
        return Answer::error(&errors::NOT_FOUND, now);
    }
    if arrived.fields().get("client_id").map(String::as_str) != Some(CLIENT_ID) {
        return Answer::error(&errors::INVALID_CLIENT, now);
    }
    let (device_auth_id, user_code) = lab.shared().sign_ins.lock().begin_device(config.seed, now);
    // The real one writes the interval as text.
    let body = json!({
        "device_auth_id": device_auth_id,
        "user_code": user_code,
        "interval": config.device_interval.to_string(),
        "expires_in": DEVICE_LIFE,
    });
    Answer::json(StatusCode::OK, &body)
}

/// `POST /api/accounts/deviceauth/token`.
pub(super) fn device_token(lab: &Lab, arrived: &Arrived) -> Answer {
    let fields = arrived.fields();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (config, now) = (&lab.shared().config, lab.clock().now());
    let strict = config.device_slow_down.then_some(config.device_interval);
    let reply = lab.shared().sign_ins.lock().poll(field("device_auth_id"), field("user_code"), strict, now);
    let coded = |status: StatusCode, code: &str| Answer::json(status, &json!({"error": {"code": code}}));
    match reply {
        DeviceReply::Unknown => coded(StatusCode::NOT_FOUND, "deviceauth_authorization_unknown"),
        DeviceReply::Pending => coded(StatusCode::FORBIDDEN, "deviceauth_authorization_unknown"),
        DeviceReply::SlowDown => coded(StatusCode::BAD_REQUEST, "slow_down"),
        DeviceReply::Expired => coded(StatusCode::BAD_REQUEST, "expired_token"),
        DeviceReply::Denied => coded(StatusCode::FORBIDDEN, "access_denied"),
        DeviceReply::Confirmed { code, verifier } => {
            Answer::json(StatusCode::OK, &json!({"authorization_code": code, "code_verifier": verifier}))
        }
    }
}

/// `GET /codex/device`: where a person would type the code. Here it is pressed.
pub(super) fn device_page(lab: &Lab, _: &Arrived) -> Answer {
    let waiting = lab.waiting_devices();
    let mut page = String::from("<!doctype html><title>Switchyard lab</title><h1>Device sign-in</h1>");
    if waiting.is_empty() {
        page.push_str("<p>No device is waiting.</p>");
    }
    for code in waiting {
        for (index, account) in lab.accounts().enumerate() {
            page.push_str(&format!(
                "<form method=post action=\"/lab/devices/{code}/confirm?account={index}\"><button>{code}: sign in as {}</button></form>",
                account.email
            ));
        }
    }
    let mut answer = Answer::json(StatusCode::OK, &Value::Null);
    answer.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer.body = AnswerBody::Whole(page.into());
    answer
}
