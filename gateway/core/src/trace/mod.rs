//! The exact inputs of the last rankings, kept to be decided again: by another policy, by an edited one, or by the same
//! one to prove that it answers as it did. Bounded, without text of prompts. Refuses: judging what a replay finds.

mod line;
mod log;

pub use line::{MAX_TRACE_BYTES, MAX_TRACED, TRACE_VERSION, TraceError, read, write};
pub use log::{DEFAULT_KEPT, MAX_TRACED_CANDIDATES, TraceLog, TraceOptions};
