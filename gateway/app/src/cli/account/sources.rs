//! The texts behind a path: standard input, a file, a `CODEX_HOME`, or the home folder of codexlb.
//!
//! Refuses: guessing which of a folder's files hold accounts; only `auth.json` does.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gateway_core::import::MAX_IMPORT_BYTES;

/// The file that holds a sign-in.
const AUTH_JSON: &str = "auth.json";
/// Folders in which others keep a folder for each account.
const ACCOUNT_FOLDERS: &[&str] = &["accounts", "auth-accounts"];
/// Folders looked into at most.
const MAX_FOLDERS: usize = 20_000;

/// One text.
pub(super) struct Source {
    /// Its name in places, when there are several.
    pub(super) label: Option<String>,
    /// What its account is to be called.
    pub(super) name: Option<String>,
    /// The text.
    pub(super) text: String,
}

/// All texts behind a path.
///
/// # Errors
/// It cannot be read, or holds none.
pub(super) fn sources(path: &Path) -> anyhow::Result<Vec<Source>> {
    if path == Path::new("-") {
        let text = take(std::io::stdin()).context("cannot read standard input")?;
        return Ok(vec![Source { label: None, name: None, text }]);
    }
    if !path.is_dir() {
        return Ok(vec![Source { label: None, name: None, text: read(path)? }]);
    }
    let mut found = Vec::new();
    let own = path.join(AUTH_JSON);
    if own.is_file() {
        found.push(Source { label: Some(AUTH_JSON.to_owned()), name: None, text: read(&own)? });
    }
    for folder in ACCOUNT_FOLDERS {
        found.extend(accounts_in(&path.join(folder), folder)?);
    }
    if found.is_empty() && path.file_name().is_some_and(|name| ACCOUNT_FOLDERS.iter().any(|one| name == *one))
    {
        found.extend(accounts_in(path, "")?);
    }
    if found.is_empty() {
        bail!(
            "{} holds neither an auth.json nor a folder `accounts` with one for each account",
            path.display()
        );
    }
    Ok(found)
}

/// The accounts of a folder that has a folder for each, by name.
fn accounts_in(folder: &Path, label: &str) -> anyhow::Result<Vec<Source>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| cannot_read(folder))? {
        if paths.len() == MAX_FOLDERS {
            bail!("{} holds more than {MAX_FOLDERS} folders; import parts of it", folder.display());
        }
        let file = entry.with_context(|| cannot_read(folder))?.path().join(AUTH_JSON);
        if file.is_file() {
            paths.push(file);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|file| {
            let alias =
                file.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            let text = read(&file)?;
            let parts = [label, alias.as_deref().unwrap_or_default(), AUTH_JSON];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            // Codexlb names its folders for people; the other folder holds ids.
            let name = alias.clone().filter(|_| label != "auth-accounts");
            Ok(Source { label: Some(parts.join("/")), name, text })
        })
        .collect()
}

fn read(path: &Path) -> anyhow::Result<String> {
    File::open(path).and_then(take).with_context(|| cannot_read(path))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// One byte more than the reader takes: it says what is wrong with a text that is larger.
fn take(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_IMPORT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    from.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, file: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }

    /// Label, name and text of each source.
    fn gist(path: &Path) -> Vec<(Option<String>, Option<String>, String)> {
        sources(path).unwrap().into_iter().map(|source| (source.label, source.name, source.text)).collect()
    }

    fn one(label: &str, name: Option<&str>, text: &str) -> (Option<String>, Option<String>, String) {
        (Some(label.to_owned()), name.map(str::to_owned), text.to_owned())
    }

    #[test]
    fn folders_are_known_by_what_is_in_them() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        put(root.path(), "home/auth.json");
        put(root.path(), "home/config.toml");
        put(root.path(), "lb/accounts/work/auth.json");
        put(root.path(), "lb/accounts/home/auth.json");
        put(root.path(), "lb/accounts/empty/config.toml");
        put(root.path(), "lb/store.json");
        put(root.path(), "sess/auth-accounts/1f2e/auth.json");
        put(root.path(), "none/notes.txt");
        assert_eq!(gist(&at("home")), [one("auth.json", None, "home/auth.json")]);
        assert_eq!(
            gist(&at("lb")),
            [
                one("accounts/home/auth.json", Some("home"), "lb/accounts/home/auth.json"),
                one("accounts/work/auth.json", Some("work"), "lb/accounts/work/auth.json"),
            ]
        );
        assert_eq!(gist(&at("lb/accounts")).len(), 2);
        assert_eq!(
            gist(&at("sess")),
            [one("auth-accounts/1f2e/auth.json", None, "sess/auth-accounts/1f2e/auth.json")]
        );
        assert_eq!(gist(&at("home/auth.json")), [(None, None, "home/auth.json".to_owned())]);
        for missing in ["none", "nowhere"] {
            assert!(sources(&at(missing)).err().unwrap().to_string().contains(missing));
        }
    }
}
