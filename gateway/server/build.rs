//! Embeds the built dashboard. It only lists files: building the dashboard is `cargo xtask`'s work, because a cargo
//! inside a build script would wait for itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = Path::new(&var("CARGO_MANIFEST_DIR")?).join("../../dashboard/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut table = String::from("&[\n");
    let mut files = Vec::new();
    if dist.is_dir() {
        list(&dist, &mut files)?;
    }
    files.sort();
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&dist).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let path = file.canonicalize()?;
        writeln!(table, "({name:?}, include_bytes!({path:?}).as_slice()),").map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(Path::new(&var("OUT_DIR")?).join("dashboard.rs"), table)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a build script is told by the environment")]
fn var(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
