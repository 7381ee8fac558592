//! The `openai-responses` dialect.

mod collect;
mod error;
mod event;
mod request;

pub use collect::{Collector, TooLarge};
pub use error::{error_body, failed_event, whole_seconds};
pub use event::{EventKind, Terminal, classify_event, read_terminal, response_id};
pub use request::{CallerKind, Decoded, RequestError, Routing, decode};
