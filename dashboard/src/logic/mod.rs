//! What the pages say and in which order: plain functions from wire shapes to words and numbers.
//!
//! Nothing here touches the browser or a signal, so all of it is tested on the host.

pub(crate) mod account_filter;
pub(crate) mod account_order;
pub(crate) mod accounts;
pub(crate) mod answer;
pub(crate) mod backoff;
pub(crate) mod decisions;
pub(crate) mod draft;
pub(crate) mod form;
pub(crate) mod imports;
pub(crate) mod key_account;
pub(crate) mod number;
pub(crate) mod paging;
pub(crate) mod policies;
pub(crate) mod roster;
pub(crate) mod sign_ins;
pub(crate) mod spark;
pub(crate) mod time;
pub(crate) mod tries;
pub(crate) mod windows;
