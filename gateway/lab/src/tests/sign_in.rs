//! The sign-in flows as a browser, a device and a client meet them.

use super::*;
use crate::sign_in::challenge;
use crate::{CLIENT_ID, Fault, FaultRule, Route};

const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-believed-by-anybody";
const CALLBACK: &str = "http://localhost:1455/auth/callback";

fn authorize_path(changes: &[(&str, &str)]) -> String {
    let challenge = challenge(VERIFIER);
    let usual = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "http%3A%2F%2Flocalhost%3A1455%2Fauth%2Fcallback"),
        ("scope", "openid+profile+email+offline_access"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("state", "st%20ate"),
    ];
    let value = |name: &str, usual: &str| {
        changes
            .iter()
            .find(|(changed, _)| *changed == name)
            .map_or(usual.to_owned(), |(_, v)| (*v).to_owned())
    };
    let pairs: Vec<String> = usual.iter().map(|(name, v)| format!("{name}={}", value(name, v))).collect();
    format!("/oauth/authorize?{}", pairs.join("&"))
}

async fn visit(lab: &Lab, path: &str) -> Response<Body> {
    call(lab, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(lab: &Lab, path: &str, body: &Value) -> Response<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    call(lab, request.body(Body::from(body.to_string())).unwrap()).await
}

async fn trade(lab: &Lab, code: &str, verifier: &str, redirect: &str) -> Response<Body> {
    let redirect = crate::form::encode(redirect);
    let form = format!(
        "grant_type=authorization_code&client_id={CLIENT_ID}&code={code}&code_verifier={verifier}&redirect_uri={redirect}"
    );
    let request = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    call(lab, request.body(Body::from(form)).unwrap()).await
}

fn location(response: &Response<Body>) -> &str {
    response.headers()["location"].to_str().unwrap()
}

#[tokio::test]
async fn the_browser_comes_back_with_a_code_that_is_good_once() {
    let lab = lab();
    lab.sign_in_as(1);
    let response = visit(&lab, &authorize_path(&[])).await;
    assert_eq!(response.status(), StatusCode::FOUND);
    let (place, query) = location(&response).split_once('?').unwrap();
    let fields = crate::form::fields(query);
    assert_eq!((place, fields["state"].as_str()), (CALLBACK, "st ate"));
    let traded = trade(&lab, &fields["code"], VERIFIER, CALLBACK).await;
    assert_eq!(traded.status(), StatusCode::OK);
    let tokens = body_json(traded).await;
    assert!(["access_token", "refresh_token", "id_token"].iter().all(|name| tokens[name].is_string()));
    assert_eq!((lab.tokens(0).unwrap().logins, lab.tokens(1).unwrap().logins), (0, 1));
    let again = trade(&lab, &fields["code"], VERIFIER, CALLBACK).await;
    assert_eq!(body_json(again).await["error"], "invalid_grant");
}

#[tokio::test]
async fn a_wrong_proof_or_place_is_refused_and_a_person_may_say_no() {
    let lab = lab();
    for (verifier, redirect) in [("x".repeat(43), CALLBACK), (VERIFIER.to_owned(), "http://evil.test")] {
        let response = visit(&lab, &authorize_path(&[])).await;
        let fields = crate::form::fields(location(&response).split_once('?').unwrap().1);
        let refused = trade(&lab, &fields["code"], &verifier, redirect).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
    lab.deny_sign_ins();
    assert!(location(&visit(&lab, &authorize_path(&[])).await).contains("?error=access_denied&state="));
    for change in [
        ("response_type", "token"),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("state", ""),
        ("redirect_uri", "javascript:alert(1)"),
        ("scope", "openid"),
    ] {
        let response = visit(&lab, &authorize_path(&[change])).await;
        assert_eq!(body_json(response).await["error"], "invalid_request", "{change:?}");
    }
    let stranger = visit(&lab, &authorize_path(&[("client_id", "app_other")])).await;
    assert_eq!(body_json(stranger).await["error"], "invalid_client");
}

#[tokio::test]
async fn a_device_signs_in_when_somebody_confirms() {
    let lab = Lab::new(LabConfig { device_slow_down: true, ..config() });
    let begun = post(&lab, "/api/accounts/deviceauth/usercode", &json!({"client_id": CLIENT_ID})).await;
    let device = body_json(begun).await;
    assert_eq!((&device["interval"], &device["expires_in"]), (&json!("5"), &json!(900)));
    let ask = json!({"device_auth_id": device["device_auth_id"], "user_code": device["user_code"]});
    let poll = async |expected: u16| {
        let response = post(&lab, "/api/accounts/deviceauth/token", &ask).await;
        assert_eq!(response.status().as_u16(), expected);
        body_json(response).await
    };
    poll(403).await;
    assert_eq!(poll(400).await["error"]["code"], "slow_down");
    lab.advance(Duration::from_secs(5));
    let page = bytes(visit(&lab, "/codex/device").await).await;
    let code = device["user_code"].as_str().unwrap();
    assert!(String::from_utf8_lossy(&page).contains(&format!("/lab/devices/{code}/confirm?account=1")));
    let confirmed = post(&lab, &format!("/lab/devices/{code}/confirm?account=1"), &json!({})).await;
    assert_eq!(confirmed.status(), StatusCode::OK);
    let answer = poll(200).await;
    let (code, verifier) = (answer["authorization_code"].as_str(), answer["code_verifier"].as_str());
    let redirect = "https://auth.example.test/deviceauth/callback";
    let traded = trade(&lab, code.unwrap(), verifier.unwrap(), redirect).await;
    assert_eq!(traded.status(), StatusCode::OK);
    assert_eq!(lab.tokens(1).unwrap().logins, 1);
    assert!(!lab.confirm_device("NOBODY", 0) && !lab.deny_device("NOBODY"));
    assert!(lab.waiting_devices().is_empty());
}

#[tokio::test]
async fn a_refused_expired_or_unoffered_device_says_so() {
    let begin = async |lab: &Lab| {
        let response = post(lab, "/api/accounts/deviceauth/usercode", &json!({"client_id": CLIENT_ID})).await;
        (response.status().as_u16(), body_json(response).await)
    };
    let off = Lab::new(LabConfig { device_flow: false, ..config() });
    assert_eq!(begin(&off).await.0, 404);
    let lab = lab();
    let (_, device) = begin(&lab).await;
    assert!(lab.deny_device(device["user_code"].as_str().unwrap()));
    let refused = post(&lab, "/api/accounts/deviceauth/token", &device).await;
    assert_eq!(body_json(refused).await["error"]["code"], "access_denied");
    let (_, device) = begin(&lab).await;
    lab.advance(Duration::from_secs(900));
    let expired = post(&lab, "/api/accounts/deviceauth/token", &device).await;
    assert_eq!(body_json(expired).await["error"]["code"], "expired_token");
    let rule = lab.script(FaultRule::new(Fault::RefuseConnection).on(Route::DeviceCode).once());
    let dropped = post(&lab, "/api/accounts/deviceauth/usercode", &json!({"client_id": CLIENT_ID})).await;
    assert!(dropped.extensions().get::<crate::exchange::Abandon>().is_some());
    assert_eq!(lab.fired(rule), 1);
}
