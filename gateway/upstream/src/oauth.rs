//! The OAuth issuer's token endpoint: spending a refresh token, exchanging a code (facts: codex-lb 1.6, clients 2.5).
//!
//! Neither is ever repeated here: once the request may have reached the issuer, the token or the code may be spent.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::{Clock, IssuedTokens, TokenIssuer, TokenIssuerError, Way};
use gateway_domain::Secret;
use gateway_protocol::codex::dead_token_code;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use crate::address::{Address, Base};
use crate::clients::{Clients, Outgoing};
use crate::{BuildError, headers};

/// The public client id that Codex signs in with.
pub(crate) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
/// What a rotation asks for.
const SCOPE: &str = "openid profile email";

/// Asks the OAuth issuer.
pub struct OAuthIssuer {
    pub(crate) clients: Arc<Clients>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) base: Base,
    pub(crate) token: Address,
    pub(crate) user_code: Address,
    pub(crate) device_token: Address,
}

#[derive(Serialize)]
struct RotateRequest<'a> {
    grant_type: &'a str,
    client_id: &'a str,
    refresh_token: &'a str,
    scope: &'a str,
}

/// The tokens as the issuer gives them.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    pub(crate) access_token: String,
    #[serde(default)]
    pub(crate) refresh_token: Option<String>,
    #[serde(default)]
    pub(crate) id_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl From<TokenAnswer> for IssuedTokens {
    fn from(answer: TokenAnswer) -> Self {
        let present = |token: Option<String>| token.filter(|token| !token.is_empty()).map(Secret::new);
        Self {
            access_token: Secret::new(answer.access_token),
            refresh_token: present(answer.refresh_token),
            id_token: present(answer.id_token),
            expires_in: answer.expires_in.filter(|secs| *secs > 0),
        }
    }
}

impl OAuthIssuer {
    /// For an issuer at `base` (`https://auth.openai.com` unless configured otherwise).
    ///
    /// # Errors
    /// The base is no URL that can be asked.
    pub fn new(base: &str, clients: Arc<Clients>, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let base = Base::parse(base)?;
        Ok(Self {
            clients,
            clock,
            token: base.at("oauth/token")?,
            user_code: base.at("api/accounts/deviceauth/usercode")?,
            device_token: base.at("api/accounts/deviceauth/token")?,
            base,
        })
    }

    async fn spend(&self, refresh_token: Secret, way: Way) -> Result<IssuedTokens, TokenIssuerError> {
        let passing = |why: String| TokenIssuerError::Passing(why);
        let request = RotateRequest {
            grant_type: "refresh_token",
            client_id: CLIENT_ID,
            refresh_token: refresh_token.expose(),
            scope: SCOPE,
        };
        let body = serde_json::to_vec(&request).map_err(|error| passing(error.to_string()))?;
        let (status, body) = self.post(&way, &self.token, JSON, body.into()).await.map_err(passing)?;
        if status != 200 {
            return Err(refusal(status, &body));
        }
        let answer: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| passing("the issuer answered something else than tokens".to_owned()))?;
        if answer.access_token.is_empty() {
            return Err(passing("the issuer answered without an access token".to_owned()));
        }
        Ok(answer.into())
    }

    /// Posts once and reads the whole answer.
    pub(crate) async fn post(
        &self,
        way: &Way,
        address: &Address,
        content_type: HeaderValue,
        body: Bytes,
    ) -> Result<(u16, Bytes), String> {
        let mut headers = headers::for_nobody();
        headers.insert(CONTENT_TYPE, content_type);
        let answered = self.clients.ask(way, address, Outgoing::post(headers, body)).await;
        answered.map(|(status, body)| (status.as_u16(), body)).map_err(|failure| failure.message)
    }
}

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl TokenIssuer for OAuthIssuer {
    fn rotate(
        &self,
        refresh_token: Secret,
        way: Way,
    ) -> BoxFuture<'_, Result<IssuedTokens, TokenIssuerError>> {
        self.spend(refresh_token, way).boxed()
    }
}

/// The code of an error answer, lower case: `{"error":{"code"}}`, `{"error":"code"}`, `{"code"|"error_code"}`.
pub(crate) fn error_code(body: &Bytes) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    ["/error/code", "/error/type", "/error", "/code", "/error_code"]
        .into_iter()
        .find_map(|place| value.pointer(place).and_then(serde_json::Value::as_str))
        .map(str::to_lowercase)
}

fn refusal(status: u16, body: &Bytes) -> TokenIssuerError {
    match error_code(body) {
        Some(code) if dead_token_code(&code) => TokenIssuerError::Dead { code },
        Some(code) => TokenIssuerError::Passing(format!("status {status}, {code}")),
        None => TokenIssuerError::Passing(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_and_passing_refusals_are_told_apart_in_every_shape() {
        for (body, dead) in [
            (r#"{"error":{"code":"refresh_token_reused","message":"x"}}"#, Some("refresh_token_reused")),
            (r#"{"error":"invalid_grant","error_description":"x"}"#, Some("invalid_grant")),
            (r#"{"code":"app_session_terminated"}"#, Some("app_session_terminated")),
            (r#"{"error_code":"TOKEN_INVALIDATED"}"#, Some("token_invalidated")),
            (r#"{"error":{"code":"rate_limited"}}"#, None),
            (r#"{"error":{"code":null}}"#, None),
            ("<html>", None),
            ("", None),
        ] {
            let got = match refusal(400, &Bytes::from(body)) {
                TokenIssuerError::Dead { code } => Some(code),
                TokenIssuerError::Passing(_) => None,
            };
            assert_eq!(got.as_deref(), dead, "{body}");
        }
    }
}
