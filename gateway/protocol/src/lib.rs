//! Dialects on the wire: framing, the fields that routing needs, body rules, error classification and bodies.
//!
//! Sans-IO and synchronous. The only crate that knows a provider's field names. What needs no change is never
//! re-serialised: edits copy the untouched members byte for byte.

pub mod calls;
pub mod chat;
pub mod codex;
#[cfg(test)]
mod fuzz;
pub mod images;
mod json;
mod keep_alive;
pub mod messages;
pub mod models;
mod openai;
pub mod responses;
pub mod sse;
pub mod texts;
pub mod translate;
pub mod turn;
mod wire;

pub use keep_alive::keep_alive;
