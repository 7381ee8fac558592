//! Paths and methods that do not exist, on every part of the surface, and what they are answered.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use switchyard_tests::{Answer, InProcess};

use super::{lab, still_serves};

/// What an answer must look like.
#[derive(Clone, Copy)]
enum Shape {
    /// An OpenAI error.
    OpenAi,
    /// An error of the admin API.
    Admin,
}
use Shape::{Admin, OpenAi};

/// Method, path, status, code, shape.
const REFUSED: &[(&str, &str, u16, &str, Shape)] = &[
    ("GET", "/v1", 404, "unknown_route", OpenAi),
    ("GET", "/v1/", 404, "unknown_route", OpenAi),
    ("GET", "/v1/nothing", 404, "unknown_route", OpenAi),
    ("POST", "/v1/nothing", 404, "unknown_route", OpenAi),
    ("POST", "/v1/responses/", 404, "unknown_route", OpenAi),
    ("POST", "/v1//responses", 404, "unknown_route", OpenAi),
    ("POST", "/V1/RESPONSES", 404, "unknown_route", OpenAi),
    ("POST", "/v1/responses/input_tokens", 404, "unknown_route", OpenAi),
    ("GET", "/v1/responses/resp_1", 404, "unknown_route", OpenAi),
    ("POST", "/v1/completions", 404, "unknown_route", OpenAi),
    ("GET", "/v1/models/no/such-model", 404, "model_not_found", OpenAi),
    ("GET", "/v1/%2e%2e/secret.key", 404, "unknown_route", OpenAi),
    ("GET", "/v1/x%0d%0ax-evil:%201", 404, "unknown_route", OpenAi),
    ("GET", "/backend-api", 404, "unknown_route", OpenAi),
    ("GET", "/backend-api/wham/nothing", 404, "unknown_route", OpenAi),
    ("POST", "/backend-api/codex/nothing", 404, "unknown_route", OpenAi),
    ("GET", "/api/nothing", 404, "unknown_route", OpenAi),
    ("GET", "/assets/nothing.js", 404, "unknown_route", OpenAi),
    ("GET", "/metrics/x", 404, "unknown_route", OpenAi),
    ("GET", "/nothing", 404, "unknown_route", OpenAi),
    ("POST", "/", 404, "unknown_route", OpenAi),
    ("DELETE", "/nothing", 404, "unknown_route", OpenAi),
    ("BREW", "/coffee", 404, "unknown_route", OpenAi),
    ("GET", "/v1/responses", 405, "method_not_allowed", OpenAi),
    ("DELETE", "/v1/responses", 405, "method_not_allowed", OpenAi),
    ("PUT", "/v1/responses", 405, "method_not_allowed", OpenAi),
    ("BREW", "/v1/responses", 405, "method_not_allowed", OpenAi),
    ("GET", "/backend-api/codex/responses", 405, "method_not_allowed", OpenAi),
    ("POST", "/v1/models", 405, "method_not_allowed", OpenAi),
    ("DELETE", "/backend-api/codex/models", 405, "method_not_allowed", OpenAi),
    ("POST", "/health", 405, "method_not_allowed", OpenAi),
    ("PUT", "/ready", 405, "method_not_allowed", OpenAi),
    ("PATCH", "/metrics", 405, "method_not_allowed", OpenAi),
    ("GET", "/api/admin", 404, "not_found", Admin),
    ("GET", "/api/admin/nothing", 404, "not_found", Admin),
    ("GET", "/api/admin/accounts/x/y", 404, "not_found", Admin),
    ("POST", "/api/admin/nothing", 404, "not_found", Admin),
    ("DELETE", "/api/admin/overview", 405, "method_not_allowed", Admin),
    ("GET", "/api/admin/login", 405, "method_not_allowed", Admin),
    ("PUT", "/api/admin/session", 405, "method_not_allowed", Admin),
    ("PATCH", "/api/admin/keys", 405, "method_not_allowed", Admin),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_says_so_in_the_shape_of_its_surface() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for (method, path, status, code, shape) in REFUSED.iter().copied() {
        let answer = call(&gateway, method, path).await?;
        check(&answer, status, code, shape).with_context(|| format!("{method} {path}"))?;
    }
    let metrics = gateway.metrics().await?;
    let of_clients =
        |code| REFUSED.iter().filter(|row| row.3 == code && matches!(row.4, OpenAi)).count() as f64;
    for code in ["unknown_route", "method_not_allowed"] {
        let label = format!("outcome=\"{code}\"");
        assert_eq!(
            metrics.sum("switchyard_requests_total", &[&label]),
            of_clients(code),
            "{code} is counted"
        );
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

async fn call(gateway: &InProcess, method: &str, path: &str) -> Result<Answer> {
    let request =
        gateway.http.request(Method::from_bytes(method.as_bytes())?, format!("{}{path}", gateway.url));
    let request = request.header("accept", "application/json").header(gateway_api::CSRF_HEADER, "1");
    Answer::read(request.send().await?).await
}

fn check(answer: &Answer, status: u16, code: &str, shape: Shape) -> Result<()> {
    ensure!(answer.status == status, "{}: {}", answer.status, answer.text());
    ensure!(answer.header("x-evil").is_none(), "{:?}", answer.headers);
    let (found, message) = match shape {
        OpenAi => {
            let error = answer.error()?;
            ensure!(error.kind == "invalid_request_error", "{error:?}");
            (error.code, error.message)
        }
        Admin => {
            let error: gateway_api::ApiError = serde_json::from_slice(&answer.body)?;
            (error.code, error.message)
        }
    };
    ensure!(found == code && !message.is_empty(), "{found}: {message}");
    Ok(())
}
