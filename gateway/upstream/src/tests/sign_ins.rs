//! Signing in through the lab's issuer: in the browser, with a device, and what can go wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::ports::{DeviceAnswer, SignInError, SignInIssuer, TokenIssuer, TokenIssuerError};
use gateway_lab::{ERROR_BODIES, ErrorPlace, Fault, FaultRule, Route};
use sha2::{Digest as _, Sha256};

use super::*;

const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-believed-by-anybody";
const CALLBACK: &str = "http://localhost:1455/auth/callback";

/// What the browser carries back: the query of the callback.
async fn visit(world: &World, state: &str, verifier: &str) -> Vec<(String, String)> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let url = world.issuer.authorize_url(state, &challenge, CALLBACK);
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 302);
    let location = reqwest::Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(CALLBACK));
    location.query_pairs().into_owned().collect()
}

fn field(query: &[(String, String)], name: &str) -> String {
    query.iter().find(|(key, _)| key == name).unwrap().1.clone()
}

async fn exchange(world: &World, code: &str, verifier: &str) -> Result<(), SignInError> {
    let traded =
        world.issuer.exchange(Secret::from(code), Secret::from(verifier), CALLBACK.to_owned()).await?;
    assert!(traded.refresh_token.is_some() && traded.id_token.is_some());
    assert_eq!(traded.expires_in, Some(3600));
    Ok(())
}

#[tokio::test]
async fn a_browser_sign_in_ends_with_tokens() {
    let world = World::new().await;
    world.lab.sign_in_as(1);
    let query = visit(&world, "st ate/1", VERIFIER).await;
    assert_eq!(field(&query, "state"), "st ate/1");
    let code = field(&query, "code");
    exchange(&world, &code, VERIFIER).await.unwrap();
    assert_eq!(world.lab.tokens(1).unwrap().logins, 1);
    let asked = world.lab.requests();
    let authorize = asked.iter().find(|request| request.route == Route::Authorize).unwrap();
    for part in [
        "scope=openid+profile+email+offline_access",
        "id_token_add_organizations=true",
        "codex_cli_simplified_flow=true",
    ] {
        assert!(authorize.path.contains(part), "{part}");
    }
    assert_eq!(
        asked.last().unwrap().header("content-type"),
        Some("application/x-www-form-urlencoded"),
        "an exchange is a form"
    );
    let again = exchange(&world, &code, VERIFIER).await.unwrap_err();
    assert_eq!(again, SignInError::Refused { code: "invalid_grant".to_owned() });
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing_and_a_no_is_a_no() {
    let world = World::new().await;
    let query = visit(&world, "s", VERIFIER).await;
    let stolen = exchange(&world, &field(&query, "code"), &"x".repeat(43)).await.unwrap_err();
    assert!(matches!(stolen, SignInError::Refused { .. }));
    world.lab.deny_sign_ins();
    assert_eq!(field(&visit(&world, "s", VERIFIER).await, "error"), "access_denied");
}

#[tokio::test]
async fn a_device_sign_in_waits_for_its_person() {
    let world = World::with(LabConfig { device_slow_down: true, ..config() }).await;
    let device = world.issuer.begin_device().await.unwrap();
    assert_eq!((device.interval.as_secs(), device.expires_in.as_secs()), (5, 900));
    assert_eq!(device.verification_url, format!("{}/codex/device", world.lab.base_url()));
    let poll = async || world.issuer.poll_device(device.clone()).await;
    assert!(matches!(poll().await, Ok(DeviceAnswer::Pending)));
    assert!(matches!(poll().await, Ok(DeviceAnswer::SlowDown)));
    world.lab.advance(device.interval);
    assert!(world.lab.confirm_device(&device.user_code, 1));
    let Ok(DeviceAnswer::Code { code, verifier, redirect_uri }) = poll().await else {
        panic!("not confirmed")
    };
    assert_eq!(redirect_uri, format!("{}/deviceauth/callback", world.lab.base_url()));
    let tokens = world.issuer.exchange(code, verifier, redirect_uri).await.unwrap();
    assert_eq!(
        world.lab.tokens(1).unwrap().current_refresh_token.as_ref(),
        tokens.refresh_token.as_ref().map(Secret::expose)
    );
}

#[tokio::test]
async fn a_device_sign_in_can_be_refused_expire_or_not_be_offered() {
    let world = World::new().await;
    let device = world.issuer.begin_device().await.unwrap();
    assert!(world.lab.deny_device(&device.user_code));
    let refused = world.issuer.poll_device(device).await.unwrap_err();
    assert_eq!(refused, SignInError::Refused { code: "access_denied".to_owned() });
    let device = world.issuer.begin_device().await.unwrap();
    world.lab.advance(device.expires_in);
    let expired = world.issuer.poll_device(device).await.unwrap_err();
    assert_eq!(expired, SignInError::Refused { code: "expired_token".to_owned() });
    let off = World::with(LabConfig { device_flow: false, ..config() }).await;
    assert_eq!(off.issuer.begin_device().await.unwrap_err(), SignInError::NotOffered);
}

#[tokio::test]
async fn an_issuer_in_trouble_is_passing() {
    let world = World::new().await;
    for fault in [
        Fault::RefuseConnection,
        Fault::named("token_server_error").unwrap(),
        Fault::named("token_unavailable_html").unwrap(),
        Fault::Raw { status: 200, body: "<html>".to_owned(), headers: vec![] },
        Fault::Raw {
            status: 200,
            body: r#"{"access_token":"a","id_token":"i"}"#.to_owned(),
            headers: vec![],
        },
    ] {
        let rule = world.lab.script(FaultRule::new(fault.clone()));
        let exchanged = exchange(&world, "code", VERIFIER).await;
        assert!(matches!(exchanged, Err(SignInError::Passing(_))), "{fault:?}: {exchanged:?}");
        let begun = world.issuer.begin_device().await;
        assert!(matches!(begun, Err(SignInError::Passing(_))), "{fault:?}: {begun:?}");
        let rotated = world.issuer.rotate(Secret::from("rt"), Way::Direct).await;
        // This one has no refresh token, and a rotation may go without.
        let without = matches!(&fault, Fault::Raw { body, .. } if body.starts_with('{'));
        assert!(without || matches!(rotated, Err(TokenIssuerError::Passing(_))), "{fault:?}");
        world.lab.unscript(rule);
    }
}

#[tokio::test]
async fn every_refusal_of_the_token_endpoint_is_dead_or_passing() {
    let world = World::new().await;
    let dead = [
        "refresh_token_reused",
        "refresh_token_expired",
        "refresh_token_invalidated",
        "invalid_refresh_token",
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "access_denied",
        "token_error_code_form",
        "token_code_form",
    ];
    for row in ERROR_BODIES.iter().filter(|row| row.place == ErrorPlace::Token) {
        let rule = world.lab.script(FaultRule::new(*row).on(Route::Token));
        let refused = world.issuer.rotate(Secret::from("rt"), Way::Direct).await.unwrap_err();
        let is_dead = matches!(refused, TokenIssuerError::Dead { .. });
        assert_eq!(is_dead, dead.contains(&row.name), "{}: {refused}", row.name);
        assert_eq!(world.lab.fired(rule), 1, "asked once");
        world.lab.unscript(rule);
    }
}

#[tokio::test]
async fn a_rotation_hands_on_the_next_token() {
    let world = World::new().await;
    let first = world.lab.login(0, Lifetime::Normal).unwrap();
    let tokens = world.issuer.rotate(Secret::new(first.refresh_token.clone()), Way::Direct).await.unwrap();
    let next = tokens.refresh_token.unwrap();
    assert_ne!(*next.expose(), first.refresh_token);
    let reused = world.issuer.rotate(Secret::new(first.refresh_token), Way::Direct).await.unwrap_err();
    assert_eq!(reused, TokenIssuerError::Dead { code: "refresh_token_reused".to_owned() });
    world.issuer.rotate(next, Way::Direct).await.unwrap();
}
