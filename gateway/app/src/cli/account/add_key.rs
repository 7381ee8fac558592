//! `switchyard account add-key`: accounts that are opened by a key.

use std::io::{IsTerminal, Read};

use anyhow::Context;
use clap::Args;
use gateway_api::{AccountDetail, AccountSettingsPatch, AddKeyAccount};
use gateway_core::operations::MAX_KEY_BYTES;
use http::Method;

use super::patch;
use crate::cli::remote::{Admin, CallError};
use crate::cli::{tell, tell_json, tell_note};

/// What `account add-key` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The key is one line of standard input: what stands on a command line can be read by everybody on the machine.

  switchyard account add-key --kind anthropic work < key.txt
  pass show openai | switchyard account add-key --kind openai spare priority=-1
  switchyard account add-key --kind openai-compatible local --base-url http://127.0.0.1:11434/v1 --no-key
  switchyard account add-key --kind gateway edge --base-url https://edge.example < client-key.txt")]
pub(in crate::cli) struct AddKeyArgs {
    /// What the key opens
    #[arg(long, value_parser = ["openai", "openai-compatible", "anthropic", "gateway"])]
    kind: String,
    /// What to call it
    name: String,
    /// Where its server is, for `openai-compatible` and `gateway`
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Read the key from standard input (this is the default)
    #[arg(long)]
    key_stdin: bool,
    /// The key itself; visible to everybody on the machine
    #[arg(long, value_name = "KEY", conflicts_with_all = ["key_stdin", "no_key"])]
    account_key: Option<String>,
    /// The server takes no key
    #[arg(long, conflicts_with = "key_stdin")]
    no_key: bool,
    /// What else to decide about it, in the words of `account set`
    #[arg(value_name = "FIELD=VALUE")]
    settings: Vec<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Adds the account.
pub(super) async fn run(admin: &Admin, args: AddKeyArgs) -> anyhow::Result<()> {
    let mut settings: AccountSettingsPatch = patch::read(admin, &args.settings).await?;
    if let Some(url) = args.base_url {
        settings.base_url = Some(Some(url));
    }
    let key = match (args.account_key, args.no_key) {
        (Some(key), _) => key,
        (None, true) => String::new(),
        (None, false) => from_stdin().context("cannot read the key")?,
    };
    let wanted = AddKeyAccount { kind: args.kind, name: args.name, key, settings };
    let added: AccountDetail =
        admin.send_body(Method::POST, "/accounts/keys", &wanted).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&added);
    }
    let account = &added.account;
    tell(&format!(
        "added `{}` ({}); try it with `switchyard account test {}`",
        account.name, account.id, account.id
    ));
    Ok(())
}

/// One line.
fn from_stdin() -> std::io::Result<String> {
    if std::io::stdin().is_terminal() {
        tell_note("type the key and press return:");
        return Ok(crate::cli::line_of_stdin(MAX_KEY_BYTES)?.trim().to_owned());
    }
    let mut text = String::new();
    let most = u64::try_from(MAX_KEY_BYTES).unwrap_or(u64::MAX).saturating_add(2);
    std::io::stdin().take(most).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
