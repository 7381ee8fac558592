//! What an operator may decide about an account: the limits of every field, each refused with its name and reason.

use gateway_domain::{AccountKind, AccountSettings, Egress};
use http::{HeaderName, HeaderValue};

/// The longest note, in bytes.
pub const MAX_NOTES_BYTES: usize = 4_096;
/// The most groups, and the most tags.
pub const MAX_WORDS: usize = 32;
/// The longest group or tag, in characters.
pub const MAX_WORD_CHARS: usize = 64;
/// The largest weight.
pub const MAX_WEIGHT: f64 = 1_000.0;
/// The largest priority, and its negative is the smallest.
pub const MAX_PRIORITY: i32 = 1_000;
/// The most requests at once on one account.
pub const MAX_CONCURRENCY: u32 = 10_000;
/// The most models named.
pub const MAX_MODELS: usize = 256;
/// The most header overrides.
pub const MAX_HEADERS: usize = 32;
/// The longest header value, in bytes.
pub const MAX_HEADER_BYTES: usize = 8_192;
/// The longest address, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;

/// Headers that say how the bytes travel; overriding them breaks the request.
const NOT_OVERRIDABLE: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"];

/// A field that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadSetting {
    /// Which.
    pub field: &'static str,
    /// Why, and what would do.
    pub why: String,
}

fn bad(field: &'static str, why: impl Into<String>) -> Result<(), BadSetting> {
    Err(BadSetting { field, why: why.into() })
}

/// Checks everything that an operator decided about an account of this kind.
///
/// # Errors
/// The first field that cannot be taken.
pub fn check(kind: AccountKind, settings: &AccountSettings) -> Result<(), BadSetting> {
    if settings.notes.len() > MAX_NOTES_BYTES {
        return bad("notes", format!("a note has at most {MAX_NOTES_BYTES} bytes"));
    }
    words("groups", settings.groups.iter())?;
    words("tags", settings.tags.iter())?;
    if !(settings.weight > 0.0 && settings.weight <= MAX_WEIGHT) {
        return bad("weight", format!("a weight is above 0 and at most {MAX_WEIGHT}"));
    }
    if settings.priority.abs() > MAX_PRIORITY {
        return bad("priority", format!("a priority lies between -{MAX_PRIORITY} and {MAX_PRIORITY}"));
    }
    if settings.max_concurrency.is_some_and(|most| most == 0 || most > MAX_CONCURRENCY) {
        return bad(
            "max_concurrency",
            format!("1 to {MAX_CONCURRENCY} requests at once; pause the account for none"),
        );
    }
    if settings.allowed_models.len() > MAX_MODELS {
        return bad("allowed_models", format!("at most {MAX_MODELS} models; a trailing * stands for many"));
    }
    for model in &settings.allowed_models {
        if model.trim().is_empty() || model.chars().any(char::is_control) {
            return bad("allowed_models", "a model's name is not empty and has no control characters");
        }
    }
    headers(settings)?;
    address(kind, settings)?;
    if let Egress::Proxy { proxy } = &settings.egress
        && proxy.as_str().is_empty()
    {
        return bad("egress", "name a proxy");
    }
    if settings.co_owned.is_some() && kind != AccountKind::Codex {
        return bad("co_owned", "only a ChatGPT sign-in can be shared with a Codex CLI");
    }
    Ok(())
}

/// Checks groups or tags.
pub(crate) fn words<'a>(
    field: &'static str,
    words: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), BadSetting> {
    if words.len() > MAX_WORDS {
        return bad(field, format!("at most {MAX_WORDS} {field}"));
    }
    for word in words {
        let length = word.chars().count();
        if word.trim() != word || length == 0 || length > MAX_WORD_CHARS || word.chars().any(char::is_control)
        {
            return bad(
                field,
                format!("{field} have 1 to {MAX_WORD_CHARS} characters and no spaces around them"),
            );
        }
    }
    Ok(())
}

fn headers(settings: &AccountSettings) -> Result<(), BadSetting> {
    if settings.headers.len() > MAX_HEADERS {
        return bad("headers", format!("at most {MAX_HEADERS} headers"));
    }
    for (name, value) in &settings.headers {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return bad("headers", format!("`{}` is no header name", name.escape_default()));
        };
        if NOT_OVERRIDABLE.contains(&parsed.as_str()) {
            return bad("headers", format!("`{parsed}` is set by the transport; leave it out"));
        }
        if value.expose().len() > MAX_HEADER_BYTES || HeaderValue::from_str(value.expose()).is_err() {
            return bad("headers", format!("the value of `{parsed}` cannot be sent in a header"));
        }
    }
    Ok(())
}

fn address(kind: AccountKind, settings: &AccountSettings) -> Result<(), BadSetting> {
    let needed = matches!(kind, AccountKind::OpenAiCompatible | AccountKind::Gateway);
    let Some(url) = settings.base_url.as_deref() else {
        return if needed {
            bad("base_url", "this kind of account needs its server's address")
        } else {
            Ok(())
        };
    };
    if kind == AccountKind::Codex {
        return bad("base_url", "ChatGPT accounts go to the configured backend (`upstream.chatgpt_url`)");
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let good = host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && url.len() <= MAX_URL_BYTES
        && !url.chars().any(|c| c.is_control() || c.is_whitespace());
    if good {
        Ok(())
    } else {
        bad("base_url", "an address begins with http:// or https://, names a host, and carries no password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Secret;

    #[test]
    fn the_table() {
        type Change = fn(&mut AccountSettings);
        let codex = AccountKind::Codex;
        let compatible = AccountKind::OpenAiCompatible;
        let cases: &[(AccountKind, Change, Option<&str>)] = &[
            (codex, |_| {}, None),
            (codex, |s| s.weight = 0.0, Some("weight")),
            (codex, |s| s.weight = f64::NAN, Some("weight")),
            (codex, |s| s.weight = 2.5, None),
            (codex, |s| s.priority = i32::MAX, Some("priority")),
            (codex, |s| s.max_concurrency = Some(0), Some("max_concurrency")),
            (codex, |s| s.max_concurrency = Some(3), None),
            (codex, |s| s.groups = [" eu".to_owned()].into(), Some("groups")),
            (codex, |s| s.tags = ["a\nb".to_owned()].into(), Some("tags")),
            (codex, |s| s.notes = "x".repeat(MAX_NOTES_BYTES + 1), Some("notes")),
            (codex, |s| drop(s.headers.insert("Host".into(), Secret::from("x"))), Some("headers")),
            (codex, |s| drop(s.headers.insert("x-a".into(), Secret::from("a\nb"))), Some("headers")),
            (codex, |s| drop(s.headers.insert("x-a".into(), Secret::from("b"))), None),
            (codex, |s| s.base_url = Some("https://x".into()), Some("base_url")),
            (compatible, |_| {}, Some("base_url")),
            (compatible, |s| s.base_url = Some("http://127.0.0.1:11434/v1".into()), None),
            (compatible, |s| s.base_url = Some("ftp://x".into()), Some("base_url")),
            (compatible, |s| s.base_url = Some("https://a:b@x/".into()), Some("base_url")),
            (compatible, |s| s.base_url = Some("https://".into()), Some("base_url")),
            (AccountKind::Anthropic, |s| s.co_owned = Some("/x".into()), Some("co_owned")),
        ];
        for (at, (kind, change, field)) in cases.iter().enumerate() {
            let mut settings = AccountSettings::default();
            change(&mut settings);
            assert_eq!(check(*kind, &settings).err().map(|error| error.field), *field, "case {at}");
        }
    }
}
