//! Egress proxies: everything goes through the one that is named, or nowhere.

use gateway_core::ports::{ProxyProbe, TokenIssuer, TokenIssuerError};
use gateway_domain::{FailureKind, Retry};
use gateway_lab::proxy::{LabProxy, ProxyKind};

use super::*;

const KINDS: [ProxyKind; 2] = [ProxyKind::Http, ProxyKind::Socks5];

async fn proxy(world: &World, kind: ProxyKind) -> LabProxy {
    LabProxy::start(kind, Some(("me", "hunter2")), world.shutdown.clone()).await.unwrap()
}

fn request(world: &World, way: Way) -> UpstreamRequest {
    let mut request = world.request(AccountKind::Codex, Endpoint::Responses, &turn("hi"));
    Arc::get_mut(&mut request.to).unwrap().way = way;
    request
}

#[tokio::test]
async fn requests_questions_and_rotations_leave_through_the_proxy() {
    for kind in KINDS {
        let world = World::new().await;
        let proxy = proxy(&world, kind).await;
        let way = through(proxy.url());
        let response = world.respond(request(&world, way.clone())).await.unwrap();
        assert!(read(response).await.unwrap().contains("response.completed"), "{kind:?}");
        let seen = world.lab.requests().pop().unwrap();
        assert!(seen.headers.keys().all(|name| !name.as_str().starts_with("proxy-")), "{kind:?}");
        let passed = proxy.passed();
        assert!(passed > 0);
        let mut to = world.to(AccountKind::Codex);
        to.way = way.clone();
        world.providers.quota(Arc::new(to), world.key(AccountKind::Codex)).await.unwrap();
        let tokens = world.lab.login(0, Lifetime::Normal).unwrap();
        world.issuer.rotate(Secret::new(tokens.refresh_token), way).await.unwrap();
        assert_eq!(world.lab.tokens(0).unwrap().refreshes, 1);
        assert!(
            proxy.passed() > 0 && world.lab.connections_accepted() == proxy.passed(),
            "{kind:?}: nothing went around"
        );
        assert_eq!(world.clients.proxied(), 1, "one client for one proxy");
    }
}

#[tokio::test]
async fn a_proxy_that_is_down_is_never_gone_around() {
    for kind in KINDS {
        let world = World::new().await;
        let proxy = proxy(&world, kind).await;
        proxy.set_down(true);
        let way = through(proxy.url());
        let failure = world.respond(request(&world, way.clone())).await.err().unwrap();
        assert_eq!(
            (failure.kind, failure.retry),
            (FailureKind::Unreachable, Retry::OtherAccount),
            "{kind:?}"
        );
        assert!(failure.message.contains("proxy"), "{}", failure.message);
        let rotated = world.issuer.rotate(Secret::from("rt"), way.clone()).await;
        assert!(matches!(rotated, Err(TokenIssuerError::Passing(_))));
        assert!(world.lab.requests().is_empty() && world.lab.connections_accepted() == 0);
        proxy.set_down(false);
        assert_eq!(world.respond(request(&world, way)).await.unwrap().status, 200, "{kind:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_and_unreachable_targets_are_the_proxys_failures() {
    for kind in KINDS {
        let world = World::new().await;
        let proxy = proxy(&world, kind).await;
        let failure =
            world.respond(request(&world, through(proxy.url_as("me", "wrong")))).await.err().unwrap();
        assert_eq!(failure.kind, FailureKind::Unreachable, "{kind:?}");
        assert!(!failure.message.contains("wrong") && proxy.refused() > 0);
        let failure = world.respond(request(&world, through("nonsense".to_owned()))).await.err().unwrap();
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(world.lab.requests().is_empty());
    }
    // A tunnel that cannot be made fails as a connection; a forwarded request has the proxy's own answer.
    let world = World::new().await;
    let proxy = proxy(&world, ProxyKind::Socks5).await;
    proxy.refuse_targets(true);
    let failure = world.respond(request(&world, through(proxy.url()))).await.err().unwrap();
    assert_eq!(failure.kind, FailureKind::Unreachable);
}

#[tokio::test]
async fn a_stream_is_cut_when_its_proxy_goes_down() {
    let world = World::new().await;
    let proxy = proxy(&world, ProxyKind::Socks5).await;
    let mut request = request(&world, through(proxy.url()));
    request.body = Bytes::from(turn("stream 100 events, pause 20 ms").to_string());
    let mut response = world.respond(request).await.unwrap();
    assert!(response.body.next().await.unwrap().is_ok());
    proxy.set_down(true);
    assert_eq!(read(response).await.unwrap_err().kind, FailureKind::StreamCut);
}

#[tokio::test]
async fn a_probe_measures_or_says_why_not() {
    for kind in KINDS {
        let world = World::new().await;
        let proxy = proxy(&world, kind).await;
        let probe = async |url: String| world.providers.probe(Secret::new(url)).await;
        assert!(probe(proxy.url()).await.unwrap() > Duration::ZERO, "{kind:?}");
        for (url, what) in [
            (proxy.url_as("me", "not-this-one"), "credentials"),
            ("http://me:not-this-one@127.0.0.1:1".to_owned(), "nobody there"),
            ("gopher://me:not-this-one@127.0.0.1".to_owned(), "scheme"),
        ] {
            let why = probe(url).await.unwrap_err();
            assert!(!why.is_empty() && !why.contains("not-this-one"), "{kind:?} {what}: {why}");
        }
        proxy.refuse_targets(true);
        assert!(probe(proxy.url()).await.is_err(), "{kind:?}: it reaches nothing");
        proxy.refuse_targets(false);
        proxy.set_down(true);
        assert!(probe(proxy.url()).await.is_err(), "{kind:?}: it is down");
        assert_eq!(world.clients.proxied(), 0, "a probe leaves no client behind");
    }
}

#[tokio::test]
async fn a_straight_way_minds_the_machines_proxies_and_a_named_one_does_not() {
    let world = World::new().await;
    let (machines, named) = (proxy(&world, ProxyKind::Http).await, proxy(&world, ProxyKind::Socks5).await);
    let clients = Arc::new(Clients::in_environment(&machines.url()));
    let urls = BaseUrls { chatgpt: world.lab.backend_url(), ..BaseUrls::default() };
    let clock = Arc::new(At(Timestamp::from_secs(NOW)));
    let providers = Providers::new(&urls, clients, clock).unwrap();
    let respond = async |way: Way, base: Option<String>| {
        let mut request = request(&world, way);
        Arc::get_mut(&mut request.to).unwrap().base_url = base;
        read(providers.respond(request).await.unwrap()).await.unwrap();
        (machines.passed(), named.passed())
    };
    assert_eq!(respond(Way::Direct, None).await, (1, 0));
    assert_eq!(respond(through(named.url()), None).await, (1, 1));
    let excepted = world.lab.backend_url().replace("127.0.0.1", "localhost");
    assert_eq!(respond(Way::Direct, Some(excepted)).await, (1, 1));
}
