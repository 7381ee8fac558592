//! What clients call.

pub(crate) mod calls;
pub(crate) mod control;
pub(crate) mod count;
pub(crate) mod health;
pub(crate) mod models;
mod patience;
pub(crate) mod socket;
pub(crate) mod turns;
