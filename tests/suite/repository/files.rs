//! The repository's own files: everything that people wrote, nothing that was built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use switchyard_tests::repository;

/// Folders that hold what was built or fetched.
const BUILT: &[&str] = &["target", "dist", ".git", "node_modules", "snapshots"];

/// One file, with its path below the repository's folder.
pub(super) struct File {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

impl File {
    /// Its text; what is no text is replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// All files with one of these endings, sorted by path; without endings, all there are.
pub(super) fn files(endings: &[&str]) -> Result<Vec<File>> {
    let root = fs::canonicalize(repository())?;
    let mut paths = Vec::new();
    walk(&root, &mut paths)?;
    paths.sort();
    let wanted = paths.into_iter().filter(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        endings.is_empty() || endings.contains(&ending)
    });
    wanted
        .map(|path| {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            Ok(File { path: path.strip_prefix(&root)?.to_string_lossy().into_owned(), bytes })
        })
        .collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        if kind.is_dir() && !BUILT.iter().any(|built| name == *built) {
            walk(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}
