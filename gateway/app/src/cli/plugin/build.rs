//! `switchyard plugin build`: cargo makes a core module, this makes a component of it and puts the manifest beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use gateway_plugin_host::Manifest;
use wit_component::ComponentEncoder;

use super::super::tell;
use super::toolchain::{TARGET, Toolchain};

/// What `plugin build` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
    /// The project's folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Where to put the component and its manifest [default: the project's folder]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Where cargo works; several projects may share one [default: target/plugin in the project's folder]
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
}

/// Builds a project.
pub(super) fn run(args: &BuildArgs) -> anyhow::Result<()> {
    let manifest_path = args.folder.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest_path).with_context(|| {
        format!("cannot read {}; begin with `switchyard plugin new`", manifest_path.display())
    })?;
    let manifest = Manifest::parse(&text).with_context(|| format!("read {}", manifest_path.display()))?;
    let target = args.target_dir.clone().unwrap_or_else(|| args.folder.join("target/plugin"));
    let module = compile(&args.folder, &std::path::absolute(&target)?, &manifest.name)?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .context("the module is no plugin; export a type with one of the SDK's export macros")?;
    let out = args.out.as_ref().unwrap_or(&args.folder);
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let file = out.join(format!("{}.wasm", manifest.name));
    write(&file.with_extension("toml"), text.as_bytes())?;
    write(&file, &component)?;
    tell(&format!("built {} ({} KiB)", file.display(), component.len().div_ceil(1024)));
    Ok(())
}

/// `target` is a folder of its own: the compiler may be another one than that of the project's tests.
fn compile(folder: &Path, target: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut cargo = Toolchain::find()?.cargo();
    cargo.current_dir(folder).arg("--target-dir").arg(target);
    let status = cargo.status().context("cannot start cargo; install Rust from https://rustup.rs")?;
    if !status.success() {
        bail!("cargo could not build it, see above");
    }
    let module = target.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
    ensure!(
        module.is_file(),
        "cargo left no {}: the package in Cargo.toml must be called `{name}` and have crate-type = [\"cdylib\"]",
        module.display()
    );
    std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))
}

/// Beside the target and renamed over it: a gateway that watches the folder never reads half a file.
fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, bytes)
        .and_then(|()| std::fs::rename(&partial, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
