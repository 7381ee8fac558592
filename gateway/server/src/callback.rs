//! The door on this machine through which a browser comes back from signing in. Open only while somebody signs in.
//!
//! The issuer accepts one address, `http://localhost:1455/auth/callback`, so the port is not ours to choose. When it is
//! taken (by a Codex CLI that signs in), the operator pastes the address instead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use gateway_core::Gateway;
use gateway_core::sign_in::{Method, SignIns, Stage};
use http::StatusCode;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// The port that the issuer knows.
pub const CALLBACK_PORT: u16 = 1455;
/// How often the door looks whether anybody still signs in.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// The door.
#[derive(Clone)]
pub struct CallbackDoor {
    gateway: Arc<Gateway>,
    sign_ins: SignIns,
    port: u16,
    open: Arc<Mutex<Option<SocketAddr>>>,
}

impl CallbackDoor {
    /// A door that is closed. Port 0 takes any, for issuers that do not care.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, sign_ins: SignIns, port: u16) -> Self {
        Self { gateway, sign_ins, port, open: Arc::default() }
    }

    /// The flows behind it.
    #[must_use]
    pub const fn sign_ins(&self) -> &SignIns {
        &self.sign_ins
    }

    /// Opens it, unless it is open, and says whether it could be.
    pub async fn open(&self) -> Option<SocketAddr> {
        if let Some(address) = *self.open.lock() {
            return Some(address);
        }
        // The loopback only: what comes through here carries an authorization code.
        let listener = match TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, self.port)).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::info!(port = self.port, %error, "the way back from signing in is taken; paste the address instead");
                return None;
            }
        };
        let address = listener.local_addr().ok()?;
        *self.open.lock() = Some(address);
        spawn(self.clone().serve(listener));
        Some(address)
    }

    /// Whether it stands open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.lock().is_some()
    }

    /// The address that the issuer sends the browser to.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        let port = self.open.lock().map_or(self.port, |address| address.port());
        format!("http://localhost:{port}/auth/callback")
    }

    async fn serve(self, listener: TcpListener) {
        let router = Router::new().route("/auth/callback", get(come_back)).with_state(self.clone());
        let nobody_left = {
            let door = self.clone();
            async move {
                loop {
                    tokio::time::sleep(LOOK_AROUND).await;
                    // Decided and noted under one lock, so that nobody finds a door open that is about to close.
                    let mut open = door.open.lock();
                    if !door.in_use() {
                        *open = None;
                        break;
                    }
                }
            }
        };
        let served = axum::serve(listener, router).with_graceful_shutdown(nobody_left).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the way back from signing in broke");
        }
    }

    fn in_use(&self) -> bool {
        self.sign_ins.list().iter().any(|flow| {
            flow.method == Method::Browser && matches!(flow.stage, Stage::Waiting { .. } | Stage::Exchanging)
        })
    }
}

// It closes itself when the last flow has ended, which flows do by themselves.
fn spawn(door: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(door);
}

async fn come_back(State(door): State<CallbackDoor>, RawQuery(query): RawQuery) -> Response {
    let came = door.sign_ins.come_back(&query.unwrap_or_default()).await;
    // The account is stored; a pool that cannot be brought in step now will be in the next round.
    if let Err(error) = door.gateway.sync_accounts().await {
        tracing::warn!(%error, "the new sign-in serves from the next round on");
    }
    let (status, title, text) = match came {
        Ok(flow) => match flow.stage {
            Stage::Done { name, .. } => (StatusCode::OK, "Signed in", format!("{name} is in the pool.")),
            _ => (StatusCode::OK, "Not signed in", "The sign-in has ended.".to_owned()),
        },
        Err(error) => (StatusCode::BAD_REQUEST, "Not signed in", error.to_string()),
    };
    let page = format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{title}</title><style>body{{font:16px system-ui;display:grid;place-content:center;\
         min-height:90vh;text-align:center;color-scheme:light dark}}</style>\
         <h1>{title}</h1><p>{}</p><p>You can close this page.</p>",
        escaped(&text)
    );
    (status, Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
