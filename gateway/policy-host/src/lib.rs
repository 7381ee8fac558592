//! Runs Rhai scripts behind the gateway's extension traits: a closed engine, explicit limits, a small
//! vocabulary.
//!
//! A script reaches nothing but what it is handed: no files, no modules, no clock, no printing, no `eval`. It
//! cannot run longer than its operations and its deadline allow. What a policy may say is in [`vocabulary`];
//! `policies/README.md` explains it to the people who write policies.

mod deadline;
mod engine;
mod error;
mod policy;
mod vocabulary;

pub use error::{ScriptError, ScriptErrorKind};
pub use policy::{RhaiHost, RhaiPolicy};

#[cfg(test)]
mod tests;
