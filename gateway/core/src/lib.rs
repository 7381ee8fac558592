//! The way of a request: its stages, the ports it needs, the live snapshot, and the background jobs.
//!
//! Refuses: HTTP status codes, SQL, provider clients, script and component engines.

pub mod ports;
