//! Whole answers, for tests that look at the status, the headers and the body together.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// One answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(response: reqwest::Response) -> Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.context("the answer broke off")?;
        Ok(Self { status, headers, body })
    }

    /// The body as text; what is no text is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, `Null` when it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The error of an OpenAI-shaped error body.
    ///
    /// # Errors
    /// The answer is no such error: clients of the dialect could not read it.
    pub fn error(&self) -> Result<OpenAiError> {
        ensure!(self.status >= 400, "{} is no error: {}", self.status, self.text());
        ensure!(self.header("content-type") == Some("application/json"), "{:?}", self.headers);
        let body = self.json();
        let error = body.get("error").and_then(Value::as_object).context("no error object")?;
        for member in ["message", "type", "code", "param"] {
            ensure!(error.contains_key(member), "no `{member}` in {body}");
        }
        let text = |member: &str| error.get(member).and_then(Value::as_str).map(str::to_owned);
        let message = text("message").filter(|message| !message.is_empty()).context("no message")?;
        let kind = text("type").context("the type is no text")?;
        let code = text("code").context("the code is no text")?;
        Ok(OpenAiError {
            message,
            kind,
            code,
            param: text("param"),
            object: body.get("error").cloned().unwrap_or_default(),
        })
    }
}

/// What an OpenAI client reads of an error.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAiError {
    /// For people.
    pub message: String,
    /// `type`.
    pub kind: String,
    /// `code`.
    pub code: String,
    /// `param`.
    pub param: Option<String>,
    /// All of it.
    pub object: Value,
}
