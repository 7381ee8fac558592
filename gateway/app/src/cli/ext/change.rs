//! What is decided about one extension: on and off, order, the rest field by field, one version back, away with it.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use clap::Args;
use gateway_api::{ExtensionDetail, ExtensionPatch, ExtensionPlaced};
use http::Method;

use super::show::in_words;
use super::{OneArgs, find, path};
use crate::cli::remote::{Admin, CallError, Place};
use crate::cli::{WrongUse, ask, line_of_stdin, tell, tell_json, tell_note};

/// How a field is given back to what the extension asks.
const ASKED: &str = "asked";
/// How the name of a secret is told from other fields.
const SECRET: &str = "secret.";
/// The largest file taken as a configuration, in bytes.
const MAX_CONFIG_BYTES: u64 = 256 * 1024;
/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 16 * 1024;

/// What `ext order` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct OrderArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Lower ones run first
    #[arg(allow_negative_numbers = true)]
    order: i32,
}

/// What `ext set` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Fields, and what they take (`asked` gives a field back to what the extension asks):
  enabled=on                on or off
  order=10                  lower ones run first
  mode=monitor              enforce, or monitor: its answers are recorded and not carried out
  on-failure=closed         open, closed or fallback
  routes=/v1/messages       only these routes
  groups=interns,eu         only client keys in these groups
  clients=eu/ann            only these client keys
  models=gpt-5*             only these asked models
  config=@redactor.json     its configuration, as JSON or from a file
  grants=kv,logging         all capabilities it is lent; grants= takes them away
  http-out=https://a.test   all places it may send requests to
  raised=on                 you answer for it although nobody signed it: on or off
  secret.TOKEN=-            a secret, read from one line of standard input; secret.TOKEN= takes it away

  switchyard ext set redactor mode=monitor groups=interns
  switchyard ext set notifier grants=http-out,secrets raised=on secret.TOKEN=- < token.txt")]
pub(in crate::cli) struct SetArgs {
    #[command(flatten)]
    one: OneArgs,
    /// What to change
    #[arg(value_name = "FIELD=VALUE", required = true)]
    fields: Vec<String>,
}

/// What `ext remove` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemoveArgs {
    /// Its id or name
    #[arg(value_name = "ID")]
    id: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Lets one serve, or no more.
pub(super) async fn switch(admin: &Admin, args: &OneArgs, on: bool) -> anyhow::Result<()> {
    let patch = ExtensionPatch { enabled: Some(Some(on)), ..ExtensionPatch::default() };
    patched(admin, args, &patch, if on { "serves" } else { "serves no more" }).await
}

/// Says where it stands.
pub(super) async fn order(admin: &Admin, args: &OrderArgs) -> anyhow::Result<()> {
    let patch = ExtensionPatch { order: Some(Some(args.order)), ..ExtensionPatch::default() };
    patched(admin, &args.one, &patch, &format!("has the order {}", args.order)).await
}

/// Changes what was decided.
pub(super) async fn set(admin: &Admin, args: &SetArgs) -> anyhow::Result<()> {
    let mut patch = ExtensionPatch::default();
    for field in &args.fields {
        put(&mut patch, field)?;
    }
    patched(admin, &args.one, &patch, "is changed").await
}

async fn patched(admin: &Admin, args: &OneArgs, patch: &ExtensionPatch, done: &str) -> anyhow::Result<()> {
    let found = find(admin, &args.id).await?;
    let detail: ExtensionDetail =
        admin.send_body(Method::PATCH, &path(&found), patch).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&detail);
    }
    tell(&format!("{} {done}", detail.extension.id));
    if let Some(refused) = &detail.extension.refused {
        tell_note(&format!("its file is not taken at {}: {}", refused.step, refused.message));
    }
    if *admin.place() == Place::Database {
        tell_note("no gateway runs here; this counts from the next start on");
    }
    Ok(())
}

/// Lets the version before serve again.
pub(super) async fn roll_back(admin: &Admin, args: &OneArgs) -> anyhow::Result<()> {
    if *admin.place() == Place::Database {
        bail!("versions are kept by a running gateway, and none runs here; start it, or name one with --url");
    }
    let found = find(admin, &args.id).await?;
    let placed: ExtensionPlaced =
        admin.post(&format!("{}/rollback", path(&found))).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&placed);
    }
    let version = &placed.version;
    let name = if version.release.is_empty() { &version.digest } else { &version.release };
    tell(&format!("{} serves version {name} again", placed.id));
    Ok(())
}

/// Removes one's files.
pub(super) async fn remove(admin: &Admin, args: &RemoveArgs) -> anyhow::Result<()> {
    let found = find(admin, &args.id).await?;
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            let message =
                "removing takes files, versions and secrets away: say --yes where nobody can be asked";
            return Err(WrongUse(message.to_owned()).into());
        }
        let detail: ExtensionDetail = admin.get(&path(&found)).await.map_err(CallError::told)?;
        tell_note(&in_words(&detail));
        if !ask(&format!("remove {} with its versions and secrets? [y/N] ", found.id))? {
            tell("nothing is removed");
            return Ok(());
        }
    }
    admin.delete(&path(&found)).await.map_err(CallError::told)?;
    tell(&format!("{} is removed", found.id));
    Ok(())
}

fn put(patch: &mut ExtensionPatch, field: &str) -> anyhow::Result<()> {
    let wrong = |text: String| anyhow::Error::from(WrongUse(text));
    let (name, value) = field.split_once('=').ok_or_else(|| wrong(format!("`{field}` is no FIELD=VALUE")))?;
    let given = Some(value).filter(|value| *value != ASKED);
    match name {
        "enabled" => patch.enabled = Some(given.map(switched).transpose().map_err(wrong)?),
        "order" => {
            let number =
                |value: &str| value.parse().map_err(|_| wrong(format!("`{value}` is no whole number")));
            patch.order = Some(given.map(number).transpose()?);
        }
        "mode" => patch.mode = Some(given.map(str::to_owned)),
        "on-failure" => patch.on_failure = Some(given.map(str::to_owned)),
        "routes" => patch.routes = Some(given.map(words)),
        "groups" => patch.groups = Some(given.map(words)),
        "clients" => patch.clients = Some(given.map(words)),
        "models" => patch.models = Some(given.map(words)),
        "config" => patch.config = Some(given.map(config).transpose()?),
        "grants" => patch.grants = Some(words(value).into_iter().collect()),
        "http-out" => patch.http_out = Some(words(value)),
        "raised" => patch.raised = Some(switched(value).map_err(wrong)?),
        _ => {
            let secret = name.strip_prefix(SECRET).filter(|secret| !secret.is_empty());
            let secret =
                secret.ok_or_else(|| wrong(format!("there is no field `{name}`; see `ext set --help`")))?;
            patch.secrets.insert(secret.to_owned(), secret_text(value)?);
        }
    }
    Ok(())
}

fn words(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn switched(value: &str) -> Result<bool, String> {
    match value {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        other => Err(format!("`{other}` is neither on nor off")),
    }
}

fn config(value: &str) -> anyhow::Result<serde_json::Value> {
    let text = match value.strip_prefix('@') {
        None => value.to_owned(),
        Some(file) => {
            let size = std::fs::metadata(file).with_context(|| format!("read {file}"))?.len();
            if size > MAX_CONFIG_BYTES {
                bail!("{file} is larger than {} KiB", MAX_CONFIG_BYTES / 1024);
            }
            std::fs::read_to_string(file).with_context(|| format!("read {file}"))?
        }
    };
    serde_json::from_str(&text)
        .map_err(|error| WrongUse(format!("the configuration is no JSON: {error}")).into())
}

/// Everybody on the machine reads arguments, so a secret is never one.
fn secret_text(value: &str) -> anyhow::Result<Option<String>> {
    match value {
        "" => Ok(None),
        "-" => {
            let line = line_of_stdin(MAX_SECRET_BYTES).context("read the secret")?;
            let text = line.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                bail!("give the secret as one line of standard input");
            }
            Ok(Some(text.to_owned()))
        }
        _ => Err(WrongUse("write secret.NAME=- and give the secret on standard input".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_a_patch_and_mistakes_are_named() {
        let mut patch = ExtensionPatch::default();
        for field in ["order=-3", "mode=asked", "groups=a, b", "config={\"x\":1}", "grants=", "secret.T="] {
            put(&mut patch, field).unwrap();
        }
        let expected = ExtensionPatch {
            order: Some(Some(-3)),
            mode: Some(None),
            groups: Some(Some(vec!["a".to_owned(), "b".to_owned()])),
            config: Some(Some(serde_json::json!({"x": 1}))),
            grants: Some(std::collections::BTreeSet::new()),
            secrets: [("T".to_owned(), None)].into(),
            ..ExtensionPatch::default()
        };
        assert!(patch == expected, "{}", serde_json::to_string(&patch).unwrap());
        for (field, says) in [
            ("order", "no FIELD=VALUE"),
            ("order=x", "no whole number"),
            ("colour=red", "no field `colour`"),
            ("raised=maybe", "neither on nor off"),
            ("config={", "no JSON"),
            ("secret.T=plain", "standard input"),
            ("secret.=-", "no field"),
        ] {
            let error = put(&mut patch, field).unwrap_err().to_string();
            assert!(error.contains(says), "{field}: {error}");
        }
    }
}
