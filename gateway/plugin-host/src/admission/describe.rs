//! What a component says about itself, and whether its configuration fits that.

use std::collections::BTreeSet;

use gateway_core::hooks::{BodyView, StreamInterest};
use serde_json::Value;

use crate::bindings::lifecycle::{self, Hooks, Metadata};
use crate::exports::interface;
use crate::limits::{MAX_SCHEMA_BYTES, MAX_TEXT_BYTES};
use crate::manifest::{Hook, Manifest};
use crate::schema;

/// What a component says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginMetadata {
    /// Its own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The hooks it wants to be called for.
    pub hooks: BTreeSet<Hook>,
    /// How much of a prompt it wants to see.
    pub request_view: BodyView,
    /// Which events of a response it wants to see.
    pub streams: StreamInterest,
    /// JSON Schema (2020-12) of its configuration.
    pub config_schema_json: String,
    /// The default configuration.
    pub config_defaults_json: String,
    /// Same inputs, same answer; checked by the probe.
    pub deterministic: bool,
}

/// Checks it against what the component exports and what its manifest says.
pub(super) fn check(
    described: Metadata,
    exported: &[Hook],
    manifest: Option<&Manifest>,
) -> Result<PluginMetadata, String> {
    let hooks = wanted(described.hooks);
    if hooks.is_empty() {
        return Err("it wants to be called for no hook".to_owned());
    }
    if let Some(hook) = hooks.iter().find(|hook| !exported.contains(hook)) {
        let (hook, interface) = (hook.label(), interface(*hook));
        return Err(format!("it wants to be called for {hook} but does not export `{interface}`"));
    }
    if described.name.is_empty() || described.version.is_empty() {
        return Err("it must state its name and its version".to_owned());
    }
    for (what, text, most) in [
        ("name", &described.name, MAX_TEXT_BYTES),
        ("version", &described.version, MAX_TEXT_BYTES),
        ("summary", &described.summary, MAX_TEXT_BYTES),
        ("schema", &described.config_schema_json, MAX_SCHEMA_BYTES),
        ("default configuration", &described.config_defaults_json, MAX_SCHEMA_BYTES),
    ] {
        if text.len() > most {
            return Err(format!("its {what} has {} bytes; {most} fit", text.len()));
        }
    }
    if let Some(manifest) = manifest {
        agree("name", &described.name, &manifest.name)?;
        agree("version", &described.version, &manifest.version)?;
        if hooks != manifest.hooks {
            return Err("it wants to be called for other hooks than its manifest names".to_owned());
        }
    }
    schema::check_schema(&json("schema", &described.config_schema_json)?)?;
    Ok(PluginMetadata {
        name: described.name,
        version: described.version,
        summary: described.summary,
        hooks,
        request_view: match described.request_view {
            lifecycle::BodyView::None => BodyView::None,
            lifecycle::BodyView::TextParts => BodyView::TextParts,
            lifecycle::BodyView::RawJson => BodyView::RawJson,
        },
        streams: interest(described.streams),
        config_schema_json: described.config_schema_json,
        config_defaults_json: described.config_defaults_json,
        deterministic: described.deterministic,
    })
}

fn agree(what: &str, component: &str, manifest: &str) -> Result<(), String> {
    if component == manifest {
        return Ok(());
    }
    Err(format!("its {what} is `{component}`, but `{manifest}` in its manifest"))
}

fn wanted(flags: Hooks) -> BTreeSet<Hook> {
    let flag = |hook: &Hook| match hook {
        Hook::Schedule => Hooks::SCHEDULE,
        Hook::MapModel => Hooks::MAP_MODEL,
        Hook::FilterRequest => Hooks::FILTER_REQUEST,
        Hook::FilterResponse => Hooks::FILTER_RESPONSE,
        Hook::ObserveUsage => Hooks::OBSERVE_USAGE,
    };
    Hook::ALL.into_iter().filter(|hook| flags.contains(flag(hook))).collect()
}

fn interest(flags: lifecycle::StreamInterest) -> StreamInterest {
    StreamInterest {
        text: flags.contains(lifecycle::StreamInterest::TEXT),
        reasoning: flags.contains(lifecycle::StreamInterest::REASONING),
        tool_calls: flags.contains(lifecycle::StreamInterest::TOOL_CALLS),
        usage: flags.contains(lifecycle::StreamInterest::USAGE),
        turns: flags.contains(lifecycle::StreamInterest::TURNS),
        raw: flags.contains(lifecycle::StreamInterest::RAW),
    }
}

/// Whether a configuration fits the component's schema. An empty schema takes anything.
pub(crate) fn fits_schema(schema_json: &str, config_json: &str) -> Result<(), String> {
    let config = json("configuration", if config_json.is_empty() { "{}" } else { config_json })?;
    let misfits = schema::misfits(&json("schema", schema_json)?, &config);
    if misfits.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = misfits.iter().map(|one| format!("`{}` {}", one.pointer, one.message)).collect();
    Err(format!("its configuration does not fit: {}", all.join("; ")))
}

fn json(what: &str, text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Bool(true));
    }
    serde_json::from_str(text).map_err(|error| format!("its {what} is no JSON: {error}"))
}
