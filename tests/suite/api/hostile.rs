//! Malformed and hostile requests over all public routes, as tables: each is refused with the status and the error shape of
//! its dialect, nothing of it goes upstream, and the next request is served as if nothing had happened.

mod bodies;
mod forms;
mod wire;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use reqwest::header::HeaderMap;
use switchyard_tests::{Answer, InProcess, Speaks};

use super::{lab, still_serves};
use bodies::Row;

/// The dialect of a path's errors.
fn dialect(path: &str) -> Speaks {
    if path.contains("messages") { Speaks::Messages } else { Speaks::Chat }
}

/// Walks a table of bodies; every row that is answered otherwise is told at the end.
async fn refused(path: &str, rows: Vec<Row>, least: usize) -> Result<()> {
    ensure!(rows.len() >= least, "the table shrank to {} rows", rows.len());
    let gateway = InProcess::start(lab(1)).await?;
    let mut differences = Vec::new();
    for row in rows {
        let shown = String::from_utf8_lossy(&row.body).chars().take(160).collect::<String>();
        let answer = Answer::read(gateway.post_to(path, HeaderMap::new(), row.body).await?).await?;
        if let Err(error) = is_refusal(path, &answer, row.names) {
            differences.push(format!("{shown}\n    wanted 400 naming {:?}; {error}", row.names));
        }
    }
    ensure!(differences.is_empty(), "{path}, {} rows:\n{}", differences.len(), differences.join("\n"));
    let sent = gateway.lab.requests().into_iter().filter(|seen| seen.path.contains("responses")).count();
    ensure!(sent == 0, "{sent} went upstream");
    still_serves(&gateway).await?;
    gateway.stop().await
}

fn is_refusal(path: &str, answer: &Answer, names: &str) -> Result<()> {
    ensure!(answer.status == 400, "{}: {:.200}", answer.status, answer.text());
    let (kind, message) = dialect(path).error(answer)?;
    ensure!(kind == "invalid_request_error" && message.contains(names), "{kind}: {message}");
    ensure!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{:?}", answer.headers);
    ensure!(answer.header("x-evil").is_none(), "{:?}", answer.headers);
    if dialect(path) == Speaks::Messages {
        ensure!(
            answer.json()["request_id"] == answer.header("request-id").unwrap_or_default(),
            "no request_id"
        );
    } else if !names.is_empty() {
        let param = answer.json()["error"]["param"].as_str().unwrap_or_default().to_owned();
        ensure!(param.contains(names), "param {param:?}: {message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_chat_completions_are_refused() -> Result<()> {
    refused("/v1/chat/completions", bodies::chat(), 75).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_are_refused() -> Result<()> {
    refused("/v1/messages", bodies::messages(), 75).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_token_counts_are_refused() -> Result<()> {
    refused("/v1/messages/count_tokens", bodies::counts(), 60).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_calls_are_refused() -> Result<()> {
    for (path, rows) in bodies::calls() {
        refused(path, rows, 18).await.with_context(|| path)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_forms_are_refused() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut differences = Vec::new();
    for path in forms::PATHS {
        let forms = forms::of(path);
        ensure!(forms.len() >= 16, "the table of {path} shrank to {} forms", forms.len());
        for form in forms {
            let shown: String = form.body.chars().take(160).collect();
            let mut headers = HeaderMap::new();
            headers.insert("content-type", form.content_type.parse()?);
            let answer = Answer::read(gateway.post_to(path, headers, form.body).await?).await?;
            if let Err(error) = is_refusal(path, &answer, form.names) {
                let kind = form.content_type;
                differences.push(format!(
                    "{path}, {kind}, {shown:?}\n    wanted 400 naming {:?}; {error}",
                    form.names
                ));
            }
        }
    }
    ensure!(differences.is_empty(), "{} forms:\n{}", differences.len(), differences.join("\n"));
    let sent = gateway
        .lab
        .requests()
        .into_iter()
        .filter(|seen| !seen.path.contains("wham") && !seen.path.contains("models"))
        .count();
    ensure!(sent == 0, "{sent} went upstream");
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Method, path, headers, status, type of the error.
type Request = (&'static str, &'static str, &'static [(&'static str, &'static str)], u16, &'static str);

const WEB_SOCKET: &[(&str, &str)] = &[
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
const REMOTE: &[(&str, &str)] = &[("x-forwarded-for", "203.0.113.7")];
const BY_NAME: &[(&str, &str)] = &[("host", "switchyard.example"), ("x-api-key", "sk-ant-theirs")];
const WRONG_KEY: &[(&str, &str)] = &[("authorization", "Bearer sk-sy-wrong")];
const WRONG_API_KEY: &[(&str, &str)] = &[("x-api-key", "sk-sy-wrong")];
const ODD_ENCODING: &[(&str, &str)] = &[("content-encoding", "lzma")];
const ANTHROPIC: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

/// What is wrong with these is not their body.
const REQUESTS: &[Request] = &[
    // Methods.
    ("GET", "/v1/chat/completions", &[], 405, "invalid_request_error"),
    ("PUT", "/v1/chat/completions", &[], 405, "invalid_request_error"),
    ("DELETE", "/v1/chat/completions", &[], 405, "invalid_request_error"),
    ("BREW", "/v1/chat/completions", &[], 405, "invalid_request_error"),
    ("PATCH", "/chat/completions", &[], 405, "invalid_request_error"),
    ("GET", "/v1/messages", &[], 405, "invalid_request_error"),
    ("PUT", "/v1/messages", &[], 405, "invalid_request_error"),
    ("DELETE", "/messages", &[], 405, "invalid_request_error"),
    ("TRACE", "/v1/messages", &[], 405, "invalid_request_error"),
    ("GET", "/v1/messages/count_tokens", &[], 405, "invalid_request_error"),
    ("PATCH", "/messages/count_tokens", &[], 405, "invalid_request_error"),
    ("POST", "/v1/models", &[], 405, "invalid_request_error"),
    ("DELETE", "/models", &[], 405, "invalid_request_error"),
    ("PUT", "/responses", &[], 405, "invalid_request_error"),
    // Routes.
    ("POST", "/v1/chat", &[], 404, "invalid_request_error"),
    ("POST", "/v1/chat/completions/", &[], 404, "invalid_request_error"),
    ("GET", "/v1/chat/completions/chatcmpl_1", &[], 404, "invalid_request_error"),
    ("POST", "/v1/chat/completions/../../api/admin/keys", &[], 404, "invalid_request_error"),
    ("POST", "/v1/chat/completions%00", &[], 404, "invalid_request_error"),
    ("POST", "/v1/messages/", &[], 404, "not_found_error"),
    ("POST", "/v1/messages/batches", &[], 404, "not_found_error"),
    ("GET", "/v1/messages/batches", &[], 404, "not_found_error"),
    ("POST", "/v1/messages/count_tokens/x", &[], 404, "not_found_error"),
    ("POST", "/v1/complete", ANTHROPIC, 404, "not_found_error"),
    ("POST", "/v1/organizations", ANTHROPIC, 404, "not_found_error"),
    ("POST", "/v2/messages", &[], 404, "invalid_request_error"),
    ("POST", "/v1/fine_tuning/jobs", &[], 404, "invalid_request_error"),
    ("POST", "/v1/threads", &[], 404, "invalid_request_error"),
    ("POST", "/v1/x%0d%0ax-evil:%201", &[], 404, "invalid_request_error"),
    ("GET", "/v1/embeddings", &[], 405, "invalid_request_error"),
    ("GET", "/v1/responses/compact", &[], 405, "invalid_request_error"),
    ("PUT", "/v1/images/generations", &[], 405, "invalid_request_error"),
    ("POST", "/v1/images/variations", &[], 404, "invalid_request_error"),
    ("POST", "/v1/usage", &[], 405, "invalid_request_error"),
    ("POST", "/backend-api/wham/usage", &[], 405, "invalid_request_error"),
    ("DELETE", "/backend-api/files", &[], 405, "invalid_request_error"),
    ("POST", "/backend-api/files/a%2f..%2fb/uploaded", &[], 404, "invalid_request_error"),
    ("POST", "/backend-api/files/a%0d%0ax-evil:%201/uploaded", &[], 404, "invalid_request_error"),
    ("POST", "/backend-api/ps/mcp", &[], 404, "invalid_request_error"),
    (
        "POST",
        "/v1/audio/transcriptions",
        &[("content-type", "multipart/form-data")],
        400,
        "invalid_request_error",
    ),
    (
        "POST",
        "/v1/images/edits",
        &[("content-type", "multipart/form-data; boundary=x")],
        400,
        "invalid_request_error",
    ),
    ("POST", "/v1/embeddings", REMOTE, 401, "authentication_error"),
    ("POST", "/backend-api/files", REMOTE, 401, "authentication_error"),
    ("GET", "/backend-api/wham/usage", REMOTE, 401, "authentication_error"),
    ("GET", "/backend-api/wham/accounts/check", WRONG_KEY, 401, "authentication_error"),
    ("GET", "/v1/usage", REMOTE, 401, "authentication_error"),
    ("GET", "/backend-api/wham/settings/user", REMOTE, 401, "authentication_error"),
    ("POST", "/v1/embeddings", ODD_ENCODING, 415, "invalid_request_error"),
    // Upgrades where there is none.
    ("GET", "/v1/chat/completions", WEB_SOCKET, 405, "invalid_request_error"),
    ("GET", "/v1/messages", WEB_SOCKET, 405, "invalid_request_error"),
    ("GET", "/v1/nothing", WEB_SOCKET, 404, "invalid_request_error"),
    ("POST", "/v1/chat/completions", WEB_SOCKET, 400, "invalid_request_error"),
    ("POST", "/v1/messages", WEB_SOCKET, 400, "invalid_request_error"),
    (
        "POST",
        "/v1/chat/completions",
        &[("connection", "upgrade"), ("upgrade", "h2c")],
        400,
        "invalid_request_error",
    ),
    // Callers.
    ("POST", "/v1/chat/completions", REMOTE, 401, "authentication_error"),
    ("POST", "/v1/messages", REMOTE, 401, "authentication_error"),
    ("POST", "/v1/messages/count_tokens", REMOTE, 401, "authentication_error"),
    ("GET", "/v1/models", REMOTE, 401, "authentication_error"),
    ("POST", "/v1/messages", BY_NAME, 401, "authentication_error"),
    ("POST", "/v1/chat/completions", WRONG_KEY, 401, "authentication_error"),
    ("POST", "/v1/messages", WRONG_KEY, 401, "authentication_error"),
    ("POST", "/v1/messages", WRONG_API_KEY, 401, "authentication_error"),
    ("POST", "/v1/messages/count_tokens", WRONG_API_KEY, 401, "authentication_error"),
    ("GET", "/v1/models", WRONG_KEY, 401, "authentication_error"),
    // Encodings.
    ("POST", "/v1/chat/completions", ODD_ENCODING, 415, "invalid_request_error"),
    ("POST", "/v1/messages", ODD_ENCODING, 415, "invalid_request_error"),
    (
        "POST",
        "/v1/messages/count_tokens",
        &[("content-encoding", "gzip, lzma")],
        415,
        "invalid_request_error",
    ),
    ("POST", "/v1/chat/completions", &[("content-encoding", "gzip")], 400, "invalid_request_error"),
    ("POST", "/v1/messages", &[("content-encoding", "zstd")], 400, "invalid_request_error"),
    // Hops that nobody has.
    (
        "POST",
        "/v1/chat/completions",
        &[("x-switchyard-hops", "a,b,c,d,e,f,g,h,i")],
        508,
        "invalid_request_error",
    ),
    ("POST", "/v1/messages", &[("x-switchyard-hops", ",,,,,,,,,,,,")], 508, "invalid_request_error"),
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_methods_routes_upgrades_and_callers_are_refused() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut differences = Vec::new();
    for (method, path, headers, status, kind) in REQUESTS.iter().copied() {
        let url = format!("{}{path}", gateway.url);
        let mut request = gateway.http.request(Method::from_bytes(method.as_bytes())?, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // Not what these are refused for, except where the body is all that is left.
        let body = if status == 508 { GOOD } else { "{not a body" };
        let answer = Answer::read(request.body(body).send().await?).await?;
        let looked = right(&answer, path, headers, status, kind);
        if let Err(error) = looked {
            differences.push(format!("{method} {path} {headers:?}\n    wanted {status} {kind}; {error}"));
        }
    }
    ensure!(differences.is_empty(), "{} rows:\n{}", differences.len(), differences.join("\n"));
    still_serves(&gateway).await?;
    gateway.stop().await
}

const GOOD: &str = r#"{"model":"gpt-5.5","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;

fn right(answer: &Answer, path: &str, headers: &[(&str, &str)], status: u16, kind: &str) -> Result<()> {
    ensure!(answer.status == status, "{}: {:.200}", answer.status, answer.text());
    ensure!(answer.header("x-evil").is_none(), "{:?}", answer.headers);
    let anthropic =
        (path.starts_with("/v1/messages") || path.starts_with("/messages")) || headers == ANTHROPIC;
    let client = if anthropic { Speaks::Messages } else { Speaks::Chat };
    let (found, _) = client.error(answer).with_context(|| answer.text())?;
    ensure!(found == kind, "{found}");
    Ok(())
}

/// A picture's address may point anywhere; whoever serves the model fetches it, the gateway never does.
#[tokio::test(flavor = "multi_thread")]
async fn remote_pictures_are_not_fetched() -> Result<()> {
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/latest/meta-data", inside.local_addr()?);
    let gateway = InProcess::start(lab(1)).await?;
    for client in Speaks::ALL {
        let mut body = client.with_picture("gpt-5.5", "what is it?", false).to_string();
        body = match client {
            Speaks::Messages => body.replace(
                &format!(r#""data":"{}","media_type":"image/png","type":"base64""#, switchyard_tests::PIXEL),
                &format!(r#""type":"url","url":"{url}""#),
            ),
            _ => body.replace(&format!("data:image/png;base64,{}", switchyard_tests::PIXEL), &url),
        };
        ensure!(body.contains(&url), "{client:?}: {body}");
        let answer = Answer::read(gateway.post_to(client.path(), HeaderMap::new(), body).await?).await?;
        client.hear(&answer).with_context(|| format!("{client:?}"))?;
    }
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(50), inside.accept()).await;
    assert!(nobody.is_err(), "the gateway asked for the picture");
    gateway.stop().await
}
