//! `switchyard`: reads the command line and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway_app::cli::main()
}
