//! What clients call.

pub(crate) mod health;
pub(crate) mod models;
pub(crate) mod turns;
