//! What every end-to-end test starts from: a lab, a gateway in front of it, and a client that knows its ways.
//!
//! [`InProcess`] runs the gateway in the test's own process on the lab's virtual clock; [`Spawned`] runs the real
//! binary, as a user would.

mod admin;
mod answer;
mod dialect;
mod in_process;
mod metrics;
mod postgres;
mod socket;
mod spawned;
mod sse;
mod wait;

pub use admin::{Admin, PASSWORD};
pub use answer::{Answer, OpenAiError};
pub use dialect::{Call, Ended, Heard, PIXEL, Speaks};
pub use in_process::InProcess;
pub use metrics::Metrics;
pub use postgres::Postgres;
pub use socket::{Socket, create};
pub use spawned::{Spawned, binary, repository};
pub use sse::{Event, events_of, read_events};
pub use wait::{eventually, eventually_within};

use serde_json::{Value, json};

/// A short turn as an SDK sends it.
#[must_use]
pub fn turn(text: &str) -> Value {
    json!({ "model": "gpt-5.5", "input": text, "stream": true })
}
