//! The log: for people on a terminal, one JSON object a line elsewhere. It goes to standard error, so that what commands
//! print stays clean.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, Settings};

/// Starts the log.
pub(crate) fn start(settings: &Settings) {
    let terminal = std::io::stderr().is_terminal();
    let pretty = match settings.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    // The filter was checked with the other settings.
    let filter = EnvFilter::try_new(&settings.log_filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if pretty {
        log.with_ansi(terminal).with_target(false).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    // Only a second start in one process fails, and then there is a log already.
    drop(started);
}
