//! The words a policy is written in.
//!
//! A policy gets a [`Request`], narrows its [`Candidates`] down, computes a score for all of them at once as a
//! [`Column`](column::Column), and answers a [`Verdict`]. Everything is a read-only view of one shared snapshot, so
//! handing it around copies a pointer. All words are bounded: their cost grows with the number of candidates and
//! nothing else, because no limit interrupts them.

mod arithmetic;
mod asking;
pub(crate) mod book;
mod candidates;
mod column;
mod numbers;
mod order;
mod profile;
mod prompt;
mod request;
mod scalars;
mod verdict;

use book::Book;

pub(crate) use asking::{Asked, Counters, Mapped, UsageSeen};
pub(crate) use candidates::Candidates;
pub(crate) use prompt::{Answered, EventSeen, EventStep, PromptSeen};
pub(crate) use request::{Request, Snapshot};
pub(crate) use verdict::Verdict;

/// Teaches an engine all of them.
pub(crate) fn register(book: &mut Book) {
    request::register(book);
    candidates::register(book);
    numbers::register(book);
    order::register(book);
    profile::register(book);
    column::register(book);
    arithmetic::register(book);
    scalars::register(book);
    verdict::register(book);
    asking::register(book);
    prompt::register(book);
}

/// An error that the script's author reads.
pub(crate) fn complaint(text: impl Into<String>) -> Box<rhai::EvalAltResult> {
    text.into().into()
}
