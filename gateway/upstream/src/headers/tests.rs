//! Who is allowed to say what, by kind of upstream and of client.

use std::sync::Arc;

use gateway_core::ports::{Hops, Way};
use gateway_domain::{AccountId, Secret};

use super::*;

fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn request(kind: AccountKind, caller: CallerKind, headers: HeaderMap) -> UpstreamRequest {
    UpstreamRequest {
        to: Arc::new(Destination {
            account: AccountId::parse("acc_1").unwrap(),
            kind,
            base_url: None,
            workspace_id: Some("ws-1".into()),
            dialects: Default::default(),
            headers: HeaderMap::new(),
            way: Way::Direct,
        }),
        endpoint: Endpoint::Responses,
        headers: Arc::new(headers),
        caller,
        continues: Continues::Here,
        body: bytes::Bytes::new(),
        backend: None,
        access_token: Arc::new(Secret::from("token-1")),
        hops: Hops(vec!["edge".into(), "here".into()]),
    }
}

fn sent(kind: AccountKind, caller: CallerKind, headers: &[(&'static str, &'static str)]) -> HeaderMap {
    for_turn(&request(kind, caller, map(headers))).unwrap()
}

const CODEX: &[(&str, &str)] = &[
    ("authorization", "Bearer sk-sy-secret"),
    ("x-codex-turn-state", "blob"),
    ("x-codex-window-id", "t:0"),
    ("originator", "codex_exec"),
    ("user-agent", "codex_exec/0.169.0"),
    ("connection", "keep-alive, x-hop"),
    ("x-hop", "1"),
    ("x-forwarded-for", "10.0.0.1"),
    ("cookie", "a=b"),
    ("accept-encoding", "gzip"),
    ("chatgpt-account-id", "the-clients-own"),
    ("x-switchyard-hops", "forged"),
];
const CLAUDE: &[(&str, &str)] = &[
    ("x-api-key", "sk-sy-secret"),
    ("anthropic-version", "2024-01-01"),
    ("anthropic-beta", "context-management"),
    ("user-agent", "claude-cli/2.1"),
    ("x-stainless-lang", "js"),
    ("x-app", "cli"),
];
const OPENAI_SDK: &[(&str, &str)] = &[
    ("authorization", "Bearer sk-sy-secret"),
    ("openai-organization", "org-of-the-client"),
    ("openai-beta", "assistants=v2"),
    ("user-agent", "OpenAI/Python 2.0"),
    ("x-stainless-lang", "python"),
];
const CURL: &[(&str, &str)] = &[
    ("user-agent", "curl/8"),
    ("accept", "*/*"),
    ("referer", "http://intranet"),
    ("idempotency-key", "k"),
    ("openai-beta", "x"),
    ("anthropic-beta", "y"),
];

#[test]
fn codex_headers_pass_and_credentials_are_the_accounts() {
    let headers = sent(AccountKind::Codex, CallerKind::Codex, CODEX);
    for (name, value) in [
        ("authorization", "Bearer token-1"),
        ("chatgpt-account-id", "ws-1"),
        ("originator", "codex_exec"),
        ("x-codex-turn-state", "blob"),
        ("accept", "text/event-stream"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(headers["authorization"].is_sensitive());
    for gone in ["cookie", "x-hop", "connection", "x-forwarded-for", "accept-encoding", "x-switchyard-hops"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn turn_state_stays_with_the_account_that_made_it() {
    let mut request = request(AccountKind::Codex, CallerKind::Codex, map(CODEX));
    request.continues = Continues::Anew;
    let headers = for_turn(&request).unwrap();
    assert!(!headers.contains_key("x-codex-turn-state"));
    assert_eq!(headers["x-codex-window-id"], "t:0");
}

#[test]
fn other_clients_of_codex_are_spoken_for_honestly() {
    for client in [CODEX, CLAUDE, OPENAI_SDK, CURL] {
        let headers = sent(AccountKind::Codex, CallerKind::Foreign, client);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["accept", "authorization", "chatgpt-account-id", "content-type", "originator", "user-agent"]
        );
        assert_eq!(headers["originator"], "switchyard");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("switchyard/"));
    }
}

#[test]
fn native_clients_of_an_api_keep_their_name_and_others_get_ours() {
    use AccountKind::{Anthropic, OpenAi, OpenAiCompatible};
    for (kind, caller, client, native) in [
        (OpenAi, CallerKind::Foreign, OPENAI_SDK, true),
        (OpenAi, CallerKind::Codex, CODEX, true),
        (OpenAiCompatible, CallerKind::Foreign, OPENAI_SDK, true),
        (OpenAi, CallerKind::Foreign, CLAUDE, false),
        (OpenAi, CallerKind::Foreign, CURL, false),
        (Anthropic, CallerKind::Foreign, CLAUDE, true),
        (Anthropic, CallerKind::Foreign, OPENAI_SDK, false),
        (Anthropic, CallerKind::Codex, CODEX, false),
    ] {
        let headers = sent(kind, caller, client);
        let agent = headers["user-agent"].to_str().unwrap();
        assert_eq!(!agent.starts_with("switchyard/"), native, "{} {agent}", kind.as_str());
        for gone in ["openai-organization", "chatgpt-account-id", "referer", "cookie"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }
}

#[test]
fn each_api_gets_its_key_in_its_place() {
    let anthropic = sent(AccountKind::Anthropic, CallerKind::Foreign, CLAUDE);
    assert_eq!(anthropic["x-api-key"], "token-1");
    assert_eq!(anthropic["anthropic-version"], "2024-01-01", "the client's own");
    assert_eq!(anthropic["anthropic-beta"], "context-management");
    assert!(!anthropic.contains_key("authorization"));
    let translated = sent(AccountKind::Anthropic, CallerKind::Foreign, CURL);
    assert_eq!(translated["anthropic-version"], "2023-06-01");
    assert!(translated.contains_key("idempotency-key") && !translated.contains_key("openai-beta"));
    let openai = sent(AccountKind::OpenAi, CallerKind::Foreign, CURL);
    assert_eq!(openai["authorization"], "Bearer token-1");
    assert!(openai.contains_key("openai-beta") && !openai.contains_key("anthropic-beta"));
}

#[test]
fn a_server_without_a_key_gets_none() {
    for (kind, header) in
        [(AccountKind::OpenAiCompatible, "authorization"), (AccountKind::Anthropic, "x-api-key")]
    {
        let mut request = request(kind, CallerKind::Foreign, map(CURL));
        request.access_token = Arc::new(Secret::from(""));
        assert!(!for_turn(&request).unwrap().contains_key(header));
    }
}

#[test]
fn the_operators_headers_win_but_do_not_frame() {
    let mut request = request(AccountKind::OpenAi, CallerKind::Codex, map(CODEX));
    Arc::get_mut(&mut request.to).unwrap().headers = map(&[
        ("authorization", "Basic eA=="),
        ("user-agent", "mine/1"),
        ("x-new", "1"),
        ("host", "inner.test"),
        ("content-length", "7"),
        ("transfer-encoding", "chunked"),
    ]);
    let headers = for_turn(&request).unwrap();
    for (name, value) in
        [("authorization", "Basic eA=="), ("user-agent", "mine/1"), ("x-new", "1"), ("host", "inner.test")]
    {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("content-length") && !headers.contains_key("transfer-encoding"));
    assert_eq!(for_question(&request.to, "k").unwrap()["x-new"], "1", "questions as well");
}

#[test]
fn a_child_gateway_hears_the_client_and_the_way_so_far() {
    let headers = sent(AccountKind::Gateway, CallerKind::Foreign, CLAUDE);
    assert_eq!(headers["x-switchyard-hops"], "edge,here");
    assert_eq!(headers["user-agent"], "claude-cli/2.1");
    assert_eq!(headers["authorization"], "Bearer token-1");
    assert!(!headers.contains_key("x-api-key"), "the client's credential");
    let headers = sent(AccountKind::Codex, CallerKind::Codex, CODEX);
    assert!(!headers.contains_key("x-switchyard-hops"), "nobody else is told");
}

#[test]
fn forms_keep_their_boundary_and_transcriptions_say_little() {
    let mut request = request(AccountKind::Codex, CallerKind::Codex, map(CODEX));
    request.endpoint = Endpoint::Transcriptions;
    Arc::make_mut(&mut request.headers)
        .insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=b"));
    let headers = for_turn(&request).unwrap();
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["authorization", "chatgpt-account-id", "content-type", "user-agent", "x-codex-window-id"]
    );
    assert_eq!(headers["content-type"], "multipart/form-data; boundary=b");
}

#[test]
fn a_credential_that_is_no_header_is_refused() {
    let mut request = request(AccountKind::Codex, CallerKind::Codex, map(CODEX));
    request.access_token = Arc::new(Secret::from("line\nbreak"));
    assert_eq!(for_turn(&request).unwrap_err(), BadCredential);
}
