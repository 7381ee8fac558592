//! The internal language between dialects: one turn as a request ([`TurnRequest`]) and as events ([`TurnEvent`]).
//!
//! Owns the types that every dialect module reads and writes, the traits between them, and what is common to all
//! pairs (folding events, putting blocks in a row, tool names that a target cannot express). Knows no provider's
//! field names and does no IO.
//!
//! What a dialect module provides: one type that implements [`Codec`], reachable as a unit struct
//! (`chat::Chat`, `responses::Responses`, `messages::Messages`). Its promises:
//! - `decode_request` refuses what is malformed with a [`TurnError`] that names the member, and says in
//!   [`Decoded::dropped`] what it read and left out. A member that it does not know is such a note, not an error.
//! - `encode_request` leaves out what its dialect cannot say and notes it; it refuses what would change the answer's
//!   meaning when left out. The facade has already run [`ToolNames::flatten`] where the target needs it.
//! - An [`EventDecoder`] emits `Started` first, then blocks, at most one `Finished` or `Failed`, as the last event.
//!   `Usage` comes before `Finished`, is cumulative, and the last one counts. Each block has an index of its own,
//!   counted from 0 in the order of their beginnings; every block that began ends before `Finished`. Only tool calls
//!   may be open beside another block; an encoder that needs one block at a time reads through a [`Sequencer`].
//! - An [`EventEncoder`] writes nothing that looks like a clean end until it sees `Finished`. A stream that was cut
//!   is told to it as `Failed`, and it tells an error of its dialect. After an end it writes nothing more.
//! - A whole answer is decoded into the same events and encoded from their fold ([`TurnAnswer`]).

mod answer;
mod codec;
mod error;
mod event;
mod failure;
mod request;
mod sequence;
mod tools;

pub use answer::{AnswerBlock, Collector, MAX_ANSWER_BYTES, TurnAnswer};
pub use codec::{AnswerContext, Codec, Decoded, Dropped, EventDecoder, EventEncoder};
pub use error::{ErrorKind, ErrorReport, TurnError};
pub use event::{BlockStart, Delta, Started, StopReason, TurnEvent, Usage};
pub use failure::failure_of;
pub use request::{
    Audio, File, Image, Item, Json, MediaSource, Message, Opaque, OutputFormat, OutputOptions, Part,
    Reasoning, ReasoningOptions, Role, Sampling, Sealed, Tool, ToolCall, ToolChoice, ToolKind, ToolOutput,
    ToolResult, TurnRequest,
};
pub use sequence::Sequencer;
pub use tools::ToolNames;

/// A wire protocol: one word everywhere, in settings as on the wire.
pub use gateway_domain::Dialect;

#[cfg(test)]
mod tests;
