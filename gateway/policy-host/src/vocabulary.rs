//! The words a policy is written in.
//!
//! A policy gets a [`Request`], narrows its [`Candidates`] down, computes a score for all of them at once as a
//! [`Column`], and answers a [`Verdict`]. Everything is a read-only view of one shared snapshot, so handing it
//! around copies a pointer. All words are bounded: their cost grows with the number of candidates and nothing
//! else, because no limit interrupts them.

mod candidates;
mod column;
mod numbers;
mod request;
mod scalars;
mod verdict;

pub(crate) use candidates::Candidates;
pub(crate) use request::{Request, Snapshot};
pub(crate) use verdict::Verdict;

/// Teaches an engine all of them.
pub(crate) fn register(engine: &mut rhai::Engine) {
    request::register(engine);
    candidates::register(engine);
    column::register(engine);
    scalars::register(engine);
    verdict::register(engine);
}

/// An error that the script's author reads.
fn complaint(text: impl Into<String>) -> Box<rhai::EvalAltResult> {
    text.into().into()
}
