//! The socket side: accepts connections, serves HTTP/1.1 and h2c on them, and lets a handler break its own.
//! Refuses to wait for clients at shutdown: a lab that ends takes its connections with it.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::conn::{ConnControl, LabIo};
use crate::exchange::Abandon;
use crate::lab::Lab;
use crate::routes;

/// Accepts until told to stop.
pub(crate) async fn accept(lab: Lab, listener: TcpListener, shutdown: CancellationToken) {
    let router = routes::router(&lab);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                lab.shared().accepted.fetch_add(1, Ordering::Relaxed);
                lab.shared().tasks.spawn(connection(stream, router.clone(), shutdown.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: trying again at once would only burn the CPU.
                tracing::warn!(%error, "the lab could not accept a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the lab could not turn off Nagle's algorithm");
    }
    let (io, control) = LabIo::new(stream);
    let ends = shutdown.clone();
    let service = service_fn(move |request| answer(router.clone(), request, control.clone(), ends.clone()));
    let builder = auto::Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        served = serving => if let Err(error) = served {
            tracing::trace!(%error, "a lab connection ended early");
        },
    }
}

/// One request; an error instead of an answer makes hyper drop the connection.
async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    control: ConnControl,
    ends: CancellationToken,
) -> io::Result<Response<Body>> {
    request.extensions_mut().insert(control.clone());
    // A socket outlives its request, but not the lab.
    request.extensions_mut().insert(ends);
    let answered: Result<Response<Body>, Infallible> = router.call(request).await;
    let Ok(response) = answered;
    if response.extensions().get::<Abandon>().is_some() {
        control.reset();
        return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the lab was told not to answer"));
    }
    Ok(response)
}
