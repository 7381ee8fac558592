//! Embeds the shipped scripts and the built components. It only lists files; building components is `cargo xtask`'s work.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = Path::new(&var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(var("OUT_DIR")?);
    fs::write(out.join("scripts.rs"), table(&root.join("policies"), "rhai", "include_str!")?)?;
    fs::write(out.join("components.rs"), table(&root.join("plugins/dist"), "wasm", "include_bytes!")?)?;
    fs::write(out.join("manifests.rs"), table(&root.join("plugins/dist"), "toml", "include_str!")?)
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
