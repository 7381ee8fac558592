//! `switchyard completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, tell};

/// What `completions` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard completions bash > ~/.local/share/bash-completion/completions/switchyard
  switchyard completions zsh > \"${fpath[1]}/_switchyard\"
  switchyard completions fish > ~/.config/fish/completions/switchyard.fish")]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the script.
pub(super) fn run(args: &CompletionsArgs) {
    tell(script(args.shell).trim_end());
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "switchyard", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_the_commands() {
        let shells: Vec<String> = Shell::value_variants().iter().map(ToString::to_string).collect();
        assert_eq!(shells, ["bash", "elvish", "fish", "powershell", "zsh"]);
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["switchyard", "account", "login", "codex-bin", "revoke", "rollback"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
