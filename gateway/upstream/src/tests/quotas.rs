//! What each kind tells about its quota and its catalogue.

use gateway_domain::{FailureKind, QuotaSnapshot};
use gateway_lab::{Fault, FaultRule, LabCredits, LabFeature, LabWindow, Route};

use super::*;

async fn quota(world: &World, kind: AccountKind) -> Result<QuotaSnapshot, Failure> {
    world.providers.quota(Arc::new(world.to(kind)), world.key(kind)).await
}

#[tokio::test]
async fn codex_tells_windows_features_credits_and_reset_credits() {
    let mut account = LabAccount::new("ada", "pro")
        .with_windows([LabWindow::new(18_000, 12.0, 600), LabWindow::new(604_800, 40.0, 6_000)]);
    account.features = vec![LabFeature {
        name: "GPT-5.3-Codex-Spark".to_owned(),
        metered: "codex_bengalfox".to_owned(),
        windows: vec![LabWindow::new(18_000, 7.0, 60)],
    }];
    account.credits = LabCredits { has_credits: true, unlimited: false, balance: "12.5".to_owned() };
    account.reset_credits = 3;
    let world = World::with(LabConfig::new(vec![account], LabClock::fixed(NOW))).await;
    let quota = quota(&world, AccountKind::Codex).await.unwrap();
    let window = |window: gateway_domain::Window| (window.seconds, window.used, window.resets_at);
    assert_eq!(window(quota.short.unwrap()), (18_000, 0.12, Some(Timestamp::from_secs(NOW + 600))));
    assert_eq!(window(quota.long.unwrap()), (604_800, 0.4, Some(Timestamp::from_secs(NOW + 6_000))));
    let feature = &quota.features[0];
    assert_eq!(feature.feature, "GPT-5.3-Codex-Spark");
    assert_eq!(window(feature.window), (18_000, 0.07, Some(Timestamp::from_secs(NOW + 60))));
    assert_eq!(quota.credits.unwrap().balance, Some(12.5));
    assert_eq!((quota.reset_credits, quota.plan.as_deref()), (Some(3), Some("pro")));
    let seen = world.lab.requests().pop().unwrap();
    assert_eq!((seen.route, seen.header("chatgpt-account-id")), (Route::Usage, Some("acc-lab-ada")));
}

#[tokio::test]
async fn kinds_without_a_quota_have_none_and_are_not_asked() {
    let world = World::new().await;
    for kind in [AccountKind::OpenAi, AccountKind::OpenAiCompatible, AccountKind::Anthropic] {
        assert!(quota(&world, kind).await.unwrap().is_empty());
    }
    assert!(world.lab.requests().is_empty());
}

#[tokio::test]
async fn refusals_and_nonsense_are_failures() {
    let world = World::new().await;
    let row = gateway_lab::ErrorBody::named("token_expired").unwrap();
    world.lab.script(FaultRule::new(row).on(Route::Usage).once());
    assert_eq!(quota(&world, AccountKind::Codex).await.unwrap_err().kind, FailureKind::AccountUnauthorized);
    let page = Fault::Raw { status: 200, body: "<html>".to_owned(), headers: vec![] };
    world.lab.script(FaultRule::new(page).on(Route::Usage).once());
    assert_eq!(quota(&world, AccountKind::Codex).await.unwrap_err().kind, FailureKind::Malformed);
}

#[tokio::test]
async fn a_childs_status_is_its_quota_and_its_usage_the_second_choice() {
    let world = World::new().await;
    let asked = |path: &str| {
        let seen = world.lab.requests();
        seen.iter().any(|request| request.path == path)
    };
    let answer = |status: u16, body: &str| Fault::Raw { status, body: body.to_owned(), headers: vec![] };
    let once = |fault| world.lab.script(FaultRule::new(fault).once());
    once(answer(
        200,
        r#"{"proxy_name":"p","accounts":[{"healthy":true,"enabled":true,"daily_left_pct":80,"weekly_left_pct":60}]}"#,
    ));
    let told = quota(&world, AccountKind::Gateway).await.unwrap();
    assert!((told.short.unwrap().used - 0.2).abs() < 1e-9 && (told.long.unwrap().used - 0.4).abs() < 1e-9);
    assert!(asked("/status") && !asked("/backend-api/wham/usage"));

    once(answer(404, "{}"));
    once(answer(
        200,
        r#"{"plan_type":"plus","rate_limit":{"primary_window":{"used_percent":5,"limit_window_seconds":18000}}}"#,
    ));
    assert_eq!(quota(&world, AccountKind::Gateway).await.unwrap().short.unwrap().used, 0.05);
    assert!(asked("/backend-api/wham/usage"));

    once(answer(200, "<html>"));
    once(answer(404, ""));
    assert!(quota(&world, AccountKind::Gateway).await.unwrap().is_empty(), "unknown, not an error");

    once(answer(401, "{}"));
    assert_eq!(quota(&world, AccountKind::Gateway).await.unwrap_err().kind, FailureKind::AccountUnauthorized);
}

#[tokio::test]
async fn catalogues_come_as_each_kind_has_them() {
    let world = World::new().await;
    for (kind, expected, path) in [
        (AccountKind::Codex, "\"slug\":\"gpt-5.5\"", "/backend-api/codex/models?client_version=0.200.0"),
        (AccountKind::OpenAi, "\"object\":\"list\"", "/v1/models"),
        (AccountKind::Anthropic, "claude-lab-sonnet", "/v1/models"),
    ] {
        let body = world
            .providers
            .models(Arc::new(world.to(kind)), world.key(kind), "0.200.0".to_owned())
            .await
            .unwrap();
        assert!(String::from_utf8_lossy(&body).contains(expected), "{}", kind.as_str());
        assert_eq!(world.lab.requests().pop().unwrap().path, path);
    }
    let refused = world.providers.models(
        Arc::new(world.to(AccountKind::OpenAi)),
        Arc::new(Secret::from("wrong")),
        "0.200.0".to_owned(),
    );
    assert_eq!(refused.await.unwrap_err().kind, FailureKind::AccountUnauthorized);
}
