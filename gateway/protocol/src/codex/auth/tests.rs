//! Spellings of `auth.json`, what is refused, and the file that is written back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::{Account, AccountId, AccountKind, AccountSettings, AccountState};
use serde_json::{Value, json};

use super::claims::AUTH_CLAIM;
use super::*;

fn jwt(claims: &Value) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn tokens() -> (String, String) {
    let auth =
        json!({ "chatgpt_account_id": "ws-1", "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-1" });
    let access = jwt(&json!({ AUTH_CLAIM: auth, "exp": 2_000_000_000 }));
    let id = jwt(&json!({ AUTH_CLAIM: auth, "email": "one@example.test" }));
    (access, id)
}

fn read(value: &Value) -> Result<SignIn, AuthError> {
    read_auth_json(&value.to_string(), Timestamp::from_secs(1))
}

#[test]
fn every_spelling_gives_the_same_sign_in() {
    let (access, id) = tokens();
    let nested = read(
        &json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00Z",
        "tokens": { "id_token": id, "access_token": access, "refresh_token": "rt", "account_id": "ws-1" } }),
    )
    .unwrap();
    let flat = read(&json!({ "id_token": id, "access_token": access, "refresh_token": "rt" })).unwrap();
    let camel = read(&json!({ "tokens": { "idToken": id, "accessToken": access, "refreshToken": "rt", "accountId": "ws-1" } })).unwrap();
    assert_eq!(nested, flat);
    assert_eq!(nested, camel);
    assert_eq!(nested.identity.seat().unwrap(), "ws-1/user-1");
    assert_eq!(nested.plan.as_deref(), Some("plus"));
    assert_eq!(nested.credentials.expires_at, Some(Timestamp::from_secs(2_000_000_000)));
}

#[test]
fn what_is_no_sign_in_says_what_to_do() {
    for (text, why) in [
        ("hello", "not JSON"),
        ("[]", "not JSON"),
        ("{}", "no access token"),
        (r#"{"tokens":{"access_token":" "}}"#, "no access token"),
        (r#"{"tokens":{"refresh_token":"rt-1"}}"#, "no access token"),
        (r#"{"OPENAI_API_KEY":"sk-1","tokens":null}"#, "API key"),
        (r#"{"access_token":"opaque"}"#, "name no workspace"),
        (r#"{"tokens":"sk-private-text"}"#, "no access token"),
    ] {
        let error = read_auth_json(text, Timestamp::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
        assert!(!error.contains("private"), "{error}");
    }
}

#[test]
fn an_id_token_does_not_change_whose_seat_it_is() {
    let access =
        jwt(&json!({ "sub": "auth0|1", AUTH_CLAIM: { "chatgpt_account_id": "ws", "chatgpt_user_id": "u" } }));
    let id = jwt(&json!({ "sub": "auth0|1", AUTH_CLAIM: { "chatgpt_account_id": "ws" } }));
    let with = read(&json!({ "access_token": access, "id_token": id })).unwrap();
    let without = read(&json!({ "access_token": access })).unwrap();
    assert_eq!(with.identity.seat(), without.identity.seat());
    assert_eq!(with.identity.seat().unwrap(), "ws/u");
}

fn account(kind: AccountKind, identity: AccountIdentity) -> Account {
    Account {
        id: AccountId::parse("acc_1").unwrap(),
        kind,
        name: "one".into(),
        identity,
        plan: None,
        state: AccountState::Active,
        settings: AccountSettings::default(),
        created_at: Timestamp::from_secs(0),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let (access, id) = tokens();
    for id_token in [Some(id), None] {
        let first =
            read(&json!({ "access_token": access, "refresh_token": "rt", "id_token": id_token })).unwrap();
        let of = account(AccountKind::Codex, first.identity.clone());
        let written = write_auth_json(&of, &first.credentials).unwrap();
        let file: Value = serde_json::from_str(written.expose()).unwrap();
        assert_eq!(file["last_refresh"], "1970-01-01T00:00:01Z");
        assert!(file["tokens"]["id_token"].is_string(), "the CLI does not start without one");
        let again = read_auth_json(written.expose(), Timestamp::from_secs(1)).unwrap();
        assert_eq!(again.identity.seat(), first.identity.seat());
        assert_eq!(again.credentials.refresh_token, first.credentials.refresh_token);
        assert_eq!(again.credentials.access_token, first.credentials.access_token);
    }
}

#[test]
fn only_what_codex_can_use_is_written() {
    let key = Credentials {
        access_token: Secret::from("sk-1"),
        refresh_token: None,
        id_token: None,
        expires_at: None,
        refreshed_at: Timestamp::from_secs(1),
    };
    let of = |kind| write_auth_json(&account(kind, AccountIdentity::default()), &key);
    let file: Value = serde_json::from_str(of(AccountKind::OpenAi).unwrap().expose()).unwrap();
    assert_eq!(file["OPENAI_API_KEY"], "sk-1");
    assert_eq!(of(AccountKind::Anthropic), Err(NoAuthJson::Kind("anthropic")));
    assert_eq!(of(AccountKind::Codex), Err(NoAuthJson::NoToken));
    let empty = Credentials { access_token: Secret::from(""), ..key };
    assert_eq!(
        write_auth_json(&account(AccountKind::Codex, AccountIdentity::default()), &empty),
        Err(NoAuthJson::NoToken)
    );
}
