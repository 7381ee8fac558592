//! Where a component's requests may go. The port that carries them is the caller's; what is allowed is decided here,
//! before it is asked, and again by it for each address that a name resolves to ([`is_public`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http::Uri;

/// The largest body sent and taken.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The longest a request may take, whatever the component asks for.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// The most headers sent.
const MAX_HEADERS: usize = 64;

/// A place requests may go to: `https://host[:port][/path]`. Paths are prefixes by whole segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    scheme: String,
    host: String,
    port: u16,
    path: String,
}

/// Why a text is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no destination: {why}")]
pub struct DestinationError {
    text: String,
    why: &'static str,
}

/// A request a component wants sent, checked.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// Allowed by the list.
    pub url: String,
    /// Without those of the connection.
    pub headers: Vec<(String, String)>,
    /// At most [`MAX_BODY_BYTES`].
    pub body: Vec<u8>,
    /// At most [`MAX_TIMEOUT`], for everything from the name to the last byte.
    pub timeout: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct OutboundResponse {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Not allowed.
    #[error("denied: {0}")]
    Denied(String),
    /// Not in time.
    #[error("timed out")]
    TimedOut,
    /// More than [`MAX_BODY_BYTES`].
    #[error("too large")]
    TooLarge,
    /// Anything else.
    #[error("failed: {0}")]
    Failed(String),
}

/// Carries a component's requests. Called on a thread that may block.
///
/// An implementation resolves the name itself, refuses every address that is not [`is_public`], connects to the address
/// it checked (not to the name again), follows no redirect, and keeps to the timeout and [`MAX_BODY_BYTES`].
pub trait Outbound: Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// It was denied, took too long, was too large, or failed.
    fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError>;
}

impl Destination {
    /// Reads an entry of the operator's list.
    ///
    /// # Errors
    /// It is no absolute URL of `https` or `http`, or holds more than a host, a port and a path.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        let error = |why| DestinationError { text: text.to_owned(), why };
        let uri: Uri = text.parse().map_err(|_| error("write https://host/path"))?;
        if uri.query().is_some() {
            return Err(error("leave out what follows the question mark"));
        }
        Self::of(&uri).ok_or_else(|| error("write https://host/path"))
    }

    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?;
        let default_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority()?;
        // A name before an `@` makes one host look like another.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        Some(Self {
            scheme: scheme.to_owned(),
            host: authority.host().trim_end_matches('.').to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(default_port),
            path: uri.path().to_owned(),
        })
    }

    fn covers(&self, asked: &Self) -> bool {
        // A server that resolves `..` itself would leave the prefix.
        let climbs = asked.path.split('/').any(|part| matches!(decoded(part).as_str(), ".." | "."));
        let prefix = self.path.trim_end_matches('/');
        let under =
            asked.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.scheme == asked.scheme && self.host == asked.host && self.port == asked.port && under && !climbs
    }
}

/// Dots may be written as `%2e`.
fn decoded(part: &str) -> String {
    part.to_ascii_lowercase().replace("%2e", ".")
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}{}", self.scheme, self.host, self.port, self.path)
    }
}

/// Checks a request against the list; what it says is what is sent.
pub(crate) fn check(
    allowed: &[Destination],
    mut request: OutboundRequest,
) -> Result<OutboundRequest, OutboundError> {
    let denied = |why: String| Err(OutboundError::Denied(why));
    let Some(asked) = request.url.parse::<Uri>().ok().as_ref().and_then(Destination::of) else {
        return denied("the URL is not absolute or names a user".to_owned());
    };
    if !allowed.iter().any(|destination| destination.covers(&asked)) {
        return denied(format!(
            "{}://{}:{} is not on this plugin's list",
            asked.scheme, asked.host, asked.port
        ));
    }
    if let Ok(address) = asked.host.trim_matches(['[', ']']).parse::<IpAddr>()
        && !is_public(address)
    {
        return denied(format!("{address} is not a public address"));
    }
    if !request.method.bytes().all(|b| b.is_ascii_uppercase()) || request.method.is_empty() {
        return denied("a method is upper-case letters".to_owned());
    }
    if request.body.len() > MAX_BODY_BYTES {
        return Err(OutboundError::TooLarge);
    }
    if request.headers.len() > MAX_HEADERS
        || !request.headers.iter().all(|(name, value)| may_send(name, value))
    {
        return denied("a header is not allowed".to_owned());
    }
    request.timeout = request.timeout.clamp(Duration::from_millis(1), MAX_TIMEOUT);
    Ok(request)
}

fn may_send(name: &str, value: &str) -> bool {
    let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let of_connection =
        ["connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];
    token
        && !of_connection.contains(&name.to_ascii_lowercase().as_str())
        && !value.bytes().any(|b| b != b'\t' && (b < b' ' || b == 0x7f))
}

/// Whether an address belongs to the open internet: not to this machine, its network, or a range set apart.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let set_apart = match a {
        0 | 10 | 127 | 224.. => true,
        // Carriers' own networks.
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        // Private; protocol assignments; documentation; relays.
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99),
        // Benchmarks; documentation.
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !set_apart
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // An IPv4 address in disguise is judged as what it is.
    if let Some(v4) = embedded_v4(address) {
        return is_public_v4(v4);
    }
    let [first, second, ..] = address.segments();
    // Only 2000::/3 is handed out; inside it, protocol assignments and documentation are not.
    let handed_out = first & 0xe000 == 0x2000;
    let set_apart = (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || first == 0x3fff;
    handed_out && !set_apart
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let last = || Ipv4Addr::from((u32::from(s6) << 16) | u32::from(s7));
    match (s0, s1, s2, s3, s4, s5) {
        // Mapped, compatible, and translated.
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(last()),
        (0, 0, 0, 0, 0, 0) if s6 != 0 => Some(last()),
        (0x2002, ..) => Some(Ipv4Addr::from((u32::from(s1) << 16) | u32::from(s2))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
