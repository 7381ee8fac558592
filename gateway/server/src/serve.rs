//! The listener: accepts connections, gives each its deadline, and lets streams finish when the gateway goes down.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::peer::PeerAddr;
use crate::sockets::Sockets;

/// The longest a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// What a connection reads ahead, and the longest head. It grows with what is sent and is kept as long as the connection
/// lives: a stream whose question had 200 KB would hold as much until its end.
const MAX_BUFFER_BYTES: usize = 16 * 1024;
/// Connections that are open at once; further ones wait in the listen queue.
const MAX_CONNECTIONS: usize = 16_384;
/// The pause after an accept that failed (out of file descriptors, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener broke for good.
#[derive(Debug, thiserror::Error)]
#[error("cannot accept connections: {0}")]
pub struct ServeError(#[from] io::Error);

/// Serves until `stopping` is cancelled, then waits until every connection and socket has ended; the caller bounds that wait.
///
/// # Errors
/// The listener cannot tell its own address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    sockets: Sockets,
    stopping: CancellationToken,
) -> Result<(), ServeError> {
    listener.local_addr()?;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER_BYTES)
        .pipeline_flush(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(1024);
    let graceful = GracefulShutdown::new();
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stopping.cancelled() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        spawn_connection(async move {
            // A connection that breaks is its client's affair; its requests settle themselves.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    // Once upgraded, a connection is nobody's but its socket's.
    sockets.ended().await;
    Ok(())
}

// Not on the tracker: the graceful shutdown waits for connections.
fn spawn_connection(connection: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(connection);
}

async fn accept(
    listener: &TcpListener,
    places: &std::sync::Arc<tokio::sync::Semaphore>,
) -> Option<(TcpStream, PeerAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Events are small and must not wait for each other.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
            Some((stream, PeerAddr(peer), place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
