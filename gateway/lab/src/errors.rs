//! Every error answer the real upstreams are known to give, as one table that tests walk through.
//! Refuses to decide when one is given; faults and handlers pick a row.

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod api;
mod table;

pub use api::API_ERROR_BODIES;
pub(crate) use api::{ANTHROPIC_INVALID_KEY, OPENAI_INVALID_KEY, OPENAI_NO_KEY};
pub(crate) use table::{
    CLIENT_TOO_OLD, INVALID_CLIENT, INVALID_GRANT, NOT_FOUND, PAYLOAD_TOO_LARGE, RATE_LIMIT_EXCEEDED,
    RATE_LIMITED_WITHOUT_CODE, REFRESH_TOKEN_EXPIRED, REFRESH_TOKEN_INVALIDATED, REFRESH_TOKEN_REUSED,
    TOKEN_EXPIRED, TOKEN_INVALIDATED, UNAUTHORIZED_DETAIL, UNPARSABLE_TOKEN_DETAIL, UNSUPPORTED_GRANT,
};
pub use table::{ERROR_BODIES, FAILED_EVENTS};

/// Where upstream answers this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorPlace {
    /// `POST /codex/responses` and the other backend routes.
    Backend,
    /// `POST /oauth/token`.
    Token,
    /// The OpenAI API, with a key.
    OpenAi,
    /// The Anthropic API, with a key.
    Anthropic,
}

/// One row: what comes back, byte for byte, apart from times.
///
/// `@RESETS_AT@` in the text becomes a Unix time [`ErrorBody::RESETS_IN`] seconds ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorBody {
    /// How tests and scripts call it.
    pub name: &'static str,
    /// The status that goes with it.
    pub status: u16,
    /// Which endpoint gives it.
    pub place: ErrorPlace,
    /// `application/json` for nearly all.
    pub content_type: &'static str,
    /// The text, with placeholders.
    pub text: &'static str,
    /// Further headers, `@DATE@` for the HTTP date [`ErrorBody::DATE_IN`] seconds ahead; they win over the account's own rate-limit headers.
    pub headers: &'static [(&'static str, &'static str)],
}

/// A script named an error body that is not in the table.
#[derive(Debug, thiserror::Error)]
#[error("no error body is called {0:?}; the names are in GET /lab/state")]
pub struct UnknownErrorBody(String);

impl ErrorBody {
    /// What `@RESETS_AT@` is ahead of now, in seconds.
    pub const RESETS_IN: i64 = 3600;

    /// What `@DATE@` is ahead of now, in seconds.
    pub const DATE_IN: u64 = 9;

    /// The row with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ERROR_BODIES.iter().chain(API_ERROR_BODIES).find(|row| row.name == name).copied()
    }

    /// The text with the times filled in.
    #[must_use]
    pub fn render(&self, now: i64) -> String {
        let resets_at = now.saturating_add(Self::RESETS_IN).to_string();
        self.text.replace("@RESETS_AT@", &resets_at).replace("@RESETS_IN@", &Self::RESETS_IN.to_string())
    }

    /// The whole answer, with another status if a script asks for one.
    pub(crate) fn respond(&self, status: Option<u16>, now: i64) -> Response<Body> {
        let mut response = Response::new(Body::from(self.render(now)));
        *response.status_mut() =
            StatusCode::from_u16(status.unwrap_or(self.status)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            let value = match *value {
                DATE => HeaderValue::try_from(date_after(now)).ok(),
                value => Some(HeaderValue::from_static(value)),
            };
            headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
        response
    }
}

/// The placeholder of a header.
const DATE: &str = "@DATE@";

fn date_after(now: i64) -> String {
    let at = Duration::from_secs(u64::try_from(now).unwrap_or_default().saturating_add(ErrorBody::DATE_IN));
    httpdate::fmt_http_date(UNIX_EPOCH.checked_add(at).unwrap_or(UNIX_EPOCH))
}

impl TryFrom<String> for ErrorBody {
    type Error = UnknownErrorBody;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::named(&name).ok_or(UnknownErrorBody(name))
    }
}

// In JSON a row is its name.
impl Serialize for ErrorBody {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for ErrorBody {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = String::deserialize(input)?;
        Self::try_from(name).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_json_rows_are_json() {
        let mut seen = HashSet::new();
        for row in ERROR_BODIES.iter().chain(API_ERROR_BODIES) {
            assert!(seen.insert(row.name), "{} is listed twice", row.name);
            assert!(
                StatusCode::from_u16(row.status).is_ok_and(|s| s.is_client_error() || s.is_server_error())
            );
            let text = row.render(1_800_000_000);
            assert!(!text.contains('@'), "{}: placeholder left in {text}", row.name);
            if row.content_type == "application/json" {
                serde_json::from_str::<serde_json::Value>(&text)
                    .unwrap_or_else(|e| panic!("{}: {e} in {text}", row.name));
            }
            // Builds without a panic: header names must be lower case, values plain.
            assert_eq!(row.respond(None, 0).status().as_u16(), row.status);
        }
        assert!(seen.len() > 50, "the table shrank to {}", seen.len());
    }

    #[test]
    fn times_are_filled_in_and_the_status_can_differ() {
        let row = ErrorBody::named("usage_limit_reached").unwrap();
        let body: serde_json::Value = serde_json::from_str(&row.render(1_000)).unwrap();
        assert_eq!(body["error"]["resets_at"], 4_600);
        assert_eq!(body["error"]["resets_in_seconds"], 3_600);
        assert_eq!(row.respond(Some(403), 0).status(), 403);
        assert!(ErrorBody::try_from("no such".to_owned()).is_err());
    }
}
