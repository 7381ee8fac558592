//! A wire tap between a client and the gateway: it passes every byte on and keeps what the client sent, so that a test
//! can say whether the upstream got exactly that. And a trap for what a client sends elsewhere.

use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// A tap that listens until it is dropped.
pub(super) struct Tap {
    /// Where to send the client.
    pub(super) url: String,
    sent: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Tap {
    /// Listens before `url`.
    pub(super) async fn before(url: &str) -> Result<Self> {
        let target = url.strip_prefix("http://").context("no plain HTTP address")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let kept = sent.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (target, kept) = (target.clone(), kept.clone());
                // A broken connection is the client's to notice.
                connections.spawn(async move { drop(pass_on(client, &target, &kept).await) });
            }
        });
        Ok(Self { url, sent, _tasks: tasks })
    }

    /// Whether the client sent these bytes, one after another.
    pub(super) async fn saw(&self, bytes: &[u8]) -> bool {
        let sent = self.sent.lock().await;
        !bytes.is_empty() && sent.windows(bytes.len()).any(|window| window == bytes)
    }
}

async fn pass_on(client: TcpStream, target: &str, kept: &Mutex<Vec<u8>>) -> Result<()> {
    let (mut from_gateway, mut to_gateway) = TcpStream::connect(target).await?.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_gateway.shutdown().await;
            }
            kept.lock().await.extend_from_slice(&buffer[..read]);
            to_gateway.write_all(&buffer[..read]).await?;
        }
    };
    let down = async {
        tokio::io::copy(&mut from_gateway, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(up, down)?;
    Ok(())
}

/// Stands where a client's proxy would be: whoever calls out elsewhere than the gateway comes by here.
pub(super) struct Trap {
    /// What the client is told to use as its proxy.
    pub(super) url: String,
    listener: std::net::TcpListener,
}

impl Trap {
    pub(super) fn set() -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self { url: format!("http://{}", listener.local_addr()?), listener })
    }

    /// Sends a client's calls here, but for those to this machine.
    pub(super) fn catch(&self, command: &mut Command) {
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
            command.env(name, &self.url);
        }
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    }

    /// Whether nobody came. What connected waits in the listener's queue, so nothing is missed.
    pub(super) fn is_untouched(&self) -> bool {
        self.listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}
