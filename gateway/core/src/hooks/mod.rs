//! The hooks beside `schedule`: what a mapping, a filter and an observer are given and what they answer, whether a
//! Rhai script or a WASM component.
//!
//! Pure types, their checks, the hold queue of a filtered stream, and the guard around every call, which alone looks at
//! a clock. Refuses: IO, engines, and the wiring into the pipeline. These are the Rust twins of `wit/models.wit`, `wit/filters.wit` and `wit/observers.wit`; clock
//! and seed are inputs, so that the same question gets the same answer.

mod attachment;
mod breaker;
mod check;
mod context;
mod guard;
mod hold;
mod mapping;
mod observe;
mod prompt;
mod response;
mod stream;
mod tally;

pub use attachment::{Attachment, DEFAULT_ORDER, Hook};
pub use check::{
    MAX_CARRY_BYTES, MAX_EDIT_BYTES, MAX_EDITS, MAX_HITS, MAX_TARGETS, check_batch, check_outcome,
    check_resolution,
};
pub use context::{Failing, RequestContext};
pub use guard::{BreakerState, Guard, Health};
pub use hold::{HoldQueue, Limits as HoldLimits, Overflow, Released};
pub use mapping::{CatalogEntry, Mapping, ModelMapper, Resolution, Target};
pub use observe::{UsageObserver, UsageOutcome, UsageRecord};
pub use prompt::{
    BodyView, Edit, FilterOutcome, FilterVerdict, Hit, Insertion, PromptBody, PromptFilter, Role, TextPart,
};
pub use response::{
    Batch, Emission, RawEvent, ResponseFilter, Step, StreamEvent, StreamInterest, TextDelta, ToolDelta,
};
pub use stream::{AtEnd, Ending, FilteredStream, Flow, Mode, Outgoing, Viewed};
pub use tally::{HookFailure, HookTally};

/// Why an extension gave no answer, the same for every hook.
pub use gateway_scheduler::PolicyError as HookError;
/// Which extension answered, precisely enough to find it again.
pub use gateway_scheduler::PolicyVersion as ExtensionVersion;
