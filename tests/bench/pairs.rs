//! Each dialect of a client with each of an upstream: what the way through the gateway adds to asking that upstream
//! in its own dialect, and what it costs per request and per event. nginx, which translates nothing, is measured
//! beside it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use gateway_lab::{ANTHROPIC_KEY, OPENAI_KEY};
use serde::Serialize;
use serde_json::{Value, json};
use switchyard_tests::Speaks;

use crate::field::{Field, KeyAccount, Kind};
use crate::load::{Connection, closed_loop};
use crate::measure::{Quantiles, median, micros};
use crate::options::Pace;
use crate::process::Process;
use crate::report::say;

/// Turns at once.
const AT_ONCE: usize = 8;
/// Events of a long answer; a short one has a few.
const EVENTS: usize = 512;
const SHORT: &str = "Say hello.";
const LONG: &str = "stream 512 events";
/// What the gateway writes later belongs to the requests before.
const AFTERWORK: Duration = Duration::from_millis(250);
/// The text before the question.
const CONTEXT_BYTES: usize = 2 * 1024;

/// One pair.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) client: &'static str,
    pub(crate) upstream: &'static str,
    pub(crate) p50_us: f64,
    pub(crate) added_p50_us: f64,
    pub(crate) added_p99_us: f64,
    pub(crate) nginx_added_p99_us: f64,
    pub(crate) cpu_us_per_request: f64,
    pub(crate) cpu_us_per_event: f64,
}

/// What pairs of different dialects add to p99, in times what nginx adds; the medians of all, because a single
/// pair's p99 is a matter of luck.
pub(crate) fn beside_nginx(rows: &[Row]) -> Option<f64> {
    let translated: Vec<&Row> = rows.iter().filter(|row| row.client != row.upstream).collect();
    let typical = |of: fn(&Row) -> f64| median(translated.iter().map(|row| of(row)).collect());
    let times = typical(|row| row.added_p99_us) / typical(|row| row.nginx_added_p99_us);
    times.is_finite().then_some(times)
}

const fn name(dialect: Speaks) -> &'static str {
    match dialect {
        Speaks::Responses => "openai-responses",
        Speaks::Chat => "openai-chat",
        Speaks::Messages => "anthropic-messages",
    }
}

/// The model by which the gateway finds the upstream that speaks this.
const fn model(upstream: Speaks) -> &'static str {
    match upstream {
        Speaks::Responses => "gpt-5.5",
        Speaks::Chat => "gpt-5.4-mini",
        Speaks::Messages => "claude-lab-sonnet",
    }
}

fn end(client: Speaks) -> &'static [u8] {
    match client {
        Speaks::Responses => b"response.completed",
        Speaks::Chat => b"[DONE]",
        Speaks::Messages => b"message_stop",
    }
}

/// What opens the lab; the gateway knows its own keys and needs none from this machine.
fn keys(client: Speaks) -> Vec<(&'static str, String)> {
    match client {
        Speaks::Messages => {
            vec![("x-api-key", ANTHROPIC_KEY.to_owned()), ("anthropic-version", "2023-06-01".to_owned())]
        }
        Speaks::Responses | Speaks::Chat => vec![("authorization", format!("Bearer {OPENAI_KEY}"))],
    }
}

fn body(client: Speaks, model: &str, ask: &str) -> Bytes {
    let mut body = client.question(model, ask, true);
    let before =
        json!({"role": "user", "content": "The handler returns \"ok\".\n".repeat(CONTEXT_BYTES / 26)});
    for list in ["input", "messages"] {
        if let Some(Value::Array(turns)) = body.get_mut(list) {
            turns.insert(0, before.clone());
        }
    }
    Bytes::from(body.to_string())
}

/// One way of asking one question.
struct Runner<'a> {
    connections: Vec<Connection>,
    process: Option<&'a Process>,
    cpu_before: Option<Duration>,
    requests: usize,
    rounds: Vec<Quantiles>,
}

impl<'a> Runner<'a> {
    async fn start(
        address: SocketAddr,
        process: Option<&'a Process>,
        client: Speaks,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Self> {
        let mut connections = Vec::with_capacity(AT_ONCE);
        for _ in 0..AT_ONCE {
            let mut connection = Connection::open_at(address, client.path(), headers, body.clone()).await?;
            let mut whole = Vec::new();
            connection.exchange(|chunk| whole.extend_from_slice(chunk)).await?;
            let is_whole = memchr::memmem::find(&whole, end(client)).is_some();
            ensure!(is_whole, "{address}{} answered without an end", client.path());
            connections.push(connection);
        }
        let cpu_before = process.map(Process::cpu).transpose()?;
        Ok(Self { connections, process, cpu_before, requests: 0, rounds: Vec::new() })
    }

    async fn round(&mut self, span: Duration) -> Result<()> {
        let load = closed_loop(&mut self.connections, span).await?;
        self.requests += load.latencies.len();
        self.rounds.push(Quantiles::of(load.latencies)?);
        Ok(())
    }

    /// CPU time of the process for each request, its work afterwards included.
    async fn cpu(&self) -> Result<f64> {
        tokio::time::sleep(AFTERWORK).await;
        let (process, before) = self.process.zip(self.cpu_before).context("it has no process")?;
        Ok(micros(process.cpu()? - before) / self.requests.max(1) as f64)
    }
}

/// Measures every pair.
pub(crate) async fn run(field: &Field, pace: Pace) -> Result<Vec<Row>> {
    let account = |kind, key, upstream, dialect| KeyAccount { kind, key, model: model(upstream), dialect };
    let gateway = field
        .for_dialects(&[
            account("openai", OPENAI_KEY, Speaks::Responses, None),
            account("openai-compatible", OPENAI_KEY, Speaks::Chat, Some("openai-chat")),
            account("anthropic", ANTHROPIC_KEY, Speaks::Messages, None),
        ])
        .await?;
    let process = gateway.process.as_ref().context("the gateway has no process")?;
    let mut rows = Vec::new();
    for upstream in Speaks::ALL {
        for client in Speaks::ALL {
            say(&format!("{} to {}", name(client), name(upstream)));
            let pair = pair(field, gateway.address, process, client, upstream, pace).await;
            rows.push(pair.with_context(|| format!("{} to {}", name(client), name(upstream)))?);
        }
    }
    Ok(rows)
}

async fn pair(
    field: &Field,
    gateway: SocketAddr,
    process: &Process,
    client: Speaks,
    upstream: Speaks,
    pace: Pace,
) -> Result<Row> {
    let own = body(upstream, model(upstream), SHORT);
    let lab = field.target(Kind::Direct)?.address;
    let nginx = field.target(Kind::Nginx)?.address;
    let mut direct = Runner::start(lab, None, upstream, &keys(upstream), own.clone()).await?;
    let mut beside = Runner::start(nginx, None, upstream, &keys(upstream), own).await?;
    let version = [("anthropic-version", "2023-06-01".to_owned())];
    let said: &[(&str, String)] = if client == Speaks::Messages { &version } else { &[] };
    let short = body(client, model(upstream), SHORT);
    let mut through = Runner::start(gateway, Some(process), client, said, short).await?;
    for _ in 0..pace.rounds {
        direct.round(pace.turn).await?;
        beside.round(pace.turn).await?;
        through.round(pace.turn).await?;
    }
    let cpu = through.cpu().await?;
    let long = body(client, model(upstream), LONG);
    let mut long = Runner::start(gateway, Some(process), client, said, long).await?;
    for _ in 0..pace.rounds {
        long.round(pace.turn).await?;
    }
    let added = Quantiles::typical_excess(&through.rounds, &direct.rounds);
    Ok(Row {
        client: name(client),
        upstream: name(upstream),
        p50_us: Quantiles::typical(&through.rounds).p50,
        added_p50_us: added.p50,
        added_p99_us: added.p99,
        nginx_added_p99_us: Quantiles::typical_excess(&beside.rounds, &direct.rounds).p99,
        cpu_us_per_request: cpu,
        cpu_us_per_event: (long.cpu().await? - cpu).max(0.0) / EVENTS as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_is_asked_in_its_own_words() {
        for client in Speaks::ALL {
            let body: Value = serde_json::from_slice(&body(client, "m", LONG)).unwrap();
            let turns = body["input"].as_array().or_else(|| body["messages"].as_array()).unwrap();
            assert_eq!((turns.len(), body["stream"].as_bool()), (2, Some(true)), "{body}");
            assert_eq!(turns[1]["content"], LONG);
        }
    }
}
