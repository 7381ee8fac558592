//! Egress proxies: which addresses are taken, and trying one. Refuses to say a proxy's password.

use std::error::Error as _;
use std::time::{Duration, Instant};

use gateway_domain::Secret;
use http::{Method, StatusCode};
use reqwest::Url;

use crate::PROBE_TIME;
use crate::address::Address;
use crate::clients::proxied_client;

/// Why a proxy's address is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// Not a URL with a host.
    #[error("the egress proxy's address is no URL; write it as scheme://user:password@host:port")]
    NotAUrl,
    /// Not a kind of proxy that we can use.
    #[error("the egress proxy's scheme must be http, https, socks5 or socks5h")]
    WrongScheme,
    /// The client could not be set up.
    #[error("the HTTP client for the egress proxy could not be set up")]
    NoClient,
}

/// Whether an address is one that requests can leave through.
///
/// # Errors
/// What is wrong with it.
pub fn check_proxy_url(url: &Secret) -> Result<(), ProxyUrlError> {
    checked(url).map(drop)
}

pub(crate) fn checked(url: &Secret) -> Result<Url, ProxyUrlError> {
    let url = Url::parse(url.expose().trim()).map_err(|_| ProxyUrlError::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
        return Err(ProxyUrlError::WrongScheme);
    }
    if url.host_str().is_none_or(str::is_empty) { Err(ProxyUrlError::NotAUrl) } else { Ok(url) }
}

/// Connects through a proxy, with a client of its own so that the time of the connection is measured. Any answer of the
/// upstream will do: without a token it refuses, and that proves the way.
pub(crate) async fn probe(url: &Secret, target: &Address) -> Result<Duration, String> {
    let client = proxied_client(url).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let asking = client.execute(reqwest::Request::new(Method::HEAD, target.url.clone()));
    let answered = tokio::time::timeout(PROBE_TIME, asking)
        .await
        .map_err(|_| format!("no answer within {} s", PROBE_TIME.as_secs()))?;
    let response = answered.map_err(|error| reason(&error, url))?;
    let status = response.status();
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err("the proxy refused its user name and password".to_owned())
        }
        // Without TLS a proxy answers itself when it cannot reach the upstream; inside a tunnel it is the upstream's word.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
            if target.url.scheme() == "http" =>
        {
            Err(format!("the proxy answered {} instead of the upstream", status.as_u16()))
        }
        _ => Ok(begun.elapsed()),
    }
}

/// The innermost cause says most. Parts of the address never show.
fn reason(error: &reqwest::Error, url: &Secret) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = if error.source().is_some() { cause.to_string() } else { "the connection failed".to_owned() };
    let Ok(url) = checked(url) else { return text };
    [url.password().unwrap_or_default(), url.username()]
        .into_iter()
        .filter(|secret| !secret.is_empty())
        .fold(text, |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_by_scheme_and_host() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", Ok(())),
            ("https://user:p%40ss@proxy.test", Ok(())),
            ("socks5://proxy.test", Ok(())),
            ("socks5h://u:p@[::1]:1080", Ok(())),
            ("socks4://proxy.test", Err(ProxyUrlError::WrongScheme)),
            ("ftp://proxy.test", Err(ProxyUrlError::WrongScheme)),
            ("proxy.test:8080", Err(ProxyUrlError::WrongScheme)),
            ("socks5://", Err(ProxyUrlError::NotAUrl)),
            ("127.0.0.1:8080", Err(ProxyUrlError::NotAUrl)),
            ("", Err(ProxyUrlError::NotAUrl)),
        ] {
            assert_eq!(check_proxy_url(&Secret::from(url)), expected, "{url}");
        }
    }
}
