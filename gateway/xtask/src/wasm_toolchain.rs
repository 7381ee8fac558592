//! Finds a way to compile for wasm32-unknown-unknown and hides which one it was.
//!
//! Two ways are known. Where rustup has (or can fetch) the target's standard library, plain cargo does. On a
//! machine that reaches only Debian's packages, their newer compiler builds the standard library from its
//! source and rustup's folder lends the linker. What is already installed is used before anything is fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::debian;
use crate::progress::say;
use crate::tools::output_of;

/// The one target of the dashboard and the plugins.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A network that swallows packets must not hold the build up for longer than this.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(120);

const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Where `rust-web-src` puts the standard library's source.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";

/// A way to compile for [`TARGET`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WasmToolchain {
    /// The active toolchain has the target.
    Rustup,
    /// Debian's compiler builds the standard library; `linker` is rustup's `rust-lld`.
    Debian { linker: PathBuf },
}

impl WasmToolchain {
    /// Uses what is installed, else installs what can be: first by rustup, then by apt.
    ///
    /// # Errors
    /// Neither way is open; the message says what to run by hand.
    pub(crate) fn detect_or_install() -> anyhow::Result<Self> {
        if rustup_has_target() {
            return Ok(Self::Rustup);
        }
        if debian_is_installed() {
            return Self::debian();
        }
        say(&format!("the {TARGET} standard library is missing, asking rustup for it"));
        if rustup_add_target() {
            say(&format!("rustup installed {TARGET}"));
            return Ok(Self::Rustup);
        }
        say(&format!("rustup could not fetch it, asking apt for {}", DEBIAN_PACKAGES.join(" ")));
        install_debian_packages()?;
        Self::debian()
    }

    fn debian() -> anyhow::Result<Self> {
        let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))
            .context("ask rustc for its folder")?;
        let host = "x86_64-unknown-linux-gnu";
        let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
        ensure!(
            linker.is_file(),
            "{} is missing: install Rust by rustup, its folder supplies the linker for WebAssembly",
            linker.display()
        );
        Ok(Self::Debian { linker })
    }

    /// `cargo build` for [`TARGET`] with the `wasm` profile; the caller adds `-p`. Its files are under
    /// [`output_dir`]. It needs a target folder of its own, because the compiler may be another one.
    pub(crate) fn cargo_command(&self, target_dir: &Path) -> Command {
        let mut command = Command::new(cargo());
        command.args(["build", "--target", TARGET, "--profile", "wasm"]);
        command.env("CARGO_TARGET_DIR", target_dir);
        if let Self::Debian { linker } = self {
            // RUSTC_BOOTSTRAP lets a stable compiler take -Z flags.
            command
                .args(["-Z", "build-std=std,panic_abort"])
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    /// For people.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup's standard library",
            Self::Debian { .. } => "Debian's compiler, the standard library built from source",
        }
    }
}

/// Where [`WasmToolchain::cargo_command`] leaves its `.wasm` files.
pub(crate) fn output_dir(target_dir: &Path) -> PathBuf {
    target_dir.join(TARGET).join("wasm")
}

#[expect(clippy::disallowed_methods, reason = "cargo tells its child processes which cargo runs them")]
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Asks the compiler rather than rustup: it answers in milliseconds, and without rustup as well.
fn rustup_has_target() -> bool {
    output_of(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|folder| Path::new(&folder).is_dir())
}

fn debian_is_installed() -> bool {
    Path::new(DEBIAN_SOURCE).is_dir() && Path::new(DEBIAN_RUSTC).is_file()
}

fn rustup_add_target() -> bool {
    let child = Command::new("rustup").args(["target", "add", TARGET]).stdin(Stdio::null()).spawn();
    let Ok(mut child) = child else { return false };
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success() && rustup_has_target(),
            Ok(None) if started.elapsed() < RUSTUP_PATIENCE => {
                std::thread::sleep(Duration::from_millis(200));
            }
            // Too slow, or lost sight of it: end it and take the other way.
            _ => {
                let _ended = child.kill().and_then(|()| child.wait());
                return false;
            }
        }
    }
}

fn install_debian_packages() -> anyhow::Result<()> {
    debian::install(
        &DEBIAN_PACKAGES,
        &format!("compile for {TARGET} (or run `rustup target add {TARGET}`)"),
    )?;
    ensure!(debian_is_installed(), "apt-get left no {DEBIAN_SOURCE}; run `rustup target add {TARGET}`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debian_way_names_its_compiler_linker_and_flags() {
        let linker = PathBuf::from("/toolchain/bin/rust-lld");
        let command = WasmToolchain::Debian { linker }.cargo_command(Path::new("/tmp/target"));
        let args: Vec<_> = command.get_args().filter_map(|arg| arg.to_str()).collect();
        assert!(args.windows(2).any(|pair| pair == ["-Z", "build-std=std,panic_abort"]), "{args:?}");
        let env = |name: &str| {
            let found = command.get_envs().find(|(key, _)| *key == name)?;
            found.1?.to_str()
        };
        assert_eq!(env("RUSTC"), Some("/usr/bin/rustc"));
        assert_eq!(env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER"), Some("/toolchain/bin/rust-lld"));
        assert_eq!(env("CARGO_TARGET_DIR"), Some("/tmp/target"));
    }

    #[test]
    fn rustups_way_is_plain_cargo() {
        let command = WasmToolchain::Rustup.cargo_command(Path::new("/tmp/target"));
        let args: Vec<_> = command.get_args().filter_map(|arg| arg.to_str()).collect();
        assert_eq!(args, ["build", "--target", TARGET, "--profile", "wasm"]);
        assert!(!command.get_envs().any(|(key, _)| key == "RUSTC"));
    }
}
