//! `switchyard plugin inspect`: what a component is. Runs only its `describe`, under the limits of an unsigned one.

use gateway_plugin_host::{Manifest, Outside, Vouching, signer_of};
use serde::Serialize;
use serde_json::Value;

use super::super::text::{or_dash, pairs};
use super::super::{WrongUse, tell, tell_json};
use super::{Checked, Files, check};

/// What a component is, for programs.
#[derive(Serialize)]
struct InspectTold {
    name: String,
    bytes: usize,
    digest: String,
    imports: Vec<String>,
    exports: Vec<String>,
    /// The id of the key that it says it was signed with.
    signed_by: Option<String>,
    trust: Option<&'static str>,
    manifest: Option<ManifestTold>,
    described: Option<DescribedTold>,
    /// Why it was not admitted, which is why there is no description.
    refused: Option<String>,
}

/// What its manifest asks for.
#[derive(Serialize)]
struct ManifestTold {
    version: String,
    hooks: Vec<&'static str>,
    isolation: &'static str,
    grants: Vec<&'static str>,
    secrets: Vec<String>,
    pins_digest: bool,
}

/// What it says about itself.
#[derive(Serialize)]
struct DescribedTold {
    name: String,
    version: String,
    summary: String,
    hooks: Vec<&'static str>,
    deterministic: bool,
    config_schema: Value,
    config_defaults: Value,
    isolation: &'static str,
}

/// Shows a component.
pub(super) fn run(args: &Checked) -> anyhow::Result<()> {
    let files = Files::read(&args.file)?;
    let outside = Outside::of(&files.component)
        .map_err(|why| WrongUse(format!("{} is no plugin: {why}", args.file.display())))?;
    let admitted = check::admit(&files, args, Vouching::Signature)?;
    let told = InspectTold {
        name: files.name.clone(),
        bytes: files.component.len(),
        digest: outside.digest,
        imports: outside.imports,
        exports: outside.exports,
        signed_by: files.signature.as_deref().and_then(signer_of).map(str::to_owned),
        trust: admitted.as_ref().ok().map(|plugin| plugin.trust().label()),
        manifest: files.manifest.as_deref().and_then(manifest),
        described: admitted.as_ref().ok().map(|plugin| {
            let metadata = plugin.metadata();
            let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
            DescribedTold {
                name: metadata.name.clone(),
                version: metadata.version.clone(),
                summary: metadata.summary.clone(),
                hooks: metadata.hooks.iter().map(|hook| hook.label()).collect(),
                deterministic: metadata.deterministic,
                config_schema: json(&metadata.config_schema_json),
                config_defaults: json(&metadata.config_defaults_json),
                isolation: plugin.isolation().label(),
            }
        }),
        refused: admitted.err().map(|error| error.to_string()),
    };
    if args.json {
        return tell_json(&told);
    }
    tell(&in_words(&told));
    Ok(())
}

fn manifest(text: &str) -> Option<ManifestTold> {
    let manifest = Manifest::parse(text).ok()?;
    Some(ManifestTold {
        version: manifest.version,
        hooks: manifest.hooks.iter().map(|hook| hook.label()).collect(),
        isolation: manifest.isolation.label(),
        grants: manifest.wants.iter().map(|one| one.label()).collect(),
        secrets: manifest.secrets.into_iter().collect(),
        pins_digest: manifest.digest.is_some(),
    })
}

fn in_words(told: &InspectTold) -> String {
    let list = |all: &[String]| if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
    let words = |all: &[&str]| if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
    let mut rows = vec![
        ("name", told.name.clone()),
        ("size", format!("{} KiB", told.bytes.div_ceil(1024))),
        ("digest", told.digest.clone()),
        ("imports", list(&told.imports)),
        ("exports", list(&told.exports)),
        ("signed by", or_dash(told.signed_by.as_deref())),
        ("trust", or_dash(told.trust)),
    ];
    if let Some(manifest) = &told.manifest {
        rows.push(("asks for", words(&manifest.grants)));
    }
    if let Some(described) = &told.described {
        rows.push(("version", described.version.clone()));
        rows.push(("summary", described.summary.clone()));
        rows.push(("hooks", words(&described.hooks)));
        rows.push(("deterministic", if described.deterministic { "yes" } else { "no" }.to_owned()));
        rows.push(("isolation", described.isolation.to_owned()));
        rows.push(("configuration", described.config_defaults.to_string()));
    }
    if let Some(refused) = &told.refused {
        rows.push(("refused", refused.clone()));
    }
    pairs(&rows)
}
