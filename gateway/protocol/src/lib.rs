//! Dialects on the wire: framing, the fields that routing needs, body rules, error classification and bodies.
//!
//! Sans-IO and synchronous. The only crate that knows a provider's field names. What needs no change is never
//! re-serialised: edits copy the untouched members byte for byte.

pub mod codex;
mod json;
pub mod models;
pub mod responses;
pub mod sse;
