//! The token endpoint as clients meet it.

use super::*;
use crate::exchange::Abandon;
use crate::{CLIENT_ID, Fault, FaultRule, Route};

async fn refresh(lab: &Lab, token: &str) -> Response<Body> {
    let body = json!({"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token});
    post(lab, "application/json", body.to_string()).await
}

async fn post(lab: &Lab, kind: &str, body: String) -> Response<Body> {
    call(lab, Request::post("/oauth/token").header("content-type", kind).body(Body::from(body)).unwrap())
        .await
}

fn refresh_token(auth: &Value) -> String {
    auth["tokens"]["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_auth_json_has_the_shape_codex_writes() {
    let lab = lab();
    let auth = lab.issue_auth_json(0).unwrap();
    assert_eq!(auth["auth_mode"], "chatgpt");
    assert_eq!(auth["OPENAI_API_KEY"], Value::Null);
    assert_eq!(auth["tokens"]["account_id"], "acc-lab-ada");
    assert_eq!(auth["last_refresh"], "2027-01-15T08:00:00Z");
    assert!(lab.issue_auth_json(9).is_none());
    let dead = lab.issue_auth_json_living(0, Lifetime::Expired).unwrap();
    let request = Request::get("/backend-api/wham/usage")
        .header("authorization", format!("Bearer {}", dead["tokens"]["access_token"].as_str().unwrap()))
        .body(Body::empty())
        .unwrap();
    let response = call(&lab, request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(body_json(response).await["error"]["code"], "token_expired");
}

#[tokio::test]
async fn a_refresh_rotates_and_reuse_is_detected() {
    let lab = lab();
    let first = refresh_token(&lab.issue_auth_json(0).unwrap());
    let response = refresh(&lab, &first).await;
    assert_eq!(response.status(), StatusCode::OK);
    let tokens = body_json(response).await;
    assert_eq!(tokens["expires_in"], 3600);
    assert!(tokens["id_token"].is_string());
    assert_ne!(tokens["refresh_token"], first.as_str());
    let reused = refresh(&lab, &first).await;
    assert_eq!(reused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(body_json(reused).await["error"]["code"], "refresh_token_reused");
    let stats = lab.tokens(0).unwrap();
    assert_eq!((stats.refreshes, stats.reuse_detections), (1, 1));
    assert_eq!(stats.current_refresh_token.as_deref(), tokens["refresh_token"].as_str());
    assert_eq!(lab.requests().last().unwrap().account, Some(0), "the owner of a spent token is known");
}

#[tokio::test]
async fn forms_work_as_well_and_wrong_ones_do_not() {
    let lab = lab();
    let token = refresh_token(&lab.issue_auth_json(1).unwrap());
    let form =
        format!("grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={token}&scope=openid+email");
    let response = post(&lab, "application/x-www-form-urlencoded", form.clone()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let stranger = form.replace(CLIENT_ID, "app_other");
    let refused = post(&lab, "application/x-www-form-urlencoded", stranger).await;
    assert_eq!(body_json(refused).await["error"], "invalid_client");
    let unknown = refresh(&lab, "rt-nobody").await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    assert_eq!(body_json(unknown).await["error"], "invalid_grant");
    let other = post(&lab, "application/json", json!({"grant_type": "password"}).to_string()).await;
    assert_eq!(body_json(other).await["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn expired_and_revoked_sessions_say_so() {
    let lab = lab();
    let token = refresh_token(&lab.issue_auth_json(0).unwrap());
    lab.expire_refresh_tokens(0);
    assert_eq!(body_json(refresh(&lab, &token).await).await["error"]["code"], "refresh_token_expired");
    let token = refresh_token(&lab.issue_auth_json(0).unwrap());
    lab.revoke(0);
    assert_eq!(body_json(refresh(&lab, &token).await).await["error"]["code"], "refresh_token_invalidated");
}

#[tokio::test]
async fn a_dropped_answer_has_rotated_all_the_same() {
    let lab = lab();
    let token = refresh_token(&lab.issue_auth_json(0).unwrap());
    let rule = lab.script(FaultRule::new(Fault::DropAnswer).on(Route::Token).account(0).once());
    let response = refresh(&lab, &token).await;
    assert!(response.extensions().get::<Abandon>().is_some());
    assert_eq!((lab.fired(rule), lab.tokens(0).unwrap().refreshes), (1, 1));
    assert_eq!(lab.requests().last().unwrap().status, None, "nobody saw a status");
    assert_eq!(body_json(refresh(&lab, &token).await).await["error"]["code"], "refresh_token_reused");
}

#[tokio::test]
async fn a_leeway_forgives_the_lost_answer() {
    let lab = Lab::new(LabConfig { reuse_leeway: Duration::from_secs(30), ..config() });
    let token = refresh_token(&lab.issue_auth_json(0).unwrap());
    let first = body_json(refresh(&lab, &token).await).await;
    assert_eq!(body_json(refresh(&lab, &token).await).await, first);
    lab.advance(Duration::from_secs(31));
    assert_eq!(refresh(&lab, &token).await.status(), StatusCode::UNAUTHORIZED);
}
