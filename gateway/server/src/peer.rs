//! Whether a caller is on this machine. Believed only when nothing hints at a proxy or a foreign web page in between.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use gateway_core::stage::Peer;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// The connection's other end, put into every request by [`crate::serve`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddr(pub(crate) SocketAddr);

/// What proxies add.
const FORWARDED: &[&str] =
    &["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip"];

/// From where a request comes.
pub(crate) fn peer_of(request: &Request) -> Peer {
    let address = request.extensions().get::<PeerAddr>().map(|peer| peer.0.ip());
    peer(address, request.headers(), request.uri().host())
}

pub(crate) fn peer(address: Option<IpAddr>, headers: &HeaderMap, uri_host: Option<&str>) -> Peer {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let from_here = address.is_some_and(|address| address.to_canonical().is_loopback());
    let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    // A name that resolves to this machine but is not ours is how a foreign page reaches local servers.
    let addressed_here = text(HOST).or(uri_host).is_some_and(|host| is_local_name(strip_port(host)));
    let foreign_page = text(ORIGIN).is_some_and(|origin| !is_local_origin(origin));
    if from_here && addressed_here && !forwarded && !foreign_page { Peer::Local } else { Peer::Remote }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_local_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| is_local_name(strip_port(host)))
}

/// `host:port` or `[v6]:port` without the port.
fn strip_port(host: &str) -> &str {
    if let Some(end) = host.find(']') {
        return host.get(..=end).unwrap_or(host);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        for (address, headers, expect) in [
            ("127.0.0.1", &[("host", "127.0.0.1:8080")][..], Peer::Local),
            ("127.0.0.1", &[("host", "localhost")], Peer::Local),
            ("::1", &[("host", "[::1]:8080")], Peer::Local),
            ("::ffff:127.0.0.1", &[("host", "localhost:8080")], Peer::Local),
            ("127.0.0.1", &[("host", "localhost:8080"), ("origin", "http://localhost:8080")], Peer::Local),
            ("127.0.0.1", &[("host", "localhost:8080"), ("origin", "https://evil.example")], Peer::Remote),
            ("127.0.0.1", &[("host", "localhost:8080"), ("origin", "null")], Peer::Remote),
            ("127.0.0.1", &[("host", "rebound.example:8080")], Peer::Remote),
            ("127.0.0.1", &[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")], Peer::Remote),
            ("127.0.0.1", &[], Peer::Remote),
            ("192.168.1.7", &[("host", "localhost")], Peer::Remote),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            assert_eq!(peer(address.parse().ok(), &map, None), expect, "{address} {headers:?}");
        }
    }
}
