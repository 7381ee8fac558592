//! Bodies that no turn can be made of: each row is refused in the dialect's own words, counted, and forgotten.

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Answer, InProcess};

use super::{lab, still_serves};

/// What a wrong body may be called; clients know the second one and send their history again.
const KNOWN: [&str; 2] = ["invalid_request", "previous_response_not_found"];

/// A body and the member that its refusal names.
struct Row {
    body: Vec<u8>,
    param: Option<&'static str>,
}

fn row(body: impl Into<Vec<u8>>, param: Option<&'static str>) -> Row {
    Row { body: body.into(), param }
}

/// A good body with one member replaced.
fn with(member: &'static str, value: Value) -> Row {
    let mut body = json!({ "model": "gpt-5.5", "input": "hello" });
    body[member] = value;
    row(body.to_string(), Some(member))
}

/// What is no JSON object at all.
fn no_objects() -> Vec<Row> {
    let texts: [&[u8]; 17] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"hello",
        b"null",
        b"true",
        b"42",
        b"\"text\"",
        b"[]",
        b"[{\"model\":\"gpt-5.5\",\"input\":\"hello\"}]",
        b"{\"model\":}",
        b"{'model':'gpt-5.5','input':'hello'}",
        b"{\"model\":\"gpt-5.5\",\"input\":\"hello\"} and more",
        b"{\"model\":\"gpt-5.5\",\"input\":\"hello\",}",
        b"\xef\xbb\xbf{\"model\":\"gpt-5.5\",\"input\":\"hello\"}",
        b"{\"model\":\"gpt-5.5\",\"input\":\"caf\xc3\"}",
    ];
    texts.into_iter().map(|text| row(text, None)).collect()
}

/// Members that are missing or have the wrong type.
fn wrong_members() -> Vec<Row> {
    vec![
        row("{}", Some("model")),
        row(r#"{"input":"hello"}"#, Some("model")),
        row(r#"{"model":"gpt-5.5"}"#, Some("input")),
        with("model", Value::Null),
        with("model", json!(5.5)),
        with("model", json!(["gpt-5.5"])),
        with("model", json!({ "name": "gpt-5.5" })),
        with("model", json!(true)),
        with("model", json!("")),
        with("model", json!("x".repeat(300))),
        with("model", json!("gpt-5.5\r\nx-evil: 1")),
        with("model", json!("gpt-5.5\u{0}")),
        with("input", Value::Null),
        with("input", json!(7)),
        with("input", json!(false)),
        with("input", json!({ "role": "user", "content": "hello" })),
        with("stream", json!("true")),
        with("stream", json!(1)),
        with("stream", json!([true])),
        with("store", json!("no")),
        with("store", json!(0)),
        with("tools", json!({ "type": "function" })),
        with("tools", json!("shell")),
        with("tools", json!(3)),
        with("instructions", json!(["be kind"])),
        with("instructions", json!(1)),
        with("background", json!(true)),
        with("background", json!("yes")),
        with("previous_response_id", json!("resp_1")),
        with("previous_response_id", json!(12)),
        row(r#"{"model":"gpt-5.5","input":"hello","stream":123456789012345678901234567890}"#, Some("stream")),
        row(r#"{"model":1e999,"input":"hello"}"#, Some("model")),
        // A repeated member counts with its last value.
        row(r#"{"model":"gpt-5.5","input":"hello","model":7}"#, Some("model")),
    ]
}

fn rows() -> Vec<Row> {
    let mut rows = no_objects();
    rows.extend(wrong_members());
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_is_refused_with_its_member_and_the_next_one_is_served() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for path in ["/v1/responses", "/backend-api/codex/responses"] {
        for row in rows() {
            let shown = String::from_utf8_lossy(&row.body).into_owned();
            refused(&gateway, path, row).await.with_context(|| format!("{path} with {shown:.120}"))?;
        }
        let metrics = gateway.metrics().await?;
        // An unknown earlier response is a refusal of its own: clients act on it.
        let counted = metrics.requests(path, "invalid_request") + metrics.requests(path, "upstream_refused");
        assert_eq!(counted, rows().len() as f64, "each refusal of {path} is counted once");
    }
    assert!(gateway.lab.requests().iter().all(|seen| !seen.path.contains("responses")), "none went upstream");
    still_serves(&gateway).await?;
    gateway.stop().await
}

async fn refused(gateway: &InProcess, path: &str, row: Row) -> Result<()> {
    let answer = Answer::read(gateway.post_to(path, HeaderMap::new(), row.body).await?).await?;
    ensure!(answer.status == 400, "{}: {}", answer.status, answer.text());
    let error = answer.error()?;
    ensure!(error.kind == "invalid_request_error" && KNOWN.contains(&error.code.as_str()), "{error:?}");
    ensure!(error.param.as_deref() == row.param, "{error:?}");
    ensure!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{:?}", answer.headers);
    ensure!(answer.header("x-evil").is_none());
    Ok(())
}

/// Bodies that look odd and are served all the same.
fn odd_but_good() -> Vec<(&'static str, String)> {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    vec![
        ("a list of messages", r#"{"model":"gpt-5.5","input":[{"role":"user","content":"hello"}]}"#.into()),
        ("an empty list", r#"{"model":"gpt-5.5","input":[]}"#.into()),
        ("an empty text", r#"{"model":"gpt-5.5","input":""}"#.into()),
        ("nulls", r#"{"model":"gpt-5.5","input":"x","stream":null,"store":null,"tools":null,"instructions":null,"previous_response_id":null}"#.into()),
        ("a huge number", r#"{"model":"gpt-5.5","input":"x","max_output_tokens":123456789012345678901234567890}"#.into()),
        ("a huge exponent", r#"{"model":"gpt-5.5","input":"x","temperature":1e400}"#.into()),
        ("an unknown member", r#"{"model":"gpt-5.5","input":"x","extra":{"a":[1,2,{"b":null}]}}"#.into()),
        ("deep nesting", format!(r#"{{"model":"gpt-5.5","input":"x","extra":{deep}}}"#)),
        ("escapes in names", r#"{"\u006dodel":"gpt-5.5","\u0069nput":"x"}"#.into()),
        ("white space", "\r\n\t {\n \"model\" : \"gpt-5.5\" , \"input\" : \"x\" }\n ".into()),
        ("a repeated member", r#"{"model":7,"input":"x","model":"gpt-5.5"}"#.into()),
        ("line breaks in a cache key", r#"{"model":"gpt-5.5","input":"x","prompt_cache_key":"a\r\nx-evil: 1"}"#.into()),
        ("a cache key that is no text", r#"{"model":"gpt-5.5","input":"x","prompt_cache_key":{"a":1}}"#.into()),
        ("a system message", r#"{"model":"gpt-5.5","input":[{"role":"system","content":"be kind"},{"role":"user","content":"x"}]}"#.into()),
        ("all that the backend refuses", r#"{"model":"gpt-5.5","input":"x","temperature":1,"top_p":1,"max_output_tokens":9,"user":"u","metadata":{},"truncation":"auto","store":true,"background":false}"#.into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_body_is_served() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for (what, body) in odd_but_good() {
        let answer = gateway.post_to("/v1/responses", HeaderMap::new(), body).await?;
        let answer = Answer::read(answer).await?;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!(answer.json()["status"], "completed", "{what}");
        assert!(answer.header("x-evil").is_none(), "{what}");
    }
    gateway.stop().await
}

/// What the gateway cannot judge goes upstream, and the upstream's refusal comes back with its own words.
#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_refusal_of_a_body_comes_back() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (what, body, param) in [
        ("input that is no list of items", r#"{"model":"gpt-5.5","input":[5]}"#.to_owned(), Some("input[0]")),
        (
            "a role nobody has",
            r#"{"model":"gpt-5.5","input":[{"role":"king","content":"x"}]}"#.into(),
            Some("input[0].role"),
        ),
        (
            "a tool without a name",
            r#"{"model":"gpt-5.5","input":"x","tools":[{"type":"function"}]}"#.into(),
            Some("tools[0].name"),
        ),
        (
            "an unknown effort",
            r#"{"model":"gpt-5.5","input":"x","reasoning":{"effort":"ultra"}}"#.into(),
            Some("reasoning.effort"),
        ),
        (
            "an output without its call",
            r#"{"model":"gpt-5.5","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}"#
                .into(),
            Some("input"),
        ),
        ("nesting that no parser follows", format!(r#"{{"model":"gpt-5.5","input":{deep}}}"#), None),
    ] {
        let answer = Answer::read(gateway.post_to("/v1/responses", HeaderMap::new(), body).await?).await?;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        let error = answer.error().context(what)?;
        assert_eq!((error.kind.as_str(), error.param.as_deref()), ("invalid_request_error", param), "{what}");
        assert_eq!(gateway.decision(&answer.headers)?.attempts.len(), 1, "{what}: no other account helps");
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_no_account_has_is_not_found() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    for (nth, stream) in [true, false, true].into_iter().enumerate() {
        let body = json!({ "model": "gpt-99", "input": "hello", "stream": stream });
        let answer = gateway.ask(&body).await?;
        let error = answer.error()?;
        assert_eq!((answer.status, error.code.as_str()), (404, "model_not_found"), "{error:?}");
        assert_eq!(error.param.as_deref(), Some("model"));
        assert_eq!(error.kind, "invalid_request_error");
        // Both accounts were asked once; then it is known that neither has it.
        let tried = gateway.decision(&answer.headers)?.attempts.len();
        assert_eq!(tried, if nth == 0 { 2 } else { 0 });
    }
    // Only that model is affected.
    still_serves(&gateway).await?;
    gateway.stop().await
}
