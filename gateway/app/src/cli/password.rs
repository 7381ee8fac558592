//! The dashboard's password, once more, for what an operator key alone must not do: from a line of standard input, or
//! typed without being shown.
//!
//! Refuses: a password as an argument; everybody on the machine reads those.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::oneshot;

use super::{WrongUse, line_of_stdin};

/// A longer line is no password.
const MAX_BYTES: usize = 2048;

/// Where the password comes from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// With --url: take the gateway's dashboard password from one line of standard input, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArgs {
    /// Reads it, asking if somebody is there.
    pub(super) async fn read(&self, url: &str) -> anyhow::Result<String> {
        let password = if self.password_stdin {
            line_of_stdin(MAX_BYTES).context("read the password")?
        } else if std::io::stdin().is_terminal() {
            ask(url).await?
        } else {
            let message =
                "taking tokens out of a gateway needs its dashboard password: give it with --password-stdin";
            return Err(WrongUse(message.to_owned()).into());
        };
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            bail!("no password was given");
        }
        Ok(password)
    }
}

async fn ask(url: &str) -> anyhow::Result<String> {
    let mut out = std::io::stderr();
    write!(out, "dashboard password of {url}: ")
        .and_then(|()| out.flush())
        .context("ask for the password")?;
    let hidden = Hidden::begin();
    let (send, typed) = oneshot::channel();
    // Reading a line cannot be called off, so a thread of its own does; it ends with the command.
    std::thread::spawn(move || send.send(line_of_stdin(MAX_BYTES)));
    let typed = tokio::select! {
        typed = typed => typed,
        // Unheard, it would end the command and leave the terminal mute.
        _ = tokio::signal::ctrl_c() => bail!("no password was given"),
    };
    drop(hidden);
    drop(writeln!(out));
    typed.context("read the password")?.context("read the password")
}

/// While it lives, the terminal does not show what is typed.
struct Hidden;

impl Hidden {
    fn begin() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
    }
}

/// Where there is no `stty` the password is seen by who typed it.
fn stty(what: &str) {
    let done = Command::new("stty").arg(what).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
    if let Err(error) = done {
        tracing::warn!(%error, "what is typed is shown");
    }
}
