//! Embeds the shipped scripts and the built components. It only lists files; building components is `cargo xtask`'s work.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(var("OUT_DIR")?);
    fs::write(out.join("scripts.rs"), table(&root.join("policies"), "rhai", "include_str!")?)?;
    fs::write(out.join("components.rs"), table(&root.join("plugins/dist"), "wasm", "include_bytes!")?)?;
    fs::write(out.join("manifests.rs"), table(&root.join("plugins/dist"), "toml", "include_str!")?)?;
    fs::write(out.join("wit.rs"), kit(&root.join("wit"), "wit")?)?;
    fs::write(out.join("sdk.rs"), kit(&root.join("plugins/sdk/src"), "rs")?)?;
    fs::write(out.join("sdk_dependency.rs"), format!("{:?}", sdk_dependency(&root.join("Cargo.toml"))?))
}

/// What `plugin new` writes beside a plugin. Full names: the files lie in no folder below this one.
fn kit(folder: &Path, ending: &str) -> io::Result<String> {
    let mut table = String::from("[\n");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        writeln!(table, "({name:?}, include_str!({:?})),", path.canonicalize()?).map_err(io::Error::other)?;
    }
    table.push(']');
    Ok(table)
}

/// The one thing the SDK is built on, in the version and with the features that the workspace names.
fn sdk_dependency(manifest: &Path) -> io::Result<String> {
    println!("cargo::rerun-if-changed={}", manifest.display());
    let text = fs::read_to_string(manifest)?;
    let line = text.lines().find(|line| line.starts_with("wit-bindgen = "));
    line.map(str::to_owned).ok_or_else(|| io::Error::other("Cargo.toml names no wit-bindgen"))
}

fn table(folder: &Path, ending: &str, include: &str) -> io::Result<String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?,
        Err(_) => Vec::new(),
    };
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    let mut table = String::from("[\n");
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        writeln!(table, "({name:?}, {include}({:?})),", path.canonicalize()?).map_err(io::Error::other)?;
    }
    table.push(']');
    Ok(table)
}

#[expect(clippy::disallowed_methods, reason = "a build script is told by the environment")]
fn var(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
