//! How to compile for WebAssembly on the machine of somebody who writes a plugin: rustup's standard library, or Debian's
//! compiler that builds one from its source. Installs nothing; says what to install. (`cargo xtask` knows the same two ways for
//! this repository, and fetches what is missing.)

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

/// The target: nothing of the machine is reachable from it.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler and the source of its standard library.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";

/// A way to compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// The compiler in use has the target.
    Ready,
    /// Debian's compiler builds the standard library; rustup's folder lends the linker.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// Finds one that is installed.
    pub(super) fn find() -> anyhow::Result<Self> {
        if ask_rustc(&["--print", "target-libdir", "--target", TARGET]).is_some_and(|folder| folder.is_dir())
        {
            return Ok(Self::Ready);
        }
        let linker = ask_rustc(&["--print", "sysroot"])
            .map(|sysroot| sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"));
        match linker {
            Some(linker)
                if linker.is_file()
                    && Path::new(DEBIAN_SOURCE).is_dir()
                    && Path::new(DEBIAN_RUSTC).is_file() =>
            {
                Ok(Self::Debian { linker })
            }
            _ => bail!(
                "Rust cannot compile for WebAssembly here; run `rustup target add {TARGET}` (or, on Debian beside rustup, \
                 install rustc-web, cargo-web and rust-web-src)"
            ),
        }
    }

    /// `cargo build` for [`TARGET`].
    pub(super) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.args(["build", "--release", "--target", TARGET]);
        // What a shell set for its own builds is not meant for this one.
        command.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
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
}

fn ask_rustc(arguments: &[&str]) -> Option<PathBuf> {
    let output = Command::new("rustc").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim())).filter(|_| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_build_for_the_target_and_only_one_needs_unstable_flags() {
        let arguments = |way: &Toolchain| -> Vec<String> {
            way.cargo().get_args().map(|one| one.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(arguments(&Toolchain::Ready), ["build", "--release", "--target", TARGET]);
        let debian = Toolchain::Debian { linker: PathBuf::from("/linker") };
        assert!(arguments(&debian).ends_with(&["-Z".to_owned(), "build-std=std,panic_abort".to_owned()]));
        let cargo = debian.cargo();
        let rustc = cargo.get_envs().find(|(name, _)| *name == "RUSTC").and_then(|(_, value)| value);
        assert_eq!(rustc, Some(std::ffi::OsStr::new(DEBIAN_RUSTC)));
    }
}
