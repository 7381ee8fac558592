//! Egress proxies for tests: HTTP (tunnels and forwarded requests) and SOCKS5, with credentials, counters and a switch to
//! go down. Refuses to be a good proxy: it serves one request per forwarded connection and resolves names the simple way.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The head of a request to an HTTP proxy may be this long.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// From the connection to the end of its greeting.
const GREETING_TIME: Duration = Duration::from_secs(10);

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// `CONNECT` and absolute addresses.
    Http,
    /// SOCKS version 5.
    Socks5,
}

/// A running proxy. Cloning shares it.
#[derive(Debug, Clone)]
pub struct LabProxy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kind: ProxyKind,
    address: SocketAddr,
    credentials: Option<(String, String)>,
    down: watch::Sender<bool>,
    refuses_targets: AtomicBool,
    passed: AtomicU64,
    refused: AtomicU64,
}

impl LabProxy {
    /// Starts a proxy on a free local port that runs until the token is cancelled. With credentials nobody passes
    /// without them.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(
        kind: ProxyKind,
        credentials: Option<(&str, &str)>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Self(Arc::new(Shared {
            kind,
            address: listener.local_addr()?,
            credentials: credentials.map(|(user, password)| (user.to_owned(), password.to_owned())),
            down: watch::Sender::new(false),
            refuses_targets: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }));
        tokio::spawn(accept(proxy.clone(), listener, shutdown));
        Ok(proxy)
    }

    /// Its address with its credentials, as an operator would write it.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.0.credentials {
            Some((user, password)) => self.url_as(user, password),
            None => format!("{}://{}", self.scheme(), self.0.address),
        }
    }

    /// Its address with these credentials.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("{}://{user}:{password}@{}", self.scheme(), self.0.address)
    }

    fn scheme(&self) -> &'static str {
        match self.0.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5h",
        }
    }

    /// Goes down or comes back. Down, it cuts what runs and closes every new connection at once.
    pub fn set_down(&self, down: bool) {
        self.0.down.send_replace(down);
    }

    /// From now on it says that it cannot connect to anything, or connects again.
    pub fn refuse_targets(&self, refuse: bool) {
        self.0.refuses_targets.store(refuse, Ordering::Relaxed);
    }

    /// Connections that it made for somebody.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Connections that it refused for their credentials.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    fn lets_in(&self, user: &str, password: &str) -> bool {
        let good = match &self.0.credentials {
            Some((good_user, good_password)) => user == good_user && password == good_password,
            None => true,
        };
        if !good {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
        good
    }

    async fn reach(&self, target: &str) -> io::Result<TcpStream> {
        if self.0.refuses_targets.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the proxy was told to refuse"));
        }
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        self.0.passed.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }
}

async fn accept(proxy: LabProxy, listener: TcpListener, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (proxy, shutdown) = (proxy.clone(), shutdown.clone());
        tokio::spawn(async move {
            let mut down = proxy.0.down.subscribe();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                _ = down.wait_for(|down| *down) => {}
                served = serve(&proxy, stream) => if let Err(error) = served {
                    tracing::trace!(%error, "a connection through the lab's proxy ended");
                },
            }
        });
    }
}

async fn serve(proxy: &LabProxy, mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let greeting = async {
        match proxy.0.kind {
            ProxyKind::Http => greet_http(proxy, &mut client).await,
            ProxyKind::Socks5 => greet_socks(proxy, &mut client).await,
        }
    };
    let greeted = tokio::time::timeout(GREETING_TIME, greeting).await;
    let Some(mut upstream) = greeted.map_err(|_| io::ErrorKind::TimedOut)?? else { return Ok(()) };
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// Reads the head of the one request, and connects. `None` when it was refused with an answer.
async fn greet_http(proxy: &LabProxy, client: &mut TcpStream) -> io::Result<Option<TcpStream>> {
    let (head, rest) = read_head(client).await?;
    let (user, password) = basic_credentials(&head).unwrap_or_default();
    if !proxy.lets_in(&user, &password) {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"lab\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        client.write_all(answer.as_bytes()).await?;
        return Ok(None);
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (target, path) = match target.strip_prefix("http://") {
        Some(absolute) if method != "CONNECT" => match absolute.split_once('/') {
            Some((authority, path)) => (authority, Some(format!("/{path}"))),
            None => (absolute, Some("/".to_owned())),
        },
        _ => (target, None),
    };
    let with_port = if target.contains(':') { target.to_owned() } else { format!("{target}:80") };
    let Ok(mut upstream) = proxy.reach(&with_port).await else {
        let answer = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        client.write_all(answer.as_bytes()).await?;
        return Ok(None);
    };
    match path {
        None => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
        Some(path) => {
            upstream.write_all(forwarded(&head, method, &path).as_bytes()).await?;
            upstream.write_all(&rest).await?;
        }
    }
    Ok(Some(upstream))
}

/// The request as the upstream sees it: a path instead of an address, nothing of the proxy's, one request only.
fn forwarded(head: &str, method: &str, path: &str) -> String {
    let of_the_proxy = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        name.starts_with("proxy-") || name == "connection"
    };
    let lines = head.split("\r\n").skip(1).filter(|line| !line.is_empty() && !of_the_proxy(line));
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("connection: close\r\n\r\n");
    request
}

/// The head without its empty line, and what came behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::with_capacity(1024);
    loop {
        if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        if read.len() > MAX_HEAD_BYTES || client.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn basic_credentials(head: &str) -> Option<(String, String)> {
    let value = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim())
    })?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

const VERSION: u8 = 5;
const NO_CREDENTIALS: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const CONNECTION_REFUSED: u8 = 5;

/// The SOCKS5 handshake (RFC 1928, 1929), and connects. `None` when it was refused with an answer.
async fn greet_socks(proxy: &LabProxy, client: &mut TcpStream) -> io::Result<Option<TcpStream>> {
    if client.read_u8().await? != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let methods = read_counted(client).await?;
    let wanted = if proxy.0.credentials.is_some() { USER_AND_PASSWORD } else { NO_CREDENTIALS };
    if !methods.contains(&wanted) {
        proxy.0.refused.fetch_add(1, Ordering::Relaxed);
        client.write_all(&[VERSION, NO_METHOD]).await?;
        return Ok(None);
    }
    client.write_all(&[VERSION, wanted]).await?;
    if wanted == USER_AND_PASSWORD {
        let version = client.read_u8().await?;
        let (user, password) = (read_counted(client).await?, read_counted(client).await?);
        let good = proxy.lets_in(&String::from_utf8_lossy(&user), &String::from_utf8_lossy(&password));
        client.write_all(&[version, u8::from(!good)]).await?;
        if !good {
            return Ok(None);
        }
    }
    let target = read_target(client).await?;
    let reached = proxy.reach(&target).await;
    let reply = if reached.is_ok() { 0 } else { CONNECTION_REFUSED };
    // The bound address is nobody's business: IPv4, all zero.
    client.write_all(&[VERSION, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(reached.ok())
}

async fn read_counted(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut read = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut read).await?;
    Ok(read)
}

async fn read_target(client: &mut TcpStream) -> io::Result<String> {
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let [VERSION, 1, _, kind] = head else { return Err(io::ErrorKind::Unsupported.into()) };
    let host = match kind {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => String::from_utf8_lossy(&read_counted(client).await?).into_owned(),
        4 => {
            let mut address = [0; 16];
            client.read_exact(&mut address).await?;
            format!("[{}]", std::net::Ipv6Addr::from(address))
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok(format!("{host}:{}", client.read_u16().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forwarded_names_no_proxy() {
        let head = "POST http://h:1/a?b=c HTTP/1.1\r\nhost: h:1\r\nProxy-Authorization: Basic dTpw\r\nproxy-connection: keep-alive\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n";
        let request = forwarded(head, "POST", "/a?b=c");
        assert_eq!(
            request,
            "POST /a?b=c HTTP/1.1\r\nhost: h:1\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(basic_credentials(head), Some(("u".to_owned(), "p".to_owned())));
        assert_eq!(basic_credentials("GET / HTTP/1.1\r\n\r\n"), None);
    }
}
