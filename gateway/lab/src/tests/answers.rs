//! The small routes, strangers, encodings, the log and the control routes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[tokio::test]
async fn strangers_get_401_in_the_form_they_deserve() {
    let lab = lab();
    let ask = async |bearer: Option<&str>, workspace: Option<&str>| {
        let mut request = Request::get("/backend-api/wham/usage");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if let Some(workspace) = workspace {
            request = request.header("chatgpt-account-id", workspace);
        }
        let response = call(&lab, request.body(Body::empty()).unwrap()).await;
        (response.status().as_u16(), body_json(response).await)
    };
    assert_eq!(ask(None, None).await, (401, json!({"detail": "Unauthorized"})));
    let (status, body) = ask(Some("made-up"), None).await;
    assert_eq!(status, 401);
    assert!(body["detail"].as_str().unwrap().contains("Could not parse"));
    let token = access_token(&lab, 0);
    assert_eq!(ask(Some(&token), Some("acc-lab-ada")).await.0, 200);
    assert_eq!(ask(Some(&token), Some("acc-lab-grace")).await.0, 401);
    lab.expire_access_tokens(0);
    assert_eq!(ask(Some(&token), None).await.1["error"]["code"], "token_expired");
    let token = access_token(&lab, 0);
    lab.revoke(0);
    assert_eq!(ask(Some(&token), None).await.1["error"]["code"], "token_invalidated");
    let token = access_token(&lab, 0);
    lab.advance(Duration::from_hours(1));
    assert_eq!(ask(Some(&token), None).await.1["error"]["code"], "token_expired");
}

#[tokio::test]
async fn the_catalogue_has_a_tag_and_follows_the_account() {
    let mut config = config();
    config.accounts[1].models = vec!["gpt-5.4".to_owned()];
    let lab = Lab::new(config);
    let path = "/backend-api/codex/models?client_version=0.169.0";
    let response = get(&lab, 0, path).await;
    let etag = response.headers()["etag"].clone();
    let streamed = turn(&lab, 0, &say("x")).await;
    assert_eq!(streamed.headers()["x-models-etag"], etag);
    assert_eq!(body_json(response).await["models"].as_array().unwrap().len(), 4);
    let request = Request::get(path)
        .header("authorization", format!("Bearer {}", access_token(&lab, 0)))
        .header("if-none-match", &etag)
        .body(Body::empty())
        .unwrap();
    let unchanged = call(&lab, request).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert!(bytes(unchanged).await.is_empty());
    assert_eq!(body_json(get(&lab, 1, path).await).await["models"][0]["slug"], "gpt-5.4");
    let refused = turn(&lab, 1, &say("x")).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let message = body_json(refused).await["error"]["message"].clone();
    assert_eq!(message, "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.");
}

#[tokio::test]
async fn the_wham_routes_answer_for_the_account() {
    let lab = lab();
    let usage = body_json(get(&lab, 1, "/backend-api/wham/usage").await).await;
    assert_eq!(
        (usage["plan_type"].as_str(), usage["email"].as_str()),
        (Some("pro"), Some("grace@example.test"))
    );
    assert_eq!(usage["rate_limit"]["secondary_window"]["limit_window_seconds"], 604_800);
    let check = body_json(get(&lab, 1, "/backend-api/wham/accounts/check").await).await;
    assert_eq!(check["accounts"][0]["id"], "acc-lab-grace");
    assert_eq!(check["accounts"][0]["workspace_backend_origin"], "https://chatgpt.com");
    assert_eq!(get(&lab, 1, "/backend-api/wham/settings/user").await.status(), StatusCode::OK);
    let unknown = get(&lab, 1, "/backend-api/ps/nothing-of-ours").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(body_json(unknown).await, json!({"detail": "Not Found"}));
    assert_eq!(get(&lab, 1, "/backend-api/codex/responses").await.status(), StatusCode::UPGRADE_REQUIRED);
}

/// `{"model":"gpt-5.5","stream":true,"store":false,"input":[{"role":"user","content":"packed"}]}`.
const GZIP: &str = "H4sIAAAAAAACAxWLsQ6AIAwF/+XN6sbSXzEOBKoxAiWlTMR/F8e7yw1kiZxAuKqtbnNY0EzZZ5Bp559EGXT61CbdpXYD7QMqaWr0xjqfIMW4zILqw8MR7/F+oT8cnlwAAAA=";
/// The same in a zstd frame of one raw block.
const ZSTD: &str = "KLUv/SBc4QIAeyJtb2RlbCI6ImdwdC01LjUiLCJzdHJlYW0iOnRydWUsInN0b3JlIjpmYWxzZSwiaW5wdXQiOlt7InJvbGUiOiJ1c2VyIiwiY29udGVudCI6InBhY2tlZCJ9XX0=";

#[tokio::test]
async fn compressed_bodies_are_read_and_logged_in_the_clear() {
    let lab = lab();
    for (encoding, packed) in [("gzip", GZIP), ("zstd", ZSTD)] {
        let mut request = turn_request(&lab, 0, &json!({}));
        *request.body_mut() = Body::from(STANDARD.decode(packed).unwrap());
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        let events = events_of(&bytes(call(&lab, request).await).await);
        assert_eq!(text_of(&events), "You said: packed", "{encoding}");
        let record = lab.requests().pop().unwrap();
        assert_eq!(record.json()["input"][0]["content"], "packed");
        assert_eq!(record.header("content-encoding"), Some(encoding));
    }
    let mut broken = turn_request(&lab, 0, &json!({}));
    *broken.body_mut() = Body::from("not gzip at all");
    broken.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(call(&lab, broken).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn oversized_bodies_are_refused() {
    let lab = Lab::new(LabConfig { max_body_bytes: 100, ..config() });
    let response = turn(&lab, 0, &say(&"x".repeat(200))).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_log_keeps_what_was_received() {
    let lab = lab();
    let mut request = turn_request(&lab, 1, &say("log me"));
    request.headers_mut().insert("session-id", "s-1".parse().unwrap());
    call(&lab, request).await;
    turn(&lab, 0, &json!({"model": "gpt-5.5"})).await;
    let log = lab.requests();
    assert_eq!(log.iter().map(|r| r.status).collect::<Vec<_>>(), [Some(200), Some(400)]);
    assert_eq!((log[0].account, log[0].header("session-id")), (Some(1), Some("s-1")));
    assert_eq!(log[0].path, "/backend-api/codex/responses");
    assert_eq!(log[0].json(), say("log me"));
    lab.clear_requests();
    assert!(lab.requests().is_empty());
    let silent = Lab::new(LabConfig { request_log: 0, ..config() });
    turn(&silent, 0, &say("x")).await;
    assert!(silent.requests().is_empty());
}

#[tokio::test]
async fn the_control_routes_script_and_show() {
    let lab = lab();
    let post = async |path: &str, body: Value| {
        let request = Request::post(path).header("content-type", "application/json");
        call(&lab, request.body(Body::from(body.to_string())).unwrap()).await
    };
    let rule = json!({"route": "responses", "times": 1, "fault": {"status": {"body": "token_revoked"}}});
    assert_eq!(body_json(post("/lab/faults", rule).await).await, json!({"id": 0}));
    assert_eq!(turn(&lab, 0, &say("x")).await.status(), StatusCode::UNAUTHORIZED);
    let wrong = post("/lab/faults", json!({"fault": {"status": {"body": "nope"}}})).await;
    assert!(wrong.status().is_client_error());
    assert!(body_json(wrong).await["error"].as_str().unwrap().contains("nope"));
    let moved = body_json(post("/lab/clock/advance", json!({"seconds": 60})).await).await;
    assert_eq!(moved["now"], NOW + 60);
    let show = Request::get("/lab/state").body(Body::empty()).unwrap();
    let state = body_json(call(&lab, show).await).await;
    assert_eq!(state["accounts"][0]["plan"], "plus");
    assert_eq!(state["faults"][0]["fired"], 1);
    assert_eq!(state["faults"][0]["rule"]["fault"]["status"]["body"], "token_revoked");
    assert_eq!(state["accounts"][0]["stats"]["faults"], 1);
    let clear = Request::delete("/lab/faults").body(Body::empty()).unwrap();
    assert_eq!(call(&lab, clear).await.status(), StatusCode::NO_CONTENT);
    assert!(lab.rules().is_empty());
    let auth = |n: usize| Request::get(format!("/lab/accounts/{n}/auth.json")).body(Body::empty()).unwrap();
    assert_eq!(body_json(call(&lab, auth(1)).await).await["tokens"]["account_id"], "acc-lab-grace");
    assert_eq!(call(&lab, auth(7)).await.status(), StatusCode::NOT_FOUND);
}
