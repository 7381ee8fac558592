//! The `openai-responses` dialect.

mod collect;
mod compact;
mod error;
mod event;
mod foreign;
mod request;
mod turn;

pub use collect::{Collector, TooLarge};
pub use compact::{compact_for_codex, compaction_of};
pub use error::{error_body, failed_event, whole_seconds};
pub(crate) use error::{error_code, error_type};
pub use event::{EventKind, Terminal, classify_event, read_terminal, response_id};
pub use foreign::without_foreign_reasoning;
pub use request::{CallerKind, CodexBody, Decoded, RequestError, Routing, decode};
pub use turn::Responses;
