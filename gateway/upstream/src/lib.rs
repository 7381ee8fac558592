//! HTTP to providers: one Responses turn, the quota, the catalogue, and the rotation of tokens.
//!
//! Refuses: choosing accounts, retrying, reading bodies it only passes on. Every wait has a deadline here.

mod codex;
mod headers;
mod oauth;

pub use codex::CodexUpstream;
pub use oauth::OAuthIssuer;

use std::time::Duration;

/// Opening a connection, TLS included.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);
/// An idle connection is kept this long.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(90);
/// From the sent request to the answer's head. Models think before they answer.
pub const HEAD_TIME: Duration = Duration::from_secs(300);
/// A small question (quota, catalogue, rotation), from start to end.
pub const SMALL_QUESTION_TIME: Duration = Duration::from_secs(20);
/// The largest answer to a small question, in bytes.
pub const MAX_SMALL_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configured address is no URL that we can ask.
    #[error("`{url}` is not an http(s) URL: {why}")]
    BadUrl {
        /// What was configured.
        url: String,
        /// Why not.
        why: String,
    },
    /// TLS or the resolver could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Client(#[from] reqwest::Error),
}

fn client() -> Result<reqwest::Client, BuildError> {
    Ok(reqwest::Client::builder()
        .connect_timeout(CONNECT_TIME)
        .pool_idle_timeout(IDLE_CONNECTION)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(15))
        // A provider that redirects a bearer token elsewhere is not followed.
        .redirect(reqwest::redirect::Policy::none())
        .build()?)
}

/// Joins a path to a base URL that may or may not end with a slash.
fn join(base: &str, path: &str) -> Result<reqwest::Url, BuildError> {
    let bad = |why: String| BuildError::BadUrl { url: base.to_owned(), why };
    let url = reqwest::Url::parse(&format!("{}/{path}", base.trim_end_matches('/')))
        .map_err(|e| bad(e.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(bad(format!("the scheme is {other}"))),
    }
}

/// Reads a small answer to its end, within its limit.
async fn read_small(mut response: reqwest::Response) -> Result<bytes::Bytes, String> {
    let mut read = bytes::BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
        if read.len() + chunk.len() > MAX_SMALL_ANSWER_BYTES {
            return Err(format!("the answer is larger than {MAX_SMALL_ANSWER_BYTES} bytes"));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}
