//! `switchyard ext …`: extensions of a gateway, here or elsewhere, over its admin API. Where none runs, what is decided is
//! kept and counts from the next start on.

mod change;
mod show;
mod take_in;

use clap::{Args, Subcommand};
use gateway_api::ExtensionView;

use super::remote::{Admin, CallError};
use super::{Call, NotFound, RemoteArgs, WrongUse};

/// What `ext` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
An extension is a policy, a mapping, a filter or an observer, written in Rhai or built as a WebAssembly component. It is
called by its id (wasm:redactor), or by its name where only one has it.

  switchyard ext list
  switchyard ext enable redactor
  switchyard ext order redactor 5
  switchyard ext set redactor mode=monitor groups=interns
  switchyard ext upload guard.wasm --disabled
  switchyard ext rollback guard")]
pub(super) struct ExtArgs {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    #[command(subcommand)]
    pub(super) command: ExtCommand,
}

/// What can be done with extensions.
#[derive(Debug, Subcommand)]
pub(super) enum ExtCommand {
    /// List extensions, whether they serve, and how they fare
    #[command(visible_alias = "ls")]
    List(show::ListArgs),
    /// Show one: its places, grants, configuration, versions, failures and hits
    Show(OneArgs),
    /// Let one serve; a policy is chosen by this
    Enable(OneArgs),
    /// Let one serve no more; the built-in policy takes a policy's place
    Disable(OneArgs),
    /// Say where in its chains one stands: lower ones run first
    Order(change::OrderArgs),
    /// Change what was decided about one: mode, places, configuration, grants, secrets
    Set(change::SetArgs),
    /// Let the version before serve again
    Rollback(OneArgs),
    /// Take a file through the gateway's admission, step by step, without placing it
    Check(take_in::CheckArgs),
    /// Take a component or a script in; it is admitted first
    Upload(take_in::UploadArgs),
    /// Remove the files of one, and what was decided about it
    #[command(visible_alias = "rm")]
    Remove(change::RemoveArgs),
}

/// What commands for one extension take.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// Its id or name
    #[arg(value_name = "ID")]
    id: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Carries an extension command out.
pub(super) async fn run(call: &Call, command: ExtCommand) -> anyhow::Result<()> {
    let admin = Admin::find_with_extensions(&call.settings, &call.wanted).await?;
    let done = match command {
        ExtCommand::List(args) => show::list(&admin, &args).await,
        ExtCommand::Show(args) => show::one(&admin, &args).await,
        ExtCommand::Enable(args) => change::switch(&admin, &args, true).await,
        ExtCommand::Disable(args) => change::switch(&admin, &args, false).await,
        ExtCommand::Order(args) => change::order(&admin, &args).await,
        ExtCommand::Set(args) => change::set(&admin, &args).await,
        ExtCommand::Rollback(args) => change::roll_back(&admin, &args).await,
        ExtCommand::Check(args) => take_in::check(&admin, &args).await,
        ExtCommand::Upload(args) => take_in::upload(&admin, &args).await,
        ExtCommand::Remove(args) => change::remove(&admin, &args).await,
    };
    admin.close().await;
    done
}

/// The extension that is meant: by its id, or by its name where only one has it.
async fn find(admin: &Admin, wanted: &str) -> anyhow::Result<ExtensionView> {
    let mut all: Vec<ExtensionView> = admin.get("/extensions").await.map_err(CallError::told)?;
    if let Some(at) = all.iter().position(|one| one.id == wanted) {
        return Ok(all.swap_remove(at));
    }
    all.retain(|one| one.name == wanted);
    if all.len() > 1 {
        let ids: Vec<_> = all.iter().map(|one| one.id.as_str()).collect();
        return Err(WrongUse(format!("`{wanted}` may be {}; say which", ids.join(" or "))).into());
    }
    let found = all.pop();
    let unknown = || NotFound(format!("there is no extension `{wanted}`; `switchyard ext list` names them"));
    Ok(found.ok_or_else(unknown)?)
}

fn path(extension: &ExtensionView) -> String {
    format!("/extensions/{}", extension.id)
}
