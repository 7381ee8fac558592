//! The binary's inside: configuration, the composition root, the command line.
//!
//! The only crate that sees every other one, and the only one that reads the environment.

pub mod cli;
pub mod config;
mod demo;
mod extensions;
mod refresher;
pub mod run;
mod shared_file;
mod telemetry;
mod workbench;

pub use config::Settings;
pub use gateway_server::Offered;
pub use gateway_upstream::SocketUse;
pub use run::{Refreshing, Running, StartError, start};
