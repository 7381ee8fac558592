//! The `openai-responses` dialect.

mod collect;
mod compact;
mod error;
mod event;
mod foreign;
mod request;
mod seal;
mod socket;
mod turn;
mod upstream_socket;

pub use collect::{Collector, TooLarge};
pub use compact::{compact_for_codex, compaction_of};
pub use error::{error_body, failed_event, whole_seconds};
pub(crate) use error::{error_code, error_type};
pub use event::{EventKind, Terminal, classify_event, read_terminal, response_id};
pub use foreign::without_foreign_reasoning;
pub use request::{CallerKind, CodexBody, Decoded, RequestError, Routing, decode};
pub use seal::{
    SealKind, marked_seals_in, may_hold_compaction, sealed_item, sealed_items, seals_in, without_reasoning,
};
pub use socket::{
    Create, Purpose, TURN_HEADERS, error_event_frame, error_frame, output_item, prepared_frames,
    rate_limits_frame, read_create,
};
pub use turn::Responses;
pub use upstream_socket::{
    FramedEvent, GoingOn, LITE_HEADER, RefusedFrame, SocketBody, event_of_frame, refused_frame,
};
