//! `POST /oauth/token`: trades refresh tokens, in JSON and in form bodies.
//! Refuses every other grant; logins happen through the handle.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::config::CLIENT_ID;
use crate::errors;
use crate::exchange::{Answer, Arrived};
use crate::lab::Lab;
use crate::tokens::RefreshFailure;

/// The account whose refresh token is presented, so that rules can name it.
pub(crate) fn owner(lab: &Lab, arrived: &Arrived) -> Option<usize> {
    let token = fields(arrived).remove("refresh_token")?;
    lab.shared().tokens.lock().owner(&token)
}

/// The trade.
pub(super) fn answer(lab: &Lab, arrived: &Arrived) -> Answer {
    let fields = fields(arrived);
    let field = |name: &str| fields.get(name).map(String::as_str);
    let refuse = |row| Answer::error(&row, lab.clock().now());
    if field("grant_type") != Some("refresh_token") {
        return refuse(errors::UNSUPPORTED_GRANT);
    }
    if field("client_id") != Some(CLIENT_ID) {
        return refuse(errors::INVALID_CLIENT);
    }
    let token = field("refresh_token").unwrap_or_default();
    let rotated = lab.shared().tokens.lock().rotate(token, lab.clock().now_ms());
    match rotated {
        Ok(tokens) => Answer::json(
            StatusCode::OK,
            &json!({
                "access_token": tokens.access_token,
                "refresh_token": tokens.refresh_token,
                "id_token": tokens.id_token,
                "expires_in": tokens.expires_in,
                "token_type": "Bearer",
                "scope": "openid profile email offline_access",
            }),
        ),
        Err(RefreshFailure::Unknown) => refuse(errors::INVALID_GRANT),
        Err(RefreshFailure::Reused) => refuse(errors::REFRESH_TOKEN_REUSED),
        Err(RefreshFailure::Expired) => refuse(errors::REFRESH_TOKEN_EXPIRED),
        Err(RefreshFailure::Revoked) => refuse(errors::REFRESH_TOKEN_INVALIDATED),
    }
}

/// Both body forms are in use: Codex sends JSON, most gateways a form.
fn fields(arrived: &Arrived) -> HashMap<String, String> {
    let is_json = arrived.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if is_json {
        let Ok(Value::Object(object)) = serde_json::from_slice(&arrived.body) else { return HashMap::new() };
        let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
        return object.into_iter().filter_map(text).collect();
    }
    let text = String::from_utf8_lossy(&arrived.body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (form_decode(key), form_decode(value))).collect()
}

fn form_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                if let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) {
                    out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::form_decode;

    #[test]
    fn form_values_are_decoded() {
        assert_eq!(form_decode("a+b%2Fc%c3%A9"), "a b/cé");
        assert_eq!(form_decode("plain.-_"), "plain.-_");
        assert_eq!(form_decode("cut%2"), "cut");
    }
}
