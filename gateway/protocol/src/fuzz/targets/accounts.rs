//! What accounts are read from and what is said about them: sign-ins, imports, quota, errors of the backend.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gateway_domain::{QuotaSnapshot, Secret, Timestamp};
use serde_json::json;

use super::super::Target;
use super::super::seeds::Seeds;
use super::{must_be_json, seen, text};
use crate::codex::auth::{read_auth_json, read_tokens, renew_auth_json, token_expiry};
use crate::codex::import::{self, Format};
use crate::codex::{
    classify_answer, classify_error_object, quota_from_event, quota_from_header_list, quota_from_status,
    quota_from_usage, redemption, usage_body,
};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target { name: "auth-json", seeds: Seeds::Made(sign_ins), run: auth },
        Target { name: "import", seeds: Seeds::Made(imports), run: import_all },
        Target { name: "token", seeds: Seeds::Made(|| vec![token().into_bytes()]), run: claims },
        Target { name: "quota-body", seeds: Seeds::Texts(QUOTAS), run: quota },
        Target { name: "quota-headers", seeds: Seeds::Texts(HEADERS), run: headers },
        Target { name: "backend-errors", seeds: Seeds::Texts(ERRORS), run: errors },
    ]
}

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const QUOTAS: &[&str] = &[
    r#"{"plan_type":"plus","rate_limit":{"allowed":true,"limit_reached":false,"primary_window":{"used_percent":12.5,"limit_window_seconds":18000,"reset_after_seconds":60,"reset_at":1795000060},"secondary_window":null},"additional_rate_limits":[{"limit_name":"x","metered_feature":"x","rate_limit":{"primary_window":{"used_percent":"7","limit_window_seconds":604800,"reset_at":"1795000100"}}}],"credits":{"has_credits":true,"unlimited":false,"balance":"12.5"}}"#,
    r#"{"type":"codex.rate_limits","plan_type":"plus","rate_limits":{"primary":{"used_percent":50,"window_minutes":300,"reset_at":1795000100}}}"#,
    r#"{"accounts":[{"status":"active","daily_left_pct":40,"daily_reset_at":1795000100,"weekly_left_pct":-1,"weekly_reset_at":null}]}"#,
    r#"{"code":"reset","windows_reset":2}"#,
];
const HEADERS: &[&str] = &[
    "x-codex-primary-used-percent: 12.5\nx-codex-primary-window-minutes: 300\nx-codex-primary-reset-at: 1795000060\n\
     x-codex-secondary-used-percent: 3\nx-codex-secondary-window-minutes: 10080\nx-codex-secondary-reset-after-seconds: 9\n\
     x-codex-credits-has-credits: true\nx-codex-credits-unlimited: false\nx-codex-credits-balance: 4\nx-codex-plan-type: plus\n\
     x-codex-bengalfox-primary-used-percent: 7\nx-codex-bengalfox-primary-window-minutes: 300\nx-codex-bengalfox-limit-name: x",
];
const ERRORS: &[&str] = &[
    r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"plus","resets_at":1795000100,"resets_in_seconds":100}}"#,
    r#"{"error":{"message":"Rate limit reached for gpt-5.5. Please try again in 1m12.5s.","code":"rate_limit_exceeded","param":null}}"#,
    r#"{"detail":{"code":"deactivated_workspace"}}"#,
    r#"{"detail":"Unauthorized"}"#,
    "<html><body>blocked</body></html>",
    r#"{"error":"try again in 20ms"}"#,
];

/// A token as an issuer writes one; nobody checks its signature here.
fn token() -> String {
    let claims = json!({ "exp": 1_900_000_000, "iat": 1_700_000_000, "email": "ada@example.test", "sub": "auth0|ada",
        "https://api.openai.com/auth": { "chatgpt_account_id": "ws", "chatgpt_user_id": "ada", "chatgpt_plan_type": "plus" } });
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(json!({ "alg": "RS256" })), part(claims), "c2ln")
}

fn sign_ins() -> Vec<Vec<u8>> {
    let (token, refresh) = (token(), "rt_0123456789abcdef");
    let nested = json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00.5Z",
        "tokens": { "id_token": token, "access_token": token, "refresh_token": refresh, "account_id": "ws" } });
    let flat = json!({ "accessToken": token, "refreshToken": refresh, "expiresAt": 1_900_000_000_000_u64 });
    vec![nested.to_string().into_bytes(), flat.to_string().into_bytes()]
}

fn imports() -> Vec<Vec<u8>> {
    let (token, refresh) = (token(), "rt_0123456789abcdef");
    let mut all = sign_ins();
    all.push(format!("{refresh}\n# comment\n{refresh}----{token}\n{token},ada\n").into_bytes());
    all.push(
        json!([{ "name": "ada", "refresh_token": refresh, "access_token": token, "plan_type": "pro" },
            { "auth": { "tokens": { "access_token": token } }, "alias": "work" }])
        .to_string()
        .into_bytes(),
    );
    all.push(
        json!({ "format": "switchyard-accounts", "version": 1, "accounts": [{ "name": "a", "kind": "codex",
            "access_token": token, "refresh_token": refresh }] })
        .to_string()
        .into_bytes(),
    );
    all
}

fn auth(input: &[u8]) {
    let text = text(input);
    if let Ok(sign_in) = read_auth_json(text, NOW)
        && let Some(renewed) = renew_auth_json(text, &sign_in.credentials)
    {
        must_be_json("the renewed sign-in", renewed.expose().as_bytes());
        let again = read_auth_json(renewed.expose(), NOW).unwrap();
        assert_eq!(again.credentials.access_token.expose(), sign_in.credentials.access_token.expose());
    }
}

fn import_all(input: &[u8]) {
    for format in Format::ALL {
        if let Ok(items) = import::read(text(input), format, Some("a file"), NOW) {
            assert!(!items.is_empty(), "an import without items is an error");
        }
    }
}

fn claims(input: &[u8]) {
    let token = Secret::new(text(input).to_owned());
    seen(token_expiry(&token));
    seen(read_tokens(token.clone(), Some(token.clone()), Some(token), NOW));
}

fn quota(input: &[u8]) {
    let read = [quota_from_usage(input, NOW), quota_from_event(input, NOW), quota_from_status(input, NOW)];
    for quota in read.into_iter().flatten() {
        must_be_json("the pool's quota", &usage_body(&quota, true, NOW));
    }
    seen(redemption(input));
}

fn headers(input: &[u8]) {
    let lines = text(input).lines().filter_map(|line| line.split_once(": "));
    must_be_json("the quota", &usage_body(&quota_from_header_list(lines, NOW), false, NOW));
}

fn errors(input: &[u8]) {
    for status in [200, 400, 401, 403, 404, 429, 500, 529] {
        let hint = text(input).lines().next();
        seen(classify_answer(status, input, hint, &QuotaSnapshot::default(), NOW));
    }
    seen(classify_error_object(text(input), NOW));
}
