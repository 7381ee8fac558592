//! Codex sign-ins: the `auth.json` file in its spellings, and the claims inside its tokens.
//!
//! Signatures are not checked: the tokens are ours to send, not to trust.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::{AccountIdentity, Credentials, Secret, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The claim that holds the workspace, the seat and the plan.
const AUTH_CLAIM: &str = "https://api.openai.com/auth";
/// The claim of access tokens that holds the e-mail address.
const PROFILE_CLAIM: &str = "https://api.openai.com/profile";
/// The largest `auth.json` taken, in bytes.
pub const MAX_AUTH_JSON_BYTES: usize = 256 * 1024;

/// Why a text is not a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Larger than any such file.
    #[error("the text is larger than {MAX_AUTH_JSON_BYTES} bytes; paste one auth.json")]
    TooLarge,
    /// Not JSON.
    #[error("the text is not JSON: {0}")]
    NotJson(String),
    /// No access token in it.
    #[error("no access token found; a Codex auth.json holds tokens.access_token")]
    NoAccessToken,
    /// A key sign-in, which is another kind of account.
    #[error(
        "this auth.json holds an API key, not a ChatGPT sign-in; run `codex login` and import its auth.json"
    )]
    ApiKeyOnly,
    /// Nothing in it says whose it is.
    #[error("the tokens name no workspace (chatgpt_account_id); sign in again with `codex login`")]
    NoIdentity,
}

/// What an `auth.json` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Whose it is.
    pub identity: AccountIdentity,
    /// The plan its token names.
    pub plan: Option<String>,
    /// The tokens.
    pub credentials: Credentials,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    tokens: Option<Tokens>,
    #[serde(flatten)]
    flat: Tokens,
    #[serde(default, rename = "OPENAI_API_KEY")]
    api_key: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tokens {
    #[serde(alias = "accessToken")]
    access_token: Option<String>,
    #[serde(alias = "refreshToken")]
    refresh_token: Option<String>,
    #[serde(alias = "idToken")]
    id_token: Option<String>,
    #[serde(alias = "accountId", alias = "chatgpt_account_id")]
    account_id: Option<String>,
}

/// Reads an `auth.json`, nested (`tokens: {..}`) or flat, in snake or camel case.
///
/// # Errors
/// The text is no sign-in; the error says what is missing.
pub fn read_auth_json(text: &str, now: Timestamp) -> Result<SignIn, AuthError> {
    if text.len() > MAX_AUTH_JSON_BYTES {
        return Err(AuthError::TooLarge);
    }
    let file: File = serde_json::from_str(text).map_err(|error| AuthError::NotJson(error.to_string()))?;
    let tokens = file.tokens.filter(|tokens| tokens.access_token.is_some()).unwrap_or(file.flat);
    let present = |token: Option<String>| token.filter(|token| !token.trim().is_empty());
    let Some(access_token) = present(tokens.access_token) else {
        return Err(if present(file.api_key).is_some() {
            AuthError::ApiKeyOnly
        } else {
            AuthError::NoAccessToken
        });
    };
    let id_token = present(tokens.id_token);
    let access = Claims::read(&access_token);
    let id = id_token.as_deref().map(Claims::read).unwrap_or_default();
    let identity = AccountIdentity {
        workspace_id: present(tokens.account_id)
            .or_else(|| id.auth("chatgpt_account_id"))
            .or_else(|| access.auth("chatgpt_account_id")),
        user_id: id.user().or_else(|| access.user()),
        email: id.email().or_else(|| access.email()),
    };
    if identity.workspace_id.is_none() && identity.email.is_none() {
        return Err(AuthError::NoIdentity);
    }
    Ok(SignIn {
        plan: id.auth("chatgpt_plan_type").or_else(|| access.auth("chatgpt_plan_type")),
        identity,
        credentials: Credentials {
            expires_at: access.expires_at(),
            access_token: Secret::new(access_token),
            refresh_token: present(tokens.refresh_token).map(Secret::new),
            id_token: id_token.map(Secret::new),
            refreshed_at: now,
        },
    })
}

/// When a token says that it ends.
#[must_use]
pub fn token_expiry(token: &Secret) -> Option<Timestamp> {
    Claims::read(token.expose()).expires_at()
}

/// The claims of a JWT; empty when it is none.
#[derive(Debug, Default)]
struct Claims(Value);

impl Claims {
    fn read(token: &str) -> Self {
        let claims = token
            .split('.')
            .nth(1)
            .and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self(claims.unwrap_or_default())
    }

    fn text(value: Option<&Value>) -> Option<String> {
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn auth(&self, name: &str) -> Option<String> {
        Self::text(self.0.get(AUTH_CLAIM).and_then(|auth| auth.get(name)))
            .or_else(|| Self::text(self.0.get(name)))
    }

    fn user(&self) -> Option<String> {
        self.auth("chatgpt_user_id")
            .or_else(|| self.auth("user_id"))
            .or_else(|| Self::text(self.0.get("sub")))
    }

    fn email(&self) -> Option<String> {
        Self::text(self.0.get("email"))
            .or_else(|| Self::text(self.0.get(PROFILE_CLAIM).and_then(|profile| profile.get("email"))))
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.0.get("exp").and_then(Value::as_i64).filter(|secs| *secs > 0).map(Timestamp::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwt(claims: &Value) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn tokens() -> (String, String) {
        let auth =
            json!({ "chatgpt_account_id": "ws-1", "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-1" });
        let access = jwt(&json!({ AUTH_CLAIM: auth, "exp": 2_000_000_000 }));
        let id = jwt(&json!({ AUTH_CLAIM: auth, "email": "one@example.test" }));
        (access, id)
    }

    fn read(value: &Value) -> Result<SignIn, AuthError> {
        read_auth_json(&value.to_string(), Timestamp::from_secs(1))
    }

    #[test]
    fn every_spelling_gives_the_same_sign_in() {
        let (access, id) = tokens();
        let nested = read(&json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00Z",
            "tokens": { "id_token": id, "access_token": access, "refresh_token": "rt", "account_id": "ws-1" } }))
        .unwrap();
        let flat = read(&json!({ "id_token": id, "access_token": access, "refresh_token": "rt" })).unwrap();
        let camel = read(&json!({ "tokens": { "idToken": id, "accessToken": access, "refreshToken": "rt", "accountId": "ws-1" } })).unwrap();
        assert_eq!(nested, flat);
        assert_eq!(nested, camel);
        assert_eq!(nested.identity.seat().unwrap(), "ws-1/user-1");
        assert_eq!(nested.plan.as_deref(), Some("plus"));
        assert_eq!(nested.credentials.expires_at, Some(Timestamp::from_secs(2_000_000_000)));
    }

    #[test]
    fn what_is_no_sign_in_says_what_to_do() {
        for (text, why) in [
            ("hello", "not JSON"),
            ("[]", "not JSON"),
            ("{}", "no access token"),
            (r#"{"tokens":{"access_token":" "}}"#, "no access token"),
            (r#"{"OPENAI_API_KEY":"sk-1","tokens":null}"#, "API key"),
            (r#"{"access_token":"opaque"}"#, "name no workspace"),
        ] {
            let error = read_auth_json(text, Timestamp::from_secs(1)).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
