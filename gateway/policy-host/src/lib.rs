//! Runs Rhai scripts behind the gateway's extension traits: a closed engine, explicit limits, a small
//! vocabulary.
//!
//! A script reaches nothing but what it is handed: no files but the modules beside it, and those only while it is
//! loaded; no clock, no printing, no `eval`. It cannot run longer than its operations and its deadline allow. What a
//! policy may say is in [`vocabulary`]; `policies/README.md` explains it to the people who write policies.

mod case;
mod check;
mod compile;
mod deadline;
mod engine;
mod error;
mod folder;
mod format;
mod hooked;
mod measure;
mod modules;
mod policy;
mod reference;
mod tester;
mod vocabulary;

pub use check::{CaseQuestion, Outcome, Report, Step, check, check_source, read_case};
pub use error::{ScriptError, ScriptErrorKind};
pub use folder::{Change, FolderWatch, POLL_INTERVAL, PolicyFolder, RollbackError};
pub use format::{FormatError, format};
pub use measure::{Timing, measure};
pub use policy::{RhaiHost, RhaiPolicy};
pub use reference::{definitions, reference};

#[cfg(test)]
mod tests;
