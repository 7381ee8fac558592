//! Signing in to the dashboard: the first password from this machine only, once; then by password, within limits.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, PASSWORD};

use super::lab;

/// Calls an admin path without a session.
async fn call(
    gateway: &InProcess,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer> {
    let url = format!("{}/api/admin{path}", gateway.url);
    let mut request = gateway.http.request(Method::from_bytes(method.as_bytes())?, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = match body {
        Some(body) => request.body(body.to_string()),
        None => request,
    };
    Answer::read(request.send().await?).await
}

const OURS: (&str, &str) = ("x-switchyard-admin", "1");
const PROXIED: (&str, &str) = ("x-forwarded-for", "203.0.113.7");

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

async fn state(gateway: &InProcess, headers: &[(&str, &str)]) -> Result<String> {
    let answer = call(gateway, "GET", "/session", headers, None).await?;
    assert_eq!(answer.status, 200);
    Ok(answer.json()["state"].as_str().context("no state")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_password_is_set_here_and_once() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let password = json!({ "password": PASSWORD });
    assert_eq!(state(&gateway, &[]).await?, "setup_needed");
    assert_eq!(state(&gateway, &[PROXIED]).await?, "setup_elsewhere");

    let from_elsewhere = call(&gateway, "POST", "/setup", &[OURS, PROXIED], Some(&password)).await?;
    assert_eq!(code(&from_elsewhere), (403, "forbidden".into()));
    let from_a_page = call(&gateway, "POST", "/setup", &[], Some(&password)).await?;
    assert_eq!(code(&from_a_page), (403, "forbidden".into()), "without our header");
    let too_early = call(&gateway, "POST", "/login", &[OURS], Some(&password)).await?;
    assert_eq!(code(&too_early), (409, "conflict".into()));
    for (bad, expect) in [
        (json!({ "password": "short" }), "invalid_field"),
        (json!({ "password": "x".repeat(1_025) }), "invalid_field"),
        (json!({ "password": 12_345_678 }), "invalid_body"),
        (json!({}), "invalid_body"),
        (json!({ "password": PASSWORD, "more": 1 }), "invalid_body"),
    ] {
        let answer = call(&gateway, "POST", "/setup", &[OURS], Some(&bad)).await?;
        assert_eq!(code(&answer), (422, expect.into()), "{bad:.60}");
    }

    let set = call(&gateway, "POST", "/setup", &[OURS], Some(&password)).await?;
    assert_eq!((set.status, set.json()["state"].as_str()), (200, Some("signed_in")));
    let cookie = set.header("set-cookie").context("no cookie")?.to_owned();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(flag), "{flag} is not in {cookie}");
    }
    let token = cookie.split(';').next().context("no token")?;
    assert!(token.len() > 50, "256 random bits");
    assert_eq!(state(&gateway, &[("cookie", token)]).await?, "signed_in");
    assert_eq!(state(&gateway, &[]).await?, "signed_out");
    let again =
        call(&gateway, "POST", "/setup", &[OURS], Some(&json!({ "password": "another one" }))).await?;
    assert_eq!(code(&again), (409, "conflict".into()));
    gateway.stop().await
}

/// Two visitors set the first password at the same time: one of them wins.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_password_has_one_winner() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let bodies: Vec<Value> =
        (0..4).map(|nth| json!({ "password": format!("password number {nth}") })).collect();
    let tries = bodies.iter().map(|body| call(&gateway, "POST", "/setup", &[OURS], Some(body)));
    let answers = futures_util::future::join_all(tries).await.into_iter().collect::<Result<Vec<_>>>()?;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let winner = statuses.iter().position(|status| *status == 200).context("nobody won")?;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    let login = call(&gateway, "POST", "/login", &[OURS], Some(&bodies[winner])).await?;
    assert_eq!(login.status, 200);
    gateway.stop().await
}

/// Everything behind the session, and nothing of it without one.
const GUARDED: &[(&str, &str)] = &[
    ("GET", "/overview"),
    ("GET", "/events"),
    ("GET", "/accounts"),
    ("POST", "/accounts"),
    ("GET", "/accounts/acc_1"),
    ("PATCH", "/accounts/acc_1"),
    ("DELETE", "/accounts/acc_1"),
    ("GET", "/decisions"),
    ("GET", "/decisions/req_1"),
    ("GET", "/policies"),
    ("PUT", "/policy"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/key_1"),
    ("POST", "/logout"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_or_changed_without_a_session() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let forged = format!("{}x", admin.cookie);
    for (method, path) in GUARDED {
        for headers in [&[OURS][..], &[OURS, ("cookie", "switchyard_session=")], &[OURS, ("cookie", &forged)]]
        {
            let answer = call(&gateway, method, path, headers, Some(&json!({}))).await?;
            assert_eq!(code(&answer), (401, "signed_out".into()), "{method} {path} with {headers:?}");
        }
        if *method != "GET" {
            let answer = call(&gateway, method, path, &[("cookie", &admin.cookie)], Some(&json!({}))).await?;
            assert_eq!(code(&answer), (403, "forbidden".into()), "{method} {path} from a foreign page");
        }
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_logging_out_by_time_and_by_a_restart() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let first = Admin::set_up(&gateway.http, &gateway.url).await?;
    let second = Admin::log_in(&gateway.http, &gateway.url).await?;
    assert_ne!(first.cookie, second.cookie);
    let out = first.call(Method::POST, "/logout", None).await?;
    assert_eq!((out.status, out.json()["state"].as_str()), (200, Some("signed_out")));
    assert!(out.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    assert_eq!(first.call(Method::GET, "/overview", None).await?.status, 401);
    // The other one stays while it is used, and ends when it is not.
    for _ in 0..3 {
        gateway.lab.advance(Duration::from_hours(11));
        assert_eq!(second.call(Method::GET, "/overview", None).await?.status, 200);
    }
    gateway.lab.advance(Duration::from_hours(13));
    assert_eq!(second.call(Method::GET, "/overview", None).await?.status, 401);
    // The password is stored, sessions are not.
    let third = Admin::log_in(&gateway.http, &gateway.url).await?;
    let gateway = gateway.restarted().await?;
    assert_eq!(state(&gateway, &[("cookie", &third.cookie)]).await?, "signed_out");
    Admin::log_in(&gateway.http, &gateway.url).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_closes_the_door_for_a_while() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let guess = json!({ "password": "is it this one?" });
    for nth in 0..10 {
        let answer = call(&gateway, "POST", "/login", &[OURS], Some(&guess)).await?;
        assert_eq!(code(&answer), (422, "invalid_field".into()), "guess {nth}");
        assert_eq!(answer.json()["field"], "password");
        assert!(answer.header("set-cookie").is_none());
    }
    for body in [guess, json!({ "password": PASSWORD })] {
        let closed = call(&gateway, "POST", "/login", &[OURS], Some(&body)).await?;
        assert_eq!(code(&closed), (429, "too_many_tries".into()), "the right one does not open it either");
        assert_eq!(closed.header("retry-after"), Some("60"));
    }
    // Whoever is in stays in, and the door opens again.
    assert_eq!(admin.call(Method::GET, "/overview", None).await?.status, 200);
    gateway.lab.advance(Duration::from_secs(61));
    Admin::log_in(&gateway.http, &gateway.url).await?;
    gateway.stop().await
}
