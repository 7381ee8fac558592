//! Writing an `auth.json` that the Codex CLI reads. Refuses: files; the caller has the place and the permissions.

use gateway_domain::{Account, AccountKind, Credentials, Secret, Timestamp};
use serde_json::json;

use super::is_jwt;

/// Why an account has no `auth.json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAuthJson {
    /// Codex cannot use such an account.
    #[error("an auth.json holds a ChatGPT sign-in or an OpenAI key; this account is `{0}`")]
    Kind(&'static str),
    /// It has only a refresh token so far, or none that Codex can read.
    #[error("the account has no token that the Codex CLI can read; use it once, so that it is renewed")]
    NoToken,
}

/// The `auth.json` of one account.
///
/// A refresh token is single use: whoever writes this file lets the Codex CLI rotate it away from the gateway.
///
/// # Errors
/// The account is not for Codex, or has no token that it reads.
pub fn write_auth_json(account: &Account, credentials: &Credentials) -> Result<Secret, NoAuthJson> {
    let access = credentials.access_token.expose();
    if access.is_empty() {
        return Err(NoAuthJson::NoToken);
    }
    let file = match account.kind {
        AccountKind::OpenAi => json!({ "auth_mode": "apikey", "OPENAI_API_KEY": access }),
        AccountKind::Codex => {
            // Codex does not start without an id token, and reads from it what an access token says as well.
            let id = credentials.id_token.as_ref().map_or(access, Secret::expose);
            if !is_jwt(id) {
                return Err(NoAuthJson::NoToken);
            }
            json!({
                "auth_mode": "chatgpt",
                "OPENAI_API_KEY": null,
                "tokens": {
                    "id_token": id,
                    "access_token": access,
                    "refresh_token": credentials.refresh_token.as_ref().map_or("", |token| token.expose()),
                    "account_id": account.identity.workspace_id,
                },
                "last_refresh": rfc3339(credentials.refreshed_at),
            })
        }
        other => return Err(NoAuthJson::Kind(other.as_str())),
    };
    Ok(Secret::new(format!("{file:#}\n")))
}

/// A time as Codex writes it; a time beyond all calendars is none.
fn rfc3339(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_millisecond(at.as_millis()).ok().map(|at| at.to_string())
}
