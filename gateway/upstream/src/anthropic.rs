//! Where the Anthropic API has its endpoints, and the version of it that we speak.

use gateway_core::ports::Endpoint;
use http::{HeaderName, HeaderValue};

use crate::address::Base;

pub(crate) const MODELS: &str = "v1/models";
/// The key goes here, not into `authorization`.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Every request names the version of the API; a native client's own goes along instead.
pub(crate) const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");
pub(crate) const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The base that SDKs are given: without the version.
pub(crate) fn base(base: Base) -> Base {
    base.without_end(&["/v1", "/v1/messages"])
}

pub(crate) const fn path(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::Messages => Some("v1/messages"),
        Endpoint::CountTokens => Some("v1/messages/count_tokens"),
        _ => None,
    }
}
