//! What goes through untouched: a native client's body and headers on the way up, the stream's bytes on the way down.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use gateway_lab::{Fault, FaultRule, Lifetime, RequestRecord, Route};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use switchyard_tests::{Answer, InProcess, turn};

use super::lab;

/// What Codex puts on the wire around its body (recorded from `codex exec`, values shortened).
const CODEX_HEADERS: &[(&str, &str)] = &[
    ("originator", "codex_exec"),
    ("user-agent", "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)"),
    ("accept", "text/event-stream"),
    ("session-id", "01a1fbd5-1864-7bd0-945c-f1b3a67346f1"),
    ("thread-id", "01a1fbd5-1864-7bd0-945c-f1b3a67346f1"),
    ("x-client-request-id", "01a1fbd5-1864-7bd0-945c-f1b3a67346f1"),
    ("x-codex-beta-features", "remote_compaction_v2"),
    ("x-codex-window-id", "01a1fbd5-1864-7bd0-945c-f1b3a67346f1:0"),
    (
        "x-codex-turn-metadata",
        r#"{"thread_id":"01a1fbd5","sandbox":"none","turn_started_at_unix_ms":1795226409083}"#,
    ),
    ("x-newer-than-we-know", "kept"),
];

/// What is between the client and the gateway, or would name the client to the upstream.
const NOT_FOR_UPSTREAM: &[(&str, &str)] = &[
    ("authorization", "Bearer sk-local-whatever"),
    ("chatgpt-account-id", "the-clients-own"),
    ("cookie", "switchyard_session=secret"),
    ("x-api-key", "sk-secret"),
    ("proxy-authorization", "Basic c2VjcmV0"),
    ("accept-encoding", "gzip"),
    ("te", "trailers"),
    ("x-switchyard-admin", "1"),
    ("sec-fetch-mode", "cors"),
    ("connection", "keep-alive, x-hop"),
    ("x-hop", "1"),
];

/// A body as Codex writes it: its own order, its own spacing, members that only it and its backend know.
const CODEX_BODY: &str = r#"{"model":"gpt-5.5","instructions":"You are Codex.  Two  spaces, an \u00e9scape, a / and a \/.",
 "input":[{"type":"message","id":"msg_1","role":"developer","content":[{"type":"input_text","text":"<permissions>\n</permissions>"}]},
  {"type":"message","role":"user","content":[{"type":"input_text","text":"h\u00e4llo \ud83d\ude80 \"quoted\""}]}],
 "tools":[{"type":"function","name":"exec_command","strict":false,"parameters":{"type":"object","properties":{"cmd":{"type":"string"}},"required":["cmd"]}}],
 "tool_choice":"auto","parallel_tool_calls":false,"reasoning":{"effort":"medium","summary":"auto"},"store":false,"stream":true,
 "include":["reasoning.encrypted_content"],"prompt_cache_key":"01a1fbd5-1864-7bd0-945c-f1b3a67346f1","text":{"verbosity":"low"},
 "client_metadata":{"x":1.50,"y":1e2,"z":-0.0,"big":12345678901234567890123}, "max_of_the_future" : null }"#;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let parsed =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    parsed.collect()
}

fn codex() -> HeaderMap {
    headers(CODEX_HEADERS)
}

/// The turn that reached the lab.
fn received(gateway: &InProcess) -> Result<RequestRecord> {
    let seen = gateway.lab.requests().into_iter().filter(|seen| seen.route == Route::Responses);
    seen.last().context("no turn reached the lab")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codex_body_arrives_byte_for_byte_under_every_encoding() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let plain = CODEX_BODY.as_bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, plain)?;
    for (encoding, sent) in
        [(None, plain.to_vec()), (Some("zstd"), zstd::encode_all(plain, 3)?), (Some("gzip"), gzip.finish()?)]
    {
        for path in ["/v1/responses", "/backend-api/codex/responses"] {
            let mut all = codex();
            if let Some(encoding) = encoding {
                all.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            let answer = Answer::read(gateway.post_to(path, all, sent.clone()).await?).await?;
            assert_eq!(answer.status, 200, "{encoding:?} {path}: {}", answer.text());
            let seen = received(&gateway)?;
            assert!(seen.body == plain, "{encoding:?} {path}: {}", String::from_utf8_lossy(&seen.body));
            assert_eq!(seen.header("content-length"), Some(plain.len().to_string().as_str()));
            assert!(gateway.decision(&answer.headers)?.edits.is_empty(), "{encoding:?} {path}");
        }
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_headers_pass_and_the_credentials_are_the_accounts() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut all = codex();
    all.extend(headers(NOT_FOR_UPSTREAM));
    let answer = Answer::read(gateway.post_to("/v1/responses", all, CODEX_BODY).await?).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = received(&gateway)?;
    for (name, value) in CODEX_HEADERS {
        assert_eq!(seen.header(name), Some(*value), "{name}");
    }
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("chatgpt-account-id"), Some("acc-lab-ada"));
    assert_eq!(seen.account, Some(0), "the token is the account's");
    for (name, value) in NOT_FOR_UPSTREAM {
        assert_ne!(seen.header(name), Some(*value), "{name}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_else_is_spoken_for_by_the_gateway() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let sdk = headers(&[
        ("user-agent", "OpenAI/Python 2.1.0"),
        ("x-stainless-os", "Linux"),
        ("openai-organization", "org-of-somebody"),
        ("session-id", "mine"),
    ]);
    let answer =
        Answer::read(gateway.post_to("/v1/responses", sdk, turn("hello").to_string()).await?).await?;
    assert_eq!(answer.status, 200);
    let seen = received(&gateway)?;
    assert_eq!(seen.header("originator"), Some("switchyard"));
    assert!(seen.header("user-agent").is_some_and(|name| name.starts_with("switchyard/")));
    for name in ["x-stainless-os", "openai-organization", "session-id"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let decision = gateway.decision(&answer.headers)?;
    assert_eq!(
        decision.session.as_ref().map(|key| key.as_str()),
        Some("mine"),
        "it is still one conversation"
    );
    let edits: Vec<&str> = decision.edits.iter().map(AsRef::as_ref).collect();
    assert_eq!(edits, ["store off", "input as list", "instructions added"]);
    gateway.stop().await
}

/// The stream with the ids of its response replaced: the lab never hands out the same ones twice.
fn without_ids(body: &Bytes) -> Result<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let (_, from_id) = text.split_once("\"id\":\"resp_").context("no response id")?;
    let id = from_id.get(..24).context("a short id")?;
    // Bytes that are no text stay what they are.
    let mut rest = body.as_ref();
    let mut out = Vec::with_capacity(rest.len());
    while let Some(at) = rest.windows(id.len()).position(|window| window == id.as_bytes()) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + id.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Ok(out)
}

/// The same turn without the gateway.
async fn direct(gateway: &InProcess, token: &str) -> Result<Answer> {
    let request = gateway.http.post(format!("{}/codex/responses", gateway.lab.backend_url()));
    let request = request.headers(codex()).bearer_auth(token).header("chatgpt-account-id", "acc-lab-ada");
    Answer::read(request.header("content-type", "application/json").body(CODEX_BODY).send().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_bytes_are_the_upstreams() -> Result<()> {
    let mut config = lab(1);
    config.rate_limits_event = true;
    // Windows stand still, so that both streams tell the same numbers.
    for window in config.accounts.iter_mut().flat_map(|account| &mut account.windows) {
        window.percent_per_turn = 0.0;
    }
    let gateway = InProcess::start(config).await?;
    let token = gateway.lab.login(0, Lifetime::Normal).context("no account")?.access_token;
    // Warms the prompt cache, so that every stream tells the same usage.
    direct(&gateway, &token).await?;
    for fault in [
        None,
        Some(Fault::Dribble(1)),
        Some(Fault::Dribble(7)),
        Some(Fault::Dribble(1_000)),
        Some(Fault::UnknownEventAfter(3)),
        Some(Fault::MalformedEventAfter(5)),
        Some(Fault::TruncatedUtf8),
        Some(Fault::IncompleteEvent { reason: "max_output_tokens".to_owned() }),
    ] {
        if let Some(fault) = fault.clone() {
            gateway.lab.script(FaultRule::new(fault).on(Route::Responses).times(2));
        }
        let expected = direct(&gateway, &token).await?;
        let got = gateway.post_to("/backend-api/codex/responses", codex(), CODEX_BODY).await?;
        let got = Answer::read(got).await?;
        same(&expected, &got).with_context(|| format!("{fault:?}"))?;
    }
    gateway.stop().await
}

fn same(expected: &Answer, got: &Answer) -> Result<()> {
    ensure!((expected.status, got.status) == (200, 200), "{} and {}", expected.status, got.status);
    ensure!(expected.body.len() > 2_000);
    let (wanted, found) = (without_ids(&expected.body)?, without_ids(&got.body)?);
    ensure!(wanted == found, "{}\n\nbecame\n\n{}", expected.text(), got.text());
    // And the headers that Codex reads.
    for name in expected.headers.keys().map(HeaderName::as_str) {
        let for_codex =
            name.starts_with("x-codex-") || name.starts_with("openai-") || name == "x-models-etag";
        if for_codex && name != "x-codex-turn-state" {
            ensure!(expected.header(name) == got.header(name), "{name}");
        }
    }
    ensure!(got.header("x-codex-turn-state").is_some_and(|state| state.starts_with("lab-turn.0.")));
    ensure!(got.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
    Ok(())
}

/// A body that is not streamed is the very object of the terminal event.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_object_is_the_last_events() -> Result<()> {
    for output in [gateway_lab::CompletedOutput::Full, gateway_lab::CompletedOutput::Empty] {
        let mut config = lab(1);
        config.completed_output = output;
        let gateway = InProcess::start(config).await?;
        let body = serde_json::json!({ "model": "gpt-5.5", "input": "one two three", "stream": false });
        let answer = gateway.ask(&body).await?;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let object = answer.json();
        assert_eq!(
            (object["object"].as_str(), object["status"].as_str()),
            (Some("response"), Some("completed"))
        );
        let items = object["output"].as_array().context("no output")?;
        let kinds: Vec<&str> = items.iter().filter_map(|item| item["type"].as_str()).collect();
        assert_eq!(kinds, ["reasoning", "message"], "{output:?}");
        assert_eq!(items[1]["content"][0]["text"], "You said: one two three", "{output:?}");
        assert!(object["usage"]["total_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
        gateway.stop().await?;
    }
    Ok(())
}

/// Model lists: Codex gets its catalogue as the backend wrote it, everybody else the public list.
#[tokio::test(flavor = "multi_thread")]
async fn model_lists_come_in_the_shape_of_who_asks() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let get = async |path: &str| {
        Answer::read(gateway.http.get(format!("{}{path}", gateway.url)).send().await?).await
    };
    let codex = switchyard_tests::eventually("the catalogue is read", async || {
        let answer = get("/backend-api/codex/models?client_version=0.169.0").await?;
        Ok(answer.json()["models"].as_array().is_some_and(|models| !models.is_empty()).then_some(answer))
    });
    let codex = codex.await?;
    let token = gateway.lab.login(0, Lifetime::Normal).context("no account")?.access_token;
    let url = format!("{}/codex/models?client_version=0.169.0", gateway.lab.backend_url());
    let lab = Answer::read(gateway.http.get(url).bearer_auth(token).send().await?).await?;
    assert_eq!(codex.body, lab.body);
    assert_eq!(get("/v1/models?client_version=0.169.0").await?.body, lab.body);
    let public = get("/v1/models").await?.json();
    assert_eq!(public["object"], "list");
    let ids: Vec<_> =
        public["data"].as_array().context("no list")?.iter().map(|one| one["id"].clone()).collect();
    assert!(ids.contains(&"gpt-5.5".into()), "{ids:?}");
    assert!(public["data"].as_array().is_some_and(|list| list.iter().all(|one| one["object"] == "model")));
    gateway.stop().await
}
