//! Connections without TLS: kept, shared out, and never trusted to be alive.

use gateway_lab::{Fault, FaultRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let world = World::new().await;
    for _ in 0..20 {
        let request = world.request(AccountKind::Codex, Endpoint::Responses, &turn("hi"));
        read(world.respond(request).await.unwrap()).await.unwrap();
        // The connection says that it is free a moment after the body's end.
        tokio::task::yield_now().await;
    }
    let opened = world.lab.connections_accepted();
    assert!(opened <= 3, "{opened} connections for 20 requests");
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each_and_those_are_kept() {
    let world = Arc::new(World::new().await);
    let round = async || {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let world = world.clone();
                tokio::spawn(async move {
                    let request = world.request(
                        AccountKind::Codex,
                        Endpoint::Responses,
                        &turn("stream 3 events, pause 20 ms"),
                    );
                    read(world.respond(request).await.unwrap()).await.unwrap()
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap().contains("tick 3"));
        }
    };
    round().await;
    let first = world.lab.connections_accepted();
    assert_eq!(first, 16);
    tokio::time::sleep(Duration::from_millis(20)).await;
    round().await;
    let second = world.lab.connections_accepted();
    assert!(second <= 20, "{second} connections for two rounds of 16");
}

#[tokio::test]
async fn a_reader_that_leaves_early_spoils_nothing() {
    let world = World::new().await;
    for _ in 0..5 {
        let request =
            world.request(AccountKind::Codex, Endpoint::Responses, &turn("stream 50 events, pause 5 ms"));
        let mut response = world.respond(request).await.unwrap();
        assert!(response.body.next().await.unwrap().is_ok());
        drop(response);
        let request = world.request(AccountKind::Codex, Endpoint::Responses, &turn("hi"));
        let text = read(world.respond(request).await.unwrap()).await.unwrap();
        assert!(text.contains("You ") && !text.contains("tick"), "an answer of its own");
    }
}

#[tokio::test]
async fn a_broken_connection_is_not_used_again() {
    let world = World::new().await;
    world.lab.script(FaultRule::new(Fault::CutAfterEvents(2)).once());
    let request = || world.request(AccountKind::Codex, Endpoint::Responses, &turn("hi"));
    assert!(read(world.respond(request()).await.unwrap()).await.is_err());
    assert!(read(world.respond(request()).await.unwrap()).await.is_ok());
    assert_eq!(world.lab.connections_accepted(), 2);
}

/// A server that answers one request on each connection and closes it without saying so.
async fn closes_after_one(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut read = vec![0; 4096];
            if stream.read(&mut read).await.unwrap_or(0) > 0 {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

#[tokio::test]
async fn connections_that_the_other_side_closed_cost_no_request() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(closes_after_one(listener));
    for nth in 0..10 {
        let mut request =
            world.request(AccountKind::OpenAiCompatible, Endpoint::ChatCompletions, &chat("hi"));
        Arc::get_mut(&mut request.to).unwrap().base_url = Some(base.clone());
        let response = world.respond(request).await.unwrap_or_else(|failure| panic!("{nth}: {failure}"));
        assert_eq!(read(response).await.unwrap(), "ok");
        // Long enough for the close to arrive: without it the request could be on its way when it does.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.abort();
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_no_answer() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-nothing\r\n\r\n").await.unwrap();
    });
    let mut request = world.request(AccountKind::OpenAiCompatible, Endpoint::ChatCompletions, &chat("hi"));
    Arc::get_mut(&mut request.to).unwrap().base_url = Some(base);
    let failure = world.respond(request).await.err().unwrap();
    assert_eq!(failure.kind, gateway_domain::FailureKind::Unreachable);
    server.await.unwrap();
}
