//! Scripts against the real engine: the shipped ones and their cases, every word, and attempts to break out.

mod checks;
mod folder;
mod guarding;
mod hostile;
mod language;
mod lists;
mod modules;
mod reference;
mod shipped;

use std::path::{Path, PathBuf};

/// The folder of the shipped policies.
fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}
