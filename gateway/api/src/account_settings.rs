//! What an operator decides about accounts, and the proxies they leave through.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How an account reaches its upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum EgressView {
    /// Through the proxy of its first group that has one; without one, straight.
    #[default]
    Inherit,
    /// Straight, whatever its groups say.
    Direct,
    /// Through this proxy and no other way.
    Proxy {
        /// Its id.
        proxy: String,
    },
}

/// Whether an account is spent first or spared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceView {
    /// Before the others.
    BurnFirst,
    /// Like the others.
    #[default]
    Normal,
    /// Only when nobody else can serve.
    Preserve,
}

/// Everything that was decided about one account. Header values are never shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountSettingsView {
    /// For people.
    pub notes: String,
    /// The groups it belongs to.
    pub groups: BTreeSet<String>,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// Its share when strategies weigh accounts.
    pub weight: f64,
    /// A higher one goes before every lower one.
    pub priority: i32,
    /// Spent first, or spared.
    pub preference: PreferenceView,
    /// Most requests at once; the pool's default when not set.
    pub max_concurrency: Option<u32>,
    /// The only models it may serve; all when empty.
    pub allowed_models: BTreeSet<String>,
    /// The names of the headers that are overridden.
    pub headers: BTreeSet<String>,
    /// How it reaches its upstream.
    pub egress: EgressView,
    /// Where its upstream is, for kinds that have an address of their own.
    pub base_url: Option<String>,
    /// The dialects its upstream speaks, for kinds that differ.
    pub dialects: BTreeSet<String>,
    /// The `auth.json` of a Codex CLI that shares its tokens.
    pub co_owned: Option<String>,
    /// Whether a window that has reset is started again with a tiny request.
    pub warm_up: bool,
}

/// What is to change; a field left out stays as it is, `null` takes a value away where there can be none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettingsPatch {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// All its groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<BTreeSet<String>>,
    /// All its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<String>>,
    /// Above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// A higher one goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Spent first, or spared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceView>,
    /// `null`: the pool's default.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub max_concurrency: Option<Option<u32>>,
    /// All models it may serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<BTreeSet<String>>,
    /// Headers to set, or with `null` to take away; others stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Option<String>>,
    /// How it reaches its upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressView>,
    /// Where its upstream is.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub base_url: Option<Option<String>>,
    /// The dialects its upstream speaks; empty: find out with a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialects: Option<BTreeSet<String>>,
    /// The `auth.json` of a Codex CLI that shares its tokens.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub co_owned: Option<Option<String>>,
    /// Whether windows are started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<bool>,
}

/// Tells `null` from a field that was left out.
pub(crate) fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// `POST /accounts/keys`: an account that is opened by a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddKeyAccount {
    /// `openai`, `openai-compatible`, `anthropic` or `gateway`.
    pub kind: String,
    /// What to call it.
    pub name: String,
    /// The key; empty for a server that takes none.
    #[serde(default)]
    pub key: String,
    /// What else was decided, its address among it.
    #[serde(default)]
    pub settings: AccountSettingsPatch,
}

/// `POST /accounts/{id}/test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountTested {
    /// From asking to the answer.
    pub latency_ms: u64,
    /// The models it lists.
    pub models: Vec<String>,
    /// The dialects it speaks.
    pub dialects: Vec<String>,
}

/// `GET` and `PUT /pin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinView {
    /// The account that serves everything it can; `null`: none does.
    pub account: Option<String>,
}

/// One egress proxy. Its password is never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyView {
    /// Its id.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// Its address, without user and password.
    pub address: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Groups whose accounts leave through it.
    pub groups: BTreeSet<String>,
    /// How many accounts leave through it now.
    pub accounts: u32,
    /// What its last probe found; proxies that accounts leave through are probed all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<ProxyHealthView>,
}

/// Whether a proxy works. Accounts behind one that does not are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyHealthView {
    /// Whether requests leave through it.
    pub works: bool,
    /// Since when that is so, in milliseconds since the Unix epoch.
    pub since: i64,
    /// When it was last probed, if ever.
    pub probed_at: Option<i64>,
    /// How long the last good probe took.
    pub latency_ms: Option<u64>,
    /// Why the last probe, or a request, did not get through.
    pub trouble: Option<String>,
}

/// `POST /proxies` (everything but `url` has a default) and `PATCH /proxies/{id}` (what is left out stays).
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyPatch {
    /// What to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `http://`, `https://`, `socks5://` or `socks5h://`, with user and password where needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Groups whose accounts leave through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<BTreeSet<String>>,
}

/// `POST /proxies/{id}/test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTested {
    /// From connecting to the upstream's answer.
    pub latency_ms: u64,
}
