//! Made-up accounts in every format, and texts that are none.

mod formats;
mod hostile;
mod lists;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::Timestamp;
use serde_json::{Value, json};

use super::{Format, Found, ImportItem, Unusable, read};

/// When these tests read.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// When their tokens end.
pub(super) const ENDS: i64 = 1_900_000_000;

pub(super) fn jwt(claims: &Value) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The access token of a seat.
pub(super) fn access(workspace: &str, user: &str) -> String {
    jwt(&json!({
        "exp": ENDS,
        "https://api.openai.com/auth":
            { "chatgpt_account_id": workspace, "chatgpt_user_id": user, "chatgpt_plan_type": "plus" },
        "https://api.openai.com/profile": { "email": format!("{user}@example.test") },
    }))
}

/// The id token of a seat.
pub(super) fn id(workspace: &str, user: &str) -> String {
    jwt(&json!({
        "email": format!("{user}@example.test"),
        "https://api.openai.com/auth":
            { "chatgpt_account_id": workspace, "chatgpt_user_id": user, "chatgpt_plan_type": "plus" },
    }))
}

pub(super) fn items(text: &str, format: Format) -> Vec<ImportItem> {
    read(text, format, None, NOW).unwrap()
}

pub(super) fn only(value: &Value) -> Result<Found, Unusable> {
    let mut items = items(&value.to_string(), Format::Auto);
    assert_eq!(items.len(), 1, "{value}");
    items.remove(0).found
}

/// The one account in a text, in short: kind, seat, name, which tokens.
pub(super) fn gist(item: &ImportItem) -> String {
    let name = item.name.as_deref().unwrap_or("-");
    match &item.found {
        Err(reason) => format!("{} {name}: {reason}", item.place),
        Ok(found) => {
            let credentials = &found.sign_in.credentials;
            let mut tokens = String::new();
            tokens.push_str(if credentials.access_token.expose().is_empty() { "" } else { "a" });
            tokens.push_str(if credentials.refresh_token.is_none() { "" } else { "r" });
            tokens.push_str(if credentials.id_token.is_none() { "" } else { "i" });
            let seat = found.sign_in.identity.seat().unwrap_or_else(|| "-".to_owned());
            format!("{} {name}: {} {seat} {tokens}", item.place, found.kind.as_str())
        }
    }
}

pub(super) fn gists(text: &str) -> Vec<String> {
    items(text, Format::Auto).iter().map(gist).collect()
}
