//! One page per file. A page loads what it shows, lays it out, and hands actions to `api`.

pub(crate) mod account;
mod account_actions;
pub(crate) mod add_account;
pub(crate) mod decision;
pub(crate) mod decisions;
pub(crate) mod keys;
pub(crate) mod not_found;
pub(crate) mod overview;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod waiting;
