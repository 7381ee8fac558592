//! One entry of JSON: the same few facts under the names that each tool gives them, and in the wrappers it puts around.

use gateway_domain::{AccountKind, Timestamp};
use serde_json::{Map, Value};

use super::item::{Format, Found, Unusable};
use super::text::{bare, key, usable, well_formed};
use crate::codex::auth::{TokenTexts, Told, sign_in};

type Object = Map<String, Value>;

/// Members that hold the tokens of the entry around them.
const WRAPPERS: &[&str] = &["tokens", "credentials", "auth", "auth_json", "authJson", "oauth", "token_data"];
/// How deep they are followed.
const MAX_WRAPPERS: usize = 3;

const ACCESS: &[&str] = &["access_token", "accessToken", "access"];
const REFRESH: &[&str] = &["refresh_token", "refreshToken", "refresh"];
const ID: &[&str] = &["id_token", "idToken"];
const KEY: &[&str] = &["OPENAI_API_KEY", "openai_api_key", "openaiApiKey", "api_key", "apiKey"];
const SESSION: &[&str] = &["session_token", "sessionToken"];
const WORKSPACE: &[&str] = &["chatgpt_account_id", "chatgptAccountId"];
const PERHAPS_WORKSPACE: &[&str] = &["account_id", "accountId", "workspace_id", "workspaceId"];
const USER: &[&str] = &["chatgpt_user_id", "chatgptUserId"];
const EMAIL: &[&str] = &["email"];
const PLAN: &[&str] = &["plan_type", "planType", "chatgpt_plan_type", "plan"];
const ENDS: &[&str] = &["expires_at", "expiresAt", "expired", "expires", "expiry"];
const RENEWED: &[&str] = &["last_refresh", "lastRefresh", "last_refresh_at", "lastRefreshAt"];
const NAME: &[&str] = &["alias", "name", "display_name", "displayName", "label"];
const ADDRESS: &[&str] = &["base_url", "baseUrl", "baseURL"];

/// How providers are called whose accounts are ours to use.
const OURS: &[&str] = &["openai", "codex", "chatgpt"];
const ANTHROPIC: &[&str] = &["anthropic", "claude"];
/// Providers that the same tools export and that we do not speak to.
const FOREIGN: &[&str] = &[
    "grok",
    "xai",
    "gemini",
    "gemini-cli",
    "google",
    "antigravity",
    "vertex",
    "qwen",
    "iflow",
    "kimi",
    "github-copilot",
];

/// Reads an object as one account.
///
/// # Errors
/// It holds none, or one that cannot be used.
pub(in crate::codex) fn read_object(object: &Object, now: Timestamp) -> Result<Found, Unusable> {
    read_entry(object, None, Format::Auto, now)
}

/// The same, when it may have stood under a key that names its provider.
pub(super) fn read_entry(
    object: &Object,
    under: Option<&str>,
    format: Format,
    now: Timestamp,
) -> Result<Found, Unusable> {
    let layers = layers(object);
    let provider = provider(&layers).or_else(|| under.map(str::to_lowercase).filter(|key| is_provider(key)));
    if provider.as_deref().is_some_and(|word| FOREIGN.contains(&word)) {
        return Err(Unusable::Unsupported(
            "this is an account of a provider that Switchyard does not speak to",
        ));
    }
    if layers.iter().any(is_agent_identity) {
        return Err(Unusable::Unsupported(
            "this is an agent identity (a signing key), which cannot be imported; sign in with `codex login`",
        ));
    }
    let anthropic = provider.as_deref().is_some_and(|word| ANTHROPIC.contains(&word));
    let by_key =
        first(&layers, &["auth_mode", "authMode"]).is_some_and(|mode| mode.eq_ignore_ascii_case("apikey"));
    let mut tokens = if by_key { TokenTexts::default() } else { tokens(&layers) };
    if format == Format::AccessTokens {
        tokens.refresh = None;
    }
    if tokens.access.is_some() || tokens.refresh.is_some() {
        if anthropic {
            return Err(Unusable::Unsupported(
                "this is a Claude sign-in; only Anthropic API keys can be added",
            ));
        }
        return oauth(&layers, tokens, format, now);
    }
    match key_text(&layers) {
        Some(key) if !matches!(format, Format::AccessTokens | Format::RefreshTokens) => {
            api_key(&layers, key, anthropic, now)
        }
        _ if first(&layers, SESSION).is_some() => Err(Unusable::Unsupported(
            "it holds only a session token of the ChatGPT page; sign in with `codex login`",
        )),
        _ => Err(Unusable::NoToken),
    }
}

fn oauth(layers: &[&Object], tokens: TokenTexts, format: Format, now: Timestamp) -> Result<Found, Unusable> {
    if format == Format::RefreshTokens && tokens.refresh.is_none() {
        return Err(Unusable::Mismatch("it holds no refresh token"));
    }
    for token in [&tokens.access, &tokens.refresh, &tokens.id].into_iter().flatten() {
        well_formed(token).map_err(Unusable::NotAToken)?;
    }
    usable(Found::new(AccountKind::Codex, sign_in(tokens, told(layers), now)))
}

fn api_key(layers: &[&Object], text: String, anthropic: bool, now: Timestamp) -> Result<Found, Unusable> {
    well_formed(&text).map_err(Unusable::NotAToken)?;
    let address = first(layers, ADDRESS);
    // A key with an address of its own is not judged by how it begins.
    let Some(address) = address.filter(|address| !is_public(address)) else {
        if anthropic {
            return Ok(Found::new(AccountKind::Anthropic, key(text, now)));
        }
        return match text.starts_with("sk-") && text.len() >= 16 {
            true => bare(&text, Format::Auto, now),
            false => Ok(Found::new(AccountKind::OpenAi, key(text, now))),
        };
    };
    if !(address.starts_with("http://") || address.starts_with("https://")) {
        return Err(Unusable::BadAddress);
    }
    let kind = if anthropic { AccountKind::Anthropic } else { AccountKind::OpenAiCompatible };
    let mut found = Found::new(kind, key(text, now));
    found.settings.base_url = Some(address.trim_end_matches('/').to_owned());
    Ok(found)
}

/// Whether an address is the one its provider has anyway.
fn is_public(address: &str) -> bool {
    let host = address.trim_start_matches("https://").split('/').next().unwrap_or_default();
    ["api.openai.com", "api.anthropic.com", "chatgpt.com"].contains(&host)
}

/// Whether an object holds tokens or a key, itself or in a wrapper.
pub(super) fn has_token(object: &Object) -> bool {
    let layers = layers(object);
    [ACCESS, REFRESH, SESSION].into_iter().any(|names| first(&layers, names).is_some())
        || key_text(&layers).is_some()
        || layers.iter().any(is_agent_identity)
}

/// What an entry is called.
pub(super) fn name(object: &Object) -> Option<String> {
    first(&[object], NAME)
}

/// Whether a word names a provider.
pub(super) fn is_provider(word: &str) -> bool {
    let word = word.to_lowercase();
    [OURS, ANTHROPIC, FOREIGN].into_iter().any(|words| words.contains(&word.as_str()))
}

/// The object and what is wrapped in it, the innermost last.
fn layers(object: &Object) -> Vec<&Object> {
    let mut layers = vec![object];
    while layers.len() <= MAX_WRAPPERS
        && let Some(inner) =
            layers.last().and_then(|layer| WRAPPERS.iter().find_map(|name| layer.get(*name)?.as_object()))
    {
        layers.push(inner);
    }
    layers
}

/// The tokens of one layer, the innermost that has any: tokens of two layers may be of two sign-ins.
fn tokens(layers: &[&Object]) -> TokenTexts {
    let of = |layer: &&Object| TokenTexts {
        access: member(layer, ACCESS),
        refresh: member(layer, REFRESH),
        id: member(layer, ID),
    };
    layers
        .iter()
        .rev()
        .map(of)
        .find(|tokens| tokens.access.is_some() || tokens.refresh.is_some())
        .unwrap_or_default()
}

/// What stands beside the tokens.
fn told(layers: &[&Object]) -> Told {
    let inside = |outer: &str, names: &[&str]| {
        layers.iter().find_map(|layer| member(layer.get(outer)?.as_object()?, names))
    };
    // Codex writes the workspace beside the tokens; elsewhere `account_id` may be a tool's own id.
    let beside = layers
        .iter()
        .zip(layers.iter().skip(1))
        .filter(|(outer, inner)| outer.get("tokens").and_then(Value::as_object) == Some(**inner))
        .find_map(|(_, tokens)| member(tokens, &["account_id", "accountId"]));
    Told {
        workspace: first(layers, WORKSPACE).or(beside),
        perhaps_workspace: first(layers, PERHAPS_WORKSPACE).or_else(|| inside("account", &["id"])),
        user: first(layers, USER),
        email: first(layers, EMAIL).or_else(|| inside("user", EMAIL)),
        plan: first(layers, PLAN).or_else(|| inside("account", PLAN)),
        expires_at: moment(layers, ENDS),
        renewed_at: moment(layers, RENEWED),
    }
}

/// An API key. `key` alone means one only where the entry says that it is an API's.
fn key_text(layers: &[&Object]) -> Option<String> {
    let by_type = |layer: &&Object| {
        member(layer, &["type"]).filter(|kind| kind == "api").and_then(|_| member(layer, &["key"]))
    };
    first(layers, KEY).or_else(|| layers.iter().find_map(by_type))
}

/// The first of these members that holds text, in any layer.
fn first(layers: &[&Object], names: &[&str]) -> Option<String> {
    layers.iter().find_map(|layer| member(layer, names))
}

/// The first of these members that is a time, in any layer.
fn moment(layers: &[&Object], names: &[&str]) -> Option<Timestamp> {
    layers.iter().find_map(|layer| names.iter().find_map(|name| time(layer.get(*name)?)))
}

fn member(object: &Object, names: &[&str]) -> Option<String> {
    let text =
        names.iter().find_map(|name| object.get(*name)?.as_str().filter(|text| !text.trim().is_empty()))?;
    Some(text.trim().to_owned())
}

/// The provider that an entry names.
fn provider(layers: &[&Object]) -> Option<String> {
    let named = first(layers, &["platform", "provider"]).map(|word| word.to_lowercase());
    // `type` is the provider for some tools and the way of signing in for others.
    named
        .or_else(|| first(layers, &["type"]).map(|word| word.to_lowercase()).filter(|word| is_provider(word)))
}

fn is_agent_identity(layer: &&Object) -> bool {
    let mode = member(layer, &["auth_mode", "authMode"]);
    mode.is_some_and(|mode| mode.eq_ignore_ascii_case("agentIdentity"))
        || layer.get("agent_identity").is_some_and(Value::is_object)
        || layer.contains_key("agent_private_key")
}

/// A time as tools write it: seconds, milliseconds or a date, as a number or as text.
fn time(value: &Value) -> Option<Timestamp> {
    /// Seconds reach this in the year 5138, milliseconds had it in 1973.
    const MILLIS_FROM: i64 = 100_000_000_000;
    let number = |number: i64| {
        (number > 0).then(|| match number >= MILLIS_FROM {
            true => Timestamp::from_millis(number),
            false => Timestamp::from_secs(number),
        })
    };
    match value {
        Value::Number(value) => number(value.as_i64()?),
        Value::String(text) => match text.trim().parse::<i64>() {
            Ok(value) => number(value),
            Err(_) => text
                .trim()
                .parse::<jiff::Timestamp>()
                .ok()
                .map(|at| Timestamp::from_millis(at.as_millisecond())),
        },
        _ => None,
    }
}
