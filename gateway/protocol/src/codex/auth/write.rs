//! Writing an `auth.json` that the Codex CLI reads. Refuses: files; the caller has the place and the permissions.

use gateway_domain::{Account, AccountKind, Credentials, Secret, Timestamp};
use serde_json::{Value, json};

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

/// The same `auth.json` with other tokens in it; everything else that it holds is kept. `None` when the text is no
/// sign-in with nested tokens, as the Codex CLI writes it.
#[must_use]
pub fn renew_auth_json(text: &str, credentials: &Credentials) -> Option<Secret> {
    let mut file: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let tokens = file.get_mut("tokens")?.as_object_mut()?;
    tokens.insert("access_token".to_owned(), json!(credentials.access_token.expose()));
    if let Some(refresh) = &credentials.refresh_token {
        tokens.insert("refresh_token".to_owned(), json!(refresh.expose()));
    }
    if let Some(id) = &credentials.id_token {
        tokens.insert("id_token".to_owned(), json!(id.expose()));
    }
    let refreshed = rfc3339(credentials.refreshed_at)?;
    file.as_object_mut()?.insert("last_refresh".to_owned(), json!(refreshed));
    Some(Secret::new(format!("{file:#}\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_in_place_and_the_rest_stays() {
        let text = r#"{"auth_mode":"chatgpt","x":{"y":[1.50]},"tokens":{"access_token":"a","refresh_token":"r","id_token":"i","account_id":"w"},"last_refresh":"2026-01-01T00:00:00Z"}"#;
        let new = Credentials {
            access_token: Secret::from("a2"),
            refresh_token: Some(Secret::from("r2")),
            id_token: None,
            expires_at: None,
            refreshed_at: Timestamp::from_secs(1_767_312_000),
        };
        let renewed = renew_auth_json(text, &new).unwrap();
        let file: Value = serde_json::from_str(renewed.expose()).unwrap();
        let tokens =
            json!({ "access_token": "a2", "refresh_token": "r2", "id_token": "i", "account_id": "w" });
        assert_eq!((&file["tokens"], &file["x"]), (&tokens, &json!({ "y": [1.5] })));
        assert_eq!(file["last_refresh"], "2026-01-02T00:00:00Z");
        for other in ["", "[]", "{}", r#"{"tokens":7}"#, r#"{"access_token":"flat"}"#] {
            assert_eq!(renew_auth_json(other, &new), None, "{other}");
        }
    }
}
