//! `plugin.toml`, which lies beside a component: what it is, where it wants to be attached, what it asks for. Asking is
//! not having: see [`crate::Grants`].

use std::collections::BTreeSet;
use std::time::Duration;

pub use gateway_core::hooks::{Attachment, Hook};
use gateway_core::hooks::{DEFAULT_ORDER, Failing, Mode};
use serde::Deserialize;

use crate::grants::{Capability, KvQuota};
use crate::limits::{Limits, SLOT_BYTES};

/// The largest manifest taken, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;
const MAX_DEADLINE: Duration = Duration::from_secs(10);

/// Whether instances serve many calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// They are kept and used again.
    Pooled,
    /// Each call has one of its own: nothing of a request is left for the next.
    Fresh,
}

impl Isolation {
    /// The word used in manifests and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Fresh => "fresh",
        }
    }
}

/// A manifest that was read and makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The plugin's name: that of its file, `[a-z0-9-]`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The SHA-256 of the component in hexadecimal digits, when it is pinned.
    pub digest: Option<String>,
    /// The hooks it is made for.
    pub hooks: BTreeSet<Hook>,
    /// Where it wants to be attached: at least once per hook.
    pub attachments: Vec<Attachment>,
    /// Whether it asks for instances that are kept.
    pub isolation: Isolation,
    /// The capabilities it asks for.
    pub wants: BTreeSet<Capability>,
    /// The store it asks for.
    pub kv: KvQuota,
    /// The secrets it asks for, by name.
    pub secrets: BTreeSet<String>,
    /// The destinations it asks for.
    pub destinations: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// Its configuration unless the operator gives another.
    pub config_json: Option<String>,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    version: String,
    #[serde(default)]
    summary: String,
    digest: Option<String>,
    hooks: BTreeSet<Hook>,
    order: Option<i32>,
    mode: Option<Mode>,
    on_failure: Option<Failing>,
    #[serde(default)]
    attach: Vec<RawAttachment>,
    isolation: Option<Isolation>,
    #[serde(default)]
    grants: BTreeSet<Capability>,
    kv: Option<KvQuota>,
    #[serde(default)]
    secrets: BTreeSet<String>,
    #[serde(default)]
    http_out: Vec<String>,
    #[serde(default)]
    limits: RawLimits,
    config: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAttachment {
    hook: Hook,
    order: Option<i32>,
    mode: Option<Mode>,
    on_failure: Option<Failing>,
    #[serde(default)]
    routes: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    clients: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    deadline_ms: Option<u64>,
    memory_mib: Option<usize>,
    instances: Option<usize>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is no TOML, says something nobody knows, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_MANIFEST_BYTES {
            return fail(format!(
                "{} bytes are more than the {MAX_MANIFEST_BYTES} a manifest may have",
                text.len()
            ));
        }
        let raw: Raw = toml::from_str(text).map_err(|error| ManifestError(error.to_string()))?;
        check_name(&raw.name)?;
        if raw.hooks.is_empty() {
            return fail("name at least one hook: hooks = [\"schedule\"]");
        }
        if let Some(digest) = &raw.digest
            && !(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return fail("`digest` is the SHA-256 of the component in 64 hexadecimal digits");
        }
        let attachments = attachments(&raw)?;
        let limits = limits(&raw)?;
        let config_json = raw.config.map(|config| serde_json::Value::Object(config).to_string());
        Ok(Self {
            name: raw.name,
            version: raw.version,
            summary: raw.summary,
            digest: raw.digest.map(|digest| digest.to_ascii_lowercase()),
            hooks: raw.hooks,
            attachments,
            isolation: raw.isolation.unwrap_or(Isolation::Pooled),
            wants: raw.grants,
            kv: raw.kv.unwrap_or_default(),
            secrets: raw.secrets,
            destinations: raw.http_out,
            limits,
            config_json,
        })
    }
}

fn fail<T>(why: impl Into<String>) -> Result<T, ManifestError> {
    Err(ManifestError(why.into()))
}

/// The rule for the names of plugins: they become file names, metric labels and parts of URLs.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn check_name(name: &str) -> Result<(), ManifestError> {
    if is_name(name) {
        return Ok(());
    }
    fail(format!("`{}` is no name; use a-z, 0-9, dash and underscore, at most 64", name.escape_debug()))
}

fn attachments(raw: &Raw) -> Result<Vec<Attachment>, ManifestError> {
    let one = |hook: Hook, special: Option<&RawAttachment>| Attachment {
        hook,
        order: special.and_then(|one| one.order).or(raw.order).unwrap_or(DEFAULT_ORDER),
        mode: special.and_then(|one| one.mode).or(raw.mode).unwrap_or(Mode::Enforce),
        failing: special.and_then(|one| one.on_failure).or(raw.on_failure).unwrap_or_else(|| hook.failing()),
        routes: special.map(|one| one.routes.clone()).unwrap_or_default(),
        groups: special.map(|one| one.groups.clone()).unwrap_or_default(),
        clients: special.map(|one| one.clients.clone()).unwrap_or_default(),
        models: special.map(|one| one.models.clone()).unwrap_or_default(),
    };
    if let Some(stranger) = raw.attach.iter().find(|one| !raw.hooks.contains(&one.hook)) {
        return fail(format!("it attaches `{}`, which is not among its hooks", stranger.hook.label()));
    }
    let mut all: Vec<_> = raw.attach.iter().map(|special| one(special.hook, Some(special))).collect();
    let rest = raw.hooks.iter().filter(|hook| !raw.attach.iter().any(|one| one.hook == **hook));
    all.extend(rest.map(|hook| one(*hook, None)));
    Ok(all)
}

fn limits(raw: &Raw) -> Result<Limits, ManifestError> {
    let mut limits = Limits::for_hooks(&raw.hooks);
    if let Some(ms) = raw.limits.deadline_ms {
        let asked = Duration::from_millis(ms);
        if asked.is_zero() || asked > MAX_DEADLINE {
            return fail(format!("deadline_ms = {ms}: 1 to {} fit", MAX_DEADLINE.as_millis()));
        }
        limits = limits.with_deadline(asked);
    }
    if let Some(mib) = raw.limits.memory_mib {
        let most = SLOT_BYTES / (1024 * 1024);
        if !(1..=most).contains(&mib) {
            return fail(format!("memory_mib = {mib}: 1 to {most} fit"));
        }
        limits.memory_bytes = mib * 1024 * 1024;
    }
    if let Some(instances) = raw.limits.instances {
        if !(1..=32).contains(&instances) {
            return fail(format!("instances = {instances}: 1 to 32 fit"));
        }
        limits.instances = instances;
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = \"one\"\nversion = \"1\"\nhooks = [\"filter-request\", \"observe-usage\"]\n";

    #[test]
    fn what_is_not_said_is_careful() {
        let manifest = Manifest::parse(LEAST).unwrap();
        assert!(manifest.wants.is_empty() && manifest.secrets.is_empty() && manifest.destinations.is_empty());
        assert_eq!(manifest.isolation, Isolation::Pooled);
        let failing: Vec<_> = manifest.attachments.iter().map(|one| (one.hook, one.failing)).collect();
        assert_eq!(failing, [(Hook::FilterRequest, Failing::Closed), (Hook::ObserveUsage, Failing::Open)]);
    }

    #[test]
    fn everything_can_be_said() {
        let text = format!(
            r#"order = 7
               isolation = "fresh"
               on_failure = "open"
               grants = ["kv", "http-out"]
               secrets = ["TOKEN"]
               http_out = ["https://a.example"]
               {LEAST}
               [[attach]]
               hook = "filter-request"
               groups = ["interns"]
               mode = "monitor"
               [kv]
               max_keys = 3
               max_bytes = 100
               [limits]
               deadline_ms = 50
               memory_mib = 8
               instances = 2
               [config]
               words = ["a", "b"]"#
        );
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.config_json.as_deref(), Some(r#"{"words":["a","b"]}"#));
        assert_eq!(manifest.limits.filter_deadline, Duration::from_millis(50));
        assert_eq!((manifest.limits.memory_bytes, manifest.limits.instances), (8 * 1024 * 1024, 2));
        let [filter, observer] = &manifest.attachments[..] else { panic!("{manifest:?}") };
        assert_eq!((filter.mode, filter.order, filter.failing), (Mode::Monitor, 7, Failing::Open));
        assert_eq!((filter.groups.join(""), observer.mode), ("interns".to_owned(), Mode::Enforce));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, because) in [
            ("speed = 11", "speed"),
            ("grants = [\"filesystem\"]", "filesystem"),
            ("digest = \"abc\"", "64 hexadecimal"),
            ("[limits]\ndeadline_ms = 0", "deadline_ms = 0"),
            ("[limits]\nmemory_mib = 4096", "memory_mib = 4096"),
            ("[[attach]]\nhook = \"schedule\"", "not among its hooks"),
        ] {
            let error = Manifest::parse(&format!("{LEAST}{line}\n")).unwrap_err().to_string();
            assert!(error.contains(because), "{line}: {error}");
        }
        for name in ["", "Up", "a/b", "..", "a b"] {
            let text = LEAST.replace("\"one\"", &format!("{name:?}"));
            assert!(Manifest::parse(&text).unwrap_err().to_string().contains("is no name"), "{name}");
        }
    }
}
