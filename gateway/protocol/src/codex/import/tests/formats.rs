//! One fixture for each shape that an entry has somewhere.

use gateway_domain::AccountKind;
use serde_json::json;

use super::*;

#[test]
fn each_shape_of_one_entry_is_read() {
    let (a, i) = (access("ws", "ada"), id("ws", "ada"));
    let r = "rt_0123456789abcdef";
    for (what, value, expect) in [
        (
            "auth.json of Codex",
            json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00Z",
                "tokens": { "id_token": i, "access_token": a, "refresh_token": r, "account_id": "ws" } }),
            "the text -: codex ws/ada ari",
        ),
        (
            "flat",
            json!({ "id_token": i, "access_token": a, "refresh_token": r }),
            "the text -: codex ws/ada ari",
        ),
        (
            "camel case of codex-lb",
            json!({ "tokens": { "idToken": i, "accessToken": a, "refreshToken": r, "accountId": "ws" },
                "lastRefreshAt": "2026-01-01T00:00:00Z" }),
            "the text -: codex ws/ada ari",
        ),
        (
            "an upload to codexlb",
            json!({ "alias": "work", "auth": { "tokens": { "access_token": a, "refresh_token": r, "account_id": "ws" } } }),
            "the text work: codex ws/ada ar",
        ),
        (
            "an account of codex-lb, whose account id is its own",
            json!({ "accountId": "ws_1a2b3c4d", "chatgptAccountId": "ws", "displayName": "Ada", "planType": "pro",
                "auth": { "accessToken": a, "refreshToken": r } }),
            "the text Ada: codex ws/ada ar",
        ),
        (
            "flat of codex2api",
            json!({ "name": "ada", "refresh_token": r, "access_token": a, "email": "ada@example.test",
                "plan_type": "pro", "account_id": "ws", "expires_at": "2030-01-01T00:00:00Z",
                "codex_7d_used_percent": 12.5 }),
            "the text ada: codex ws/ada ar",
        ),
        (
            "a page's session",
            json!({ "user": { "id": "ada", "email": "ada@example.test" }, "account": { "id": "ws", "planType": "plus" },
                "accessToken": a, "expires": "2030-01-01T00:00:00.000Z" }),
            "the text -: codex ws/ada a",
        ),
        (
            "tokens that CodexSess exports",
            json!({ "email": "ada@example.test", "access_token": a, "refresh_token": r, "id_token": i }),
            "the text -: codex ws/ada ari",
        ),
        ("only a refresh token", json!({ "refresh_token": r }), "the text -: codex - r"),
        (
            "a refresh token beside an identity",
            json!({ "refresh_token": r, "email": "ada@example.test", "chatgpt_account_id": "ws" }),
            "the text -: codex ws/ada@example.test r",
        ),
        (
            "a key in CODEX_HOME",
            json!({ "OPENAI_API_KEY": "sk-proj-0123456789abcdef" }),
            "the text -: openai - a",
        ),
        (
            "a key chosen over tokens",
            json!({ "auth_mode": "apikey", "OPENAI_API_KEY": "sk-proj-0123456789abcdef", "tokens": { "access_token": a } }),
            "the text -: openai - a",
        ),
        (
            "tokens chosen over a key",
            json!({ "OPENAI_API_KEY": "sk-proj-0123456789abcdef", "tokens": { "access_token": a, "refresh_token": r } }),
            "the text -: codex ws/ada ar",
        ),
        (
            "an Anthropic key",
            json!({ "platform": "anthropic", "credentials": { "api_key": "sk-ant-api03-0123456789" } }),
            "the text -: anthropic - a",
        ),
        (
            "a key with an address",
            json!({ "name": "local", "base_url": "http://localhost:11434/v1/", "api_key": "none" }),
            "the text local: openai-compatible - a",
        ),
    ] {
        assert_eq!(gists(&value.to_string()), [expect], "{what}");
    }
}

#[test]
fn what_stands_beside_the_tokens_is_used_when_they_are_silent() {
    let opaque = json!({ "access_token": "an-opaque-token", "account_id": "ws", "user": { "email": "ada@example.test" },
        "account": { "planType": "team" }, "expires_at": 1_850_000_000 });
    let found = only(&opaque).unwrap();
    assert_eq!(found.sign_in.identity.seat().unwrap(), "ws/ada@example.test");
    assert_eq!(found.sign_in.plan.as_deref(), Some("team"));
    let ends = |text: Value| {
        let mut value = opaque.clone();
        value["expires_at"] = text;
        only(&value).unwrap().sign_in.credentials.expires_at.map(Timestamp::as_secs)
    };
    for (text, expect) in [
        (json!(1_850_000_000), Some(1_850_000_000)),
        (json!(1_850_000_000_000_i64), Some(1_850_000_000)),
        (json!("1850000000"), Some(1_850_000_000)),
        (json!("2028-08-16T00:53:20Z"), Some(1_850_000_000)),
        (json!("soon"), None),
        (json!(0), None),
        (json!(null), None),
    ] {
        assert_eq!(ends(text.clone()), expect, "{text}");
    }
    // The token knows best.
    let sure = json!({ "access_token": access("ws", "ada"), "expires_at": 1_850_000_000, "plan": "free", "account_id": "x" });
    let found = only(&sure).unwrap();
    assert_eq!(found.sign_in.credentials.expires_at, Some(Timestamp::from_secs(ENDS)));
    assert_eq!(found.sign_in.plan.as_deref(), Some("plus"));
    assert_eq!(found.sign_in.identity.workspace_id.as_deref(), Some("ws"));
}

#[test]
fn a_refresh_token_alone_is_due_at_once() {
    let found = only(&json!({ "refresh_token": "rt_0123456789abcdef" })).unwrap();
    assert_eq!(found.sign_in.credentials.expires_at, Some(Timestamp::from_millis(0)));
    assert_eq!(found.kind, AccountKind::Codex);
}

#[test]
fn an_address_is_kept_and_checked() {
    let of = |address: &str| only(&json!({ "api_key": "k1", "base_url": address }));
    assert_eq!(of("https://x.test/v1/").unwrap().settings.base_url.as_deref(), Some("https://x.test/v1"));
    assert_eq!(of("https://api.openai.com/v1").unwrap().kind, AccountKind::OpenAi);
    assert_eq!(of("file:///etc/passwd"), Err(Unusable::BadAddress));
}

#[test]
fn what_cannot_be_used_says_why() {
    let ended = jwt(&json!({ "exp": 1_700_000_000, "https://api.openai.com/auth":
        { "chatgpt_account_id": "ws", "chatgpt_user_id": "ada" } }));
    let a = access("ws", "ada");
    for (value, why) in [
        (json!({}), "no token found"),
        (json!({ "tokens": null }), "no token found"),
        (json!({ "access_token": "", "refresh_token": "  " }), "no token found"),
        (json!({ "access_token": 7 }), "no token found"),
        (json!({ "access_token": "an-opaque-token" }), "name no workspace"),
        (json!({ "access_token": ended }), "has ended"),
        (json!({ "refresh_token": "two words of private text" }), "not a token"),
        (json!({ "refresh_token": "x".repeat(20_000) }), "longer than 16 KiB"),
        (json!({ "session_token": "abcdef" }), "session token"),
        (json!({ "auth_mode": "agentIdentity", "agent_private_key": "MC4CAQ" }), "agent identity"),
        (json!({ "credentials": { "auth_mode": "agentIdentity" } }), "agent identity"),
        (json!({ "platform": "grok", "credentials": { "access_token": a } }), "provider"),
        (json!({ "type": "gemini", "access_token": a }), "provider"),
        (json!({ "type": "claude", "access_token": a, "refresh_token": "r" }), "Claude sign-in"),
        (json!({ "OPENAI_API_KEY": "sk-sy-0123456789abcdef" }), "hands out to clients"),
    ] {
        let reason = only(&value).unwrap_err().to_string();
        assert!(reason.contains(why), "{value}: {reason}");
    }
}
