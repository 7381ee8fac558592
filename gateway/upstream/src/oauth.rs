//! The OAuth issuer: spending a refresh token (facts: codex-lb 1.6, clients 2.5).
//!
//! A rotation is never repeated here: once the request may have reached the issuer, the token may be spent.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::{IssuedTokens, TokenIssuer, TokenIssuerError};
use gateway_domain::Secret;
use gateway_protocol::codex::dead_token_code;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{BuildError, SMALL_QUESTION_TIME, client, join, read_small};

/// The public client id that Codex signs in with.
const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
/// What a rotation asks for.
const SCOPE: &str = "openid profile email";

/// Asks the OAuth issuer.
pub struct OAuthIssuer {
    client: reqwest::Client,
    token_url: Url,
}

#[derive(Serialize)]
struct RotateRequest<'a> {
    grant_type: &'a str,
    client_id: &'a str,
    refresh_token: &'a str,
    scope: &'a str,
}

#[derive(Deserialize)]
struct RotateAnswer {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl OAuthIssuer {
    /// For an issuer at `base` (`https://auth.openai.com` unless configured otherwise).
    ///
    /// # Errors
    /// The base is no URL, or the HTTP client cannot be set up.
    pub fn new(base: &str) -> Result<Self, BuildError> {
        Ok(Self { client: client()?, token_url: join(base, "oauth/token")? })
    }

    async fn spend(&self, refresh_token: Secret) -> Result<IssuedTokens, TokenIssuerError> {
        let passing = |why: String| TokenIssuerError::Passing(why);
        let request = RotateRequest {
            grant_type: "refresh_token",
            client_id: CLIENT_ID,
            refresh_token: refresh_token.expose(),
            scope: SCOPE,
        };
        let body = serde_json::to_vec(&request).map_err(|error| passing(error.to_string()))?;
        let asking = async {
            let response = self
                .client
                .post(self.token_url.clone())
                .header("content-type", "application/json")
                .header("accept", "application/json")
                .body(body)
                .send()
                .await
                .map_err(|error| passing(error.without_url().to_string()))?;
            let status = response.status().as_u16();
            Ok((status, read_small(response).await.map_err(passing)?))
        };
        let answered = tokio::time::timeout(SMALL_QUESTION_TIME, asking).await;
        let (status, body) = answered.map_err(|_| passing("no answer in time".to_owned()))??;
        if status != 200 {
            return Err(refusal(status, &body));
        }
        let answer: RotateAnswer = serde_json::from_slice(&body)
            .map_err(|_| passing("the issuer answered something else than tokens".to_owned()))?;
        let present = |token: Option<String>| token.filter(|token| !token.is_empty()).map(Secret::new);
        Ok(IssuedTokens {
            access_token: Secret::new(answer.access_token),
            refresh_token: present(answer.refresh_token),
            id_token: present(answer.id_token),
            expires_in: answer.expires_in.filter(|secs| *secs > 0),
        })
    }
}

impl TokenIssuer for OAuthIssuer {
    fn rotate(&self, refresh_token: Secret) -> BoxFuture<'_, Result<IssuedTokens, TokenIssuerError>> {
        self.spend(refresh_token).boxed()
    }
}

/// Three shapes occur: `{"error":{"code"}}`, `{"error":"code"}`, `{"code"|"error_code"}`.
fn refusal(status: u16, body: &Bytes) -> TokenIssuerError {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = ["/error/code", "/error/type", "/error", "/code", "/error_code"]
        .into_iter()
        .find_map(|place| value.pointer(place).and_then(serde_json::Value::as_str))
        .map(str::to_lowercase);
    match code {
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
            (r#"{"error":{"code":"rate_limited"}}"#, None),
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
