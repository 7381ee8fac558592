//! Reading events as a client does: whole, in order, strict about the form.

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its payload.
    pub data: Value,
}

/// The events of a complete body. Anything that is not a whole event is an error.
///
/// # Errors
/// The body is not made of whole events with one line of JSON each.
pub fn events_of(body: &str) -> Result<Vec<Event>> {
    if !body.is_empty() && !body.ends_with("\n\n") {
        bail!("the body ends inside an event: {:?}", body.chars().rev().take(80).collect::<String>());
    }
    body.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')).map(event_of).collect()
}

fn event_of(text: &str) -> Result<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    let data = field("data:").with_context(|| format!("no data in {text:?}"))?;
    let data: Value = serde_json::from_str(data).with_context(|| format!("no JSON in {text:?}"))?;
    let name = field("event:").or_else(|| data.get("type")?.as_str()).unwrap_or_default().to_owned();
    Ok(Event { name, data })
}

/// Reads a response to its end. The transport's own errors come back as an error, after nothing was lost.
///
/// # Errors
/// The connection broke, or the body is not made of whole events.
pub async fn read_events(response: reqwest::Response) -> Result<Vec<Event>> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.context("the stream broke")?);
    }
    events_of(std::str::from_utf8(&body)?)
}
