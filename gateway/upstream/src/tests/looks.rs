//! Looks at upstreams: which dialects they speak is found out without spending anything.

use gateway_core::ports::Inspection;
use gateway_domain::{Dialect, FailureKind};
use gateway_lab::{Fault, FaultRule, LabApi, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

async fn look(world: &World, kind: AccountKind) -> Result<Inspection, Failure> {
    world.providers.inspect(Arc::new(world.to(kind)), world.key(kind)).await
}

#[tokio::test]
async fn each_kind_is_there_with_its_models() {
    let world = World::new().await;
    for (kind, dialects, model) in [
        (AccountKind::Codex, vec![Dialect::OpenAiResponses], "gpt-5.5"),
        (AccountKind::OpenAi, vec![Dialect::OpenAiResponses, Dialect::OpenAiChat], "gpt-5.5"),
        (AccountKind::Anthropic, vec![Dialect::AnthropicMessages], "claude-lab-sonnet"),
        (AccountKind::OpenAiCompatible, Dialect::ALL.to_vec(), "gpt-5.5"),
        (AccountKind::Gateway, Dialect::ALL.to_vec(), "gpt-5.5"),
    ] {
        let found = look(&world, kind).await.unwrap();
        assert_eq!(found.dialects.into_iter().collect::<Vec<_>>(), dialects, "{}", kind.as_str());
        assert!(found.models.iter().any(|name| name == model), "{} {:?}", kind.as_str(), found.models);
        assert!(found.latency > Duration::ZERO);
    }
    assert!((0..2).all(|account| world.lab.stats(account).unwrap().turns == 0));
    let sent_bodies = world.lab.requests().iter().filter(|request| !request.body.is_empty()).count();
    assert_eq!(sent_bodies, 0, "nothing to answer, nothing to spend");
}

#[tokio::test]
async fn a_servers_dialects_are_the_ones_it_has() {
    for (responses, chat, messages, lists_models) in [
        (false, true, false, true),
        (true, false, false, true),
        (false, true, true, false),
        (false, false, true, true),
        (false, false, false, true),
    ] {
        let api = LabApi { responses, chat, messages, lists_models, ..LabApi::default() };
        let world = World::with(LabConfig { api, ..config() }).await;
        let found = look(&world, AccountKind::OpenAiCompatible).await.unwrap();
        let expected: BTreeSet<Dialect> = [
            (responses, Dialect::OpenAiResponses),
            (chat, Dialect::OpenAiChat),
            (messages, Dialect::AnthropicMessages),
        ]
        .into_iter()
        .filter_map(|(there, dialect)| there.then_some(dialect))
        .collect();
        assert_eq!(found.dialects, expected);
        assert_eq!(found.models.is_empty(), !lists_models);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_key_is_asked_without_one() {
    let api = LabApi { openai_keys: vec![], anthropic_keys: vec![], ..LabApi::default() };
    let world = World::with(LabConfig { api, ..config() }).await;
    let to = Arc::new(world.to(AccountKind::OpenAiCompatible));
    let found = world.providers.inspect(to, Arc::new(Secret::from(""))).await.unwrap();
    assert_eq!(found.dialects.len(), 3);
    assert!(world.lab.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn a_bad_key_says_so() {
    let world = World::new().await;
    for kind in AccountKind::ALL {
        let looked = world.providers.inspect(Arc::new(world.to(kind)), Arc::new(Secret::from("wrong"))).await;
        assert_eq!(looked.unwrap_err().kind, FailureKind::AccountUnauthorized, "{}", kind.as_str());
    }
}

#[tokio::test]
async fn an_address_with_nothing_behind_it_is_no_upstream() {
    let world = World::new().await;
    let mut to = world.to(AccountKind::OpenAiCompatible);
    to.base_url = Some(format!("{}/elsewhere", world.lab.base_url()));
    let key = world.key(AccountKind::OpenAiCompatible);
    let failure = world.providers.inspect(Arc::new(to.clone()), key.clone()).await.unwrap_err();
    assert!(failure.message.contains("base URL"), "{}", failure.message);
    to.base_url = Some("http://127.0.0.1:1".to_owned());
    let failure = world.providers.inspect(Arc::new(to), key).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable);
}

/// A server that says the same to everything.
async fn says(answer: &'static str, listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut read = vec![0; 4096];
            if stream.read(&mut read).await.unwrap_or(0) > 0 {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
    }
}

#[tokio::test]
async fn a_server_that_says_the_same_to_everything_proves_nothing() {
    let world = World::new().await;
    let list = r#"HTTP/1.1 200 OK
content-length: 23
connection: close

{"data":[{"id":"one"}]}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut to = world.to(AccountKind::OpenAiCompatible);
    to.base_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(says(list, listener));
    let found = world.providers.inspect(Arc::new(to), Arc::new(Secret::from(""))).await.unwrap();
    assert!(found.dialects.is_empty(), "they have to be declared");
    assert_eq!(found.models, ["one"]);
    server.abort();
}

#[tokio::test]
async fn a_codexlb_speaks_responses_only() {
    let world = World::new().await;
    let status = r#"{"proxy_name":"p","runtime_auth":{"ok":true},"accounts":[]}"#;
    let fault = Fault::Raw { status: 200, body: status.to_owned(), headers: vec![] };
    world.lab.script(FaultRule::new(fault).on(Route::Other).once());
    let found = look(&world, AccountKind::Gateway).await.unwrap();
    assert_eq!(found.dialects, [Dialect::OpenAiResponses].into());
}
