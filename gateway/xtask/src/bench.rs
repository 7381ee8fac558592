//! To come.
use std::path::Path;
pub(crate) fn run(_root: &Path, _arguments: &[String]) -> anyhow::Result<()> { Ok(()) }
