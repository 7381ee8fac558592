//! Compiled code kept between starts: found again, and refused when somebody touched it.

use std::fs;
use std::path::{Path, PathBuf};

use gateway_domain::Secret;
use gateway_scheduler::{Action, RankingPolicy as _};

use super::fixtures::{SLEEPING, ask};
use crate::{CacheTally, PluginHost};

fn load(folder: &Path, key: u8) -> CacheTally {
    let host = PluginHost::with_cache(folder, &Secret::new([key; 32])).unwrap();
    let plugin = host.load("one", &SLEEPING.component(), "").unwrap();
    let (roster, input) = ask(0, 1);
    assert_eq!(plugin.rank(&roster, &input).unwrap().action, Action::Delegate);
    host.cache().unwrap()
}

fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().unwrap()
}

#[test]
fn code_is_found_again_after_a_restart() {
    let at = tempfile::tempdir().unwrap();
    assert_eq!(load(at.path(), 1), CacheTally { hits: 0, misses: 1, refused: 0 });
    assert_eq!(load(at.path(), 1), CacheTally { hits: 1, misses: 0, refused: 0 });
}

#[test]
fn what_somebody_else_wrote_is_deleted_and_compiled_again() {
    let at = tempfile::tempdir().unwrap();
    load(at.path(), 1);
    let file = only_file(at.path());
    let written = fs::read(&file).unwrap();
    let refused = CacheTally { hits: 0, misses: 1, refused: 1 };
    for at_byte in [0, 8, 39, 40, written.len() / 2, written.len() - 1] {
        let mut tampered = written.clone();
        tampered[at_byte] ^= 1;
        fs::write(&file, tampered).unwrap();
        assert_eq!(load(at.path(), 1), refused, "byte {at_byte}");
        assert_eq!(fs::read(&file).unwrap().len(), written.len(), "it was written again");
    }
    fs::write(&file, &written[..written.len() / 2]).unwrap();
    assert_eq!(load(at.path(), 1), refused, "half a file");
    fs::write(&file, &written).unwrap();
    assert_eq!(load(at.path(), 2), refused, "another installation's key");
}

#[test]
fn one_components_code_does_not_pass_as_anothers() {
    let at = tempfile::tempdir().unwrap();
    load(at.path(), 1);
    let file = only_file(at.path());
    let name = file.file_name().unwrap().to_str().unwrap();
    let other =
        super::fixtures::Hostile { otherwise: "(call $wait_ms (i32.const 9))", ..SLEEPING }.component();
    let digest = crate::digest::full(&other);
    let (_, engine) = name.split_once('-').unwrap();
    fs::copy(&file, at.path().join(format!("{digest}-{engine}"))).unwrap();
    let host = PluginHost::with_cache(at.path(), &Secret::new([1; 32])).unwrap();
    let plugin = host.load("one", &other, "").unwrap();
    let (roster, input) = ask(0, 1);
    assert_eq!(plugin.rank(&roster, &input).unwrap().action, Action::WaitMs(9));
    assert_eq!(host.cache().unwrap().refused, 1);
}
