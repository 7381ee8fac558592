//! `switchyard account login`: tells a person what to open and what to type, and waits until it is done. The flow itself
//! is the gateway's; where the browser cannot come back to its machine, the last address is pasted here.

use std::io::{BufRead, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use gateway_api::{SignInBegin, SignInCallback, SignInMethod, SignInStage, SignInView};
use http::Method;
use tokio::sync::mpsc;

use super::choose;
use crate::cli::remote::{Admin, CallError, Place};
use crate::cli::{tell, tell_json, tell_note};

/// How often the gateway is asked where the sign-in stands.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Everything that is read of standard input, in bytes.
const MAX_PASTED_BYTES: u64 = 256 * 1024;

/// What `account login` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The browser comes back to http://localhost:1455 on the gateway's machine. When your browser runs elsewhere it ends on a
page that does not load: copy its address and paste it here. Or use --device, which needs no way back.

  switchyard account login                     # named by its e-mail address
  switchyard account login work --open         # opens the browser
  switchyard account login --device
  switchyard account login --account work      # sign a known account in again")]
pub(in crate::cli) struct LoginArgs {
    /// What to call a new account [default: its e-mail address]
    #[arg(conflicts_with = "account")]
    name: Option<String>,
    /// Sign in with a code typed on any device
    #[arg(long)]
    device: bool,
    /// The known account to sign in again
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Open the browser
    #[arg(long)]
    open: bool,
    /// Answer as JSON when it is done; what to do is told on standard error
    #[arg(long)]
    json: bool,
}

/// Signs in.
pub(super) async fn run(admin: &Admin, args: LoginArgs) -> anyhow::Result<()> {
    let account = match &args.account {
        Some(name) => Some(choose::one(admin, name).await?.id),
        None => None,
    };
    let method = if args.device { SignInMethod::Device } else { SignInMethod::Browser };
    let wanted = SignInBegin { method, name: args.name.clone(), account };
    let begun: SignInView =
        admin.send_body(Method::POST, "/sign-ins", &wanted).await.map_err(CallError::told)?;
    if let SignInStage::Waiting { url, user_code } = &begun.stage {
        let say = if args.json { tell_note } else { tell };
        for line in what_to_do(url, user_code.as_deref(), &begun, admin.place()) {
            say(&line);
        }
        if args.open {
            open(url);
        }
    }
    let ended = tokio::select! {
        ended = follow(admin, begun.clone()) => ended?,
        _ = tokio::signal::ctrl_c() => {
            // Otherwise it ends by itself.
            drop(admin.delete(&format!("/sign-ins/{}", begun.id)).await);
            bail!("the sign-in was called off");
        }
    };
    tell_end(&ended, args.json)
}

fn what_to_do(url: &str, code: Option<&str>, begun: &SignInView, place: &Place) -> Vec<String> {
    let mut lines =
        vec!["Open this address and sign in:".to_owned(), String::new(), format!("  {url}"), String::new()];
    match (code, begun.comes_back, place) {
        (Some(code), ..) => lines.push(format!("and type this code: {code}")),
        (None, true, Place::Here { .. } | Place::Database) => lines.push(
            "If the browser runs on another machine it ends on a page that does not load: paste that page's address here."
                .to_owned(),
        ),
        (None, ..) => lines.push(
            "The browser then ends on a page that does not load: paste that page's address here.".to_owned(),
        ),
    }
    lines
}

/// Waits for the end. What is pasted meanwhile is handed on.
async fn follow(admin: &Admin, begun: SignInView) -> anyhow::Result<SignInView> {
    let mut pasted = (begun.method == SignInMethod::Browser).then(pasted_lines);
    let mut ticks = tokio::time::interval(ASK_EVERY);
    let path = format!("/sign-ins/{}", begun.id);
    loop {
        let line = tokio::select! {
            _ = ticks.tick() => None,
            line = next_line(&mut pasted) => Some(line),
        };
        let stands: SignInView = match line {
            None => admin.get(&path).await.map_err(CallError::told)?,
            Some(line) => {
                let address = SignInCallback { address: line };
                match admin.send_body(Method::POST, "/sign-ins/callback", &address).await {
                    Ok(stands) => stands,
                    // A slip of the hand; the person may try again.
                    Err(CallError::Refused { field: Some(_), message }) => {
                        tell_note(&message);
                        continue;
                    }
                    Err(error) => return Err(error.told()),
                }
            }
        };
        match stands.stage {
            SignInStage::Waiting { .. } | SignInStage::Exchanging => {}
            _ => return Ok(stands),
        }
    }
}

/// The next line that is pasted; never, when nothing can come any more.
async fn next_line(pasted: &mut Option<mpsc::Receiver<String>>) -> String {
    if let Some(lines) = pasted
        && let Some(line) = lines.recv().await
    {
        return line;
    }
    *pasted = None;
    std::future::pending().await
}

/// Lines of standard input. Reading it cannot be called off, so a thread of its own does; it ends with the command.
fn pasted_lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().take(MAX_PASTED_BYTES).lines();
        for line in lines.map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receive
}

fn tell_end(ended: &SignInView, json: bool) -> anyhow::Result<()> {
    match &ended.stage {
        SignInStage::Done { .. } if json => tell_json(ended),
        SignInStage::Done { account, name, renewed } => {
            let what = if *renewed { "is signed in again" } else { "is in the pool" };
            tell(&format!("`{name}` ({account}) {what}"));
            Ok(())
        }
        SignInStage::Failed { why } => bail!("not signed in: {why}"),
        SignInStage::Cancelled => bail!("the sign-in was called off"),
        _ => bail!("nobody signed in in time; start again"),
    }
}

/// Opens the browser; where there is none, the address is on the screen already.
fn open(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        tell_note("no browser could be opened; open the address yourself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(method: SignInMethod, comes_back: bool) -> SignInView {
        let stage = SignInStage::Waiting { url: "https://issuer.example/x".into(), user_code: None };
        let id = "flow_1".to_owned();
        SignInView { id, method, renews: None, stage, comes_back, begun_at: 0, expires_at: 1 }
    }

    #[test]
    fn people_are_told_what_to_open_and_what_comes_then() {
        let elsewhere = Place::Elsewhere { url: "https://gateway.example".into() };
        for (code, comes_back, place, says) in [
            (Some("ABCD-EFGH"), true, &Place::Database, "type this code: ABCD-EFGH"),
            (None, true, &Place::Database, "If the browser runs on another machine"),
            (None, false, &Place::Database, "The browser then ends on a page"),
            (None, true, &elsewhere, "The browser then ends on a page"),
        ] {
            let view = begun(SignInMethod::Browser, comes_back);
            let lines = what_to_do("https://issuer.example/x", code, &view, place).join("\n");
            assert!(lines.contains("  https://issuer.example/x\n") && lines.contains(says), "{lines}");
        }
    }
}
