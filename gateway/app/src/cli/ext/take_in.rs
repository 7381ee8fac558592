//! `switchyard ext check` and `ext upload`: a component with what lies beside it, or a script.

use std::path::{Path, PathBuf};

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use gateway_api::{CheckStepView, ExtensionChecked, ExtensionPlaced, ExtensionUpload};
use http::Method;

use crate::cli::plugin::Files;
use crate::cli::remote::{Admin, CallError, Place};
use crate::cli::text::plain;
use crate::cli::{WrongUse, load, tell, tell_json, tell_note};

/// What `ext check` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The manifest (NAME.toml) and the signature (NAME.sig) of a component are looked for beside it.

  switchyard ext check guard.wasm
  switchyard ext check aliases.rhai --json")]
pub(in crate::cli) struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
}

/// What `ext upload` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The manifest (NAME.toml) and the signature (NAME.sig) of a component are looked for beside it. One that nobody signed gets
an instance for each call, no network and no secrets, until you raise it.

  switchyard ext upload guard.wasm
  switchyard ext upload guard.wasm --disabled
  switchyard ext upload aliases.rhai --name our-names")]
pub(in crate::cli) struct UploadArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Do not let it serve yet
    #[arg(long)]
    disabled: bool,
}

#[derive(Debug, Args)]
struct FileArgs {
    /// A component (.wasm) or a script (.rhai)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to call it; the file's name otherwise
    #[arg(long)]
    name: Option<String>,
    /// You answer for it although nobody signed it
    #[arg(long)]
    raised: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Checks a file without placing it.
pub(super) async fn check(admin: &Admin, args: &CheckArgs) -> anyhow::Result<()> {
    let upload = read(&args.file)?;
    let found: ExtensionChecked =
        admin.send_body(Method::POST, "/extensions/check", &upload).await.map_err(CallError::told)?;
    if args.file.json {
        tell_json(&found)?;
    } else {
        tell(&in_words(&found));
    }
    if found.passed { Ok(()) } else { bail!("{} would not be admitted", found.id) }
}

/// Takes a file in.
pub(super) async fn upload(admin: &Admin, args: &UploadArgs) -> anyhow::Result<()> {
    let upload = ExtensionUpload { enabled: args.disabled.then_some(false), ..read(&args.file)? };
    let placed: ExtensionPlaced =
        admin.send_body(Method::POST, "/extensions", &upload).await.map_err(CallError::told)?;
    if args.file.json {
        return tell_json(&placed);
    }
    tell(&format!("{} is taken in; `switchyard ext show {}` shows it", placed.id, placed.id));
    if *admin.place() == Place::Database {
        tell_note("no gateway runs here; it serves from the next start on");
    }
    Ok(())
}

fn read(args: &FileArgs) -> anyhow::Result<ExtensionUpload> {
    let name = |file: &Path| args.name.clone().unwrap_or_else(|| load::stem(file));
    let base = ExtensionUpload { name: name(&args.file), raised: args.raised, ..ExtensionUpload::default() };
    match args.file.extension().and_then(|ending| ending.to_str()) {
        Some("rhai") => {
            let source = String::from_utf8(load::read(&args.file)?);
            let source = source.map_err(|_| WrongUse(format!("{} is no text", args.file.display())))?;
            Ok(ExtensionUpload { source: Some(source), ..base })
        }
        Some("wasm") => {
            let files = Files::read(&args.file)?;
            Ok(ExtensionUpload {
                component: Some(BASE64.encode(&files.component)),
                manifest: files.manifest,
                signature: files.signature,
                ..base
            })
        }
        _ => {
            let message =
                format!("{} is neither a component (.wasm) nor a script (.rhai)", args.file.display());
            Err(WrongUse(message).into())
        }
    }
}

fn in_words(found: &ExtensionChecked) -> String {
    let width = found.steps.iter().map(|step| step.step.chars().count()).max().unwrap_or_default();
    let line = |step: &CheckStepView| {
        let outcome = if step.outcome == "passed" { "ok" } else { &step.outcome };
        let place = step.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let why = step.message.as_ref().map(|why| format!(": {why}{place}")).unwrap_or_default();
        plain(&format!("{:width$}  {outcome}{why}", step.step))
    };
    let mut lines: Vec<String> = found.steps.iter().map(line).collect();
    if found.passed {
        let trust = found.trust.iter().chain(&found.isolation).cloned().collect::<Vec<_>>().join(", ");
        lines.push(plain(&format!("{} would serve {} ({trust})", found.id, found.hooks.join(", "))));
        let wants: Vec<_> = found.asks.grants.iter().cloned().collect();
        if !wants.is_empty() {
            lines.push(plain(&format!("it asks for {}", wants.join(", "))));
        }
    }
    lines.join("\n")
}
