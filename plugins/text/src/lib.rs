//! Text in any language, for the shipped filters: one spelling for what looks alike, words found in one pass, counts and
//! cuts that split no character as a reader sees it. Knows no hook and no rule; those are the plugins'.

mod count;
mod fold;
mod hidden;
pub mod pattern;
mod terms;

pub use count::{Count, Limit};
pub use fold::{Folded, fold, fold_with_places};
pub use hidden::{Disguises, disguises};
pub use terms::{Found, MAX_TERM_BYTES, MAX_TERMS, Open, TermError, Terms};
