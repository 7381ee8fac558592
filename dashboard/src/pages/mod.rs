//! One page per file. A page loads what it shows, lays it out, and hands actions to `api`.

pub(crate) mod account;
mod account_actions;
mod account_facts;
mod account_headers;
mod account_settings;
pub(crate) mod accounts;
pub(crate) mod add_account;
pub(crate) mod decision;
pub(crate) mod decisions;
pub(crate) mod keys;
pub(crate) mod not_found;
pub(crate) mod overview;
pub(crate) mod proxies;
mod proxy_form;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod waiting;
