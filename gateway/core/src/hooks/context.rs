//! What every hook beside `schedule` sees of a request.

use gateway_domain::{Dialect, Timestamp};
use gateway_scheduler::RequestInfo;
use serde::{Deserialize, Serialize};

/// The facts about one request. No prompt text, no credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestContext {
    /// What policies see too.
    pub info: RequestInfo,
    /// The clock, as an input.
    pub now: Timestamp,
    /// Entropy, as an input.
    pub seed: u64,
    /// The dialect the client speaks.
    pub dialect: Dialect,
    /// The reasoning effort the client asked for.
    pub reasoning_effort: Option<String>,
    /// The most output the client asked for.
    pub max_output_tokens: Option<u32>,
    /// The headers the operator allowed, names in lower case. Never credentials.
    pub headers: Vec<(String, String)>,
}

/// What becomes of a request when its extension fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failing {
    /// It goes on as if the extension were not there.
    Open,
    /// It is refused, or its stream is aborted.
    Closed,
    /// What is built in answers instead.
    Fallback,
}

impl Failing {
    /// The word used in manifests and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Fallback => "fallback",
        }
    }
}
