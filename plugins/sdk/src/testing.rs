//! Requests about which nothing is known, for the tests of plugins: a test names what matters to it and takes the rest
//! from here.

use crate::{Dialect, RequestContext, RequestInfo, Surface};

/// What a ranking is told of a request, all of it empty.
#[must_use]
pub fn request_info() -> RequestInfo {
    RequestInfo {
        client: String::new(),
        session_key: None,
        requested_model: String::new(),
        surface: Surface::Api,
        streaming: false,
        body_bytes: 0,
        attempt: 0,
        now_ms: 0,
        seed: 0,
        ext_json: None,
    }
}

/// What a mapping or a filter is told of a request for a model.
#[must_use]
pub fn request_context(model: &str) -> RequestContext {
    RequestContext {
        request_id: String::new(),
        info: RequestInfo { requested_model: model.to_owned(), ..request_info() },
        dialect: Dialect::OpenaiChat,
        reasoning_effort: None,
        max_output_tokens: None,
        headers: Vec::new(),
    }
}
