//! The adapter against the lab, over real sockets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gateway_core::ports::{
    Clock, Continues, Destination, Endpoint, Hops, Upstream, UpstreamRequest, UpstreamResponse, Way,
};
use gateway_domain::{AccountId, AccountKind, Failure, ProxyId, Secret, Timestamp};
use gateway_lab::{ANTHROPIC_KEY, Lab, LabAccount, LabClock, LabConfig, Lifetime, OPENAI_KEY};
use gateway_protocol::responses::CallerKind;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{BaseUrls, Clients, OAuthIssuer, Providers};

mod looks;
mod pool;
mod proxies;
mod quotas;
mod sign_ins;
mod turns;

const NOW: i64 = 1_800_000_000;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn config() -> LabConfig {
    LabConfig::new(
        vec![LabAccount::new("ada", "plus"), LabAccount::new("grace", "pro")],
        LabClock::fixed(NOW),
    )
}

/// A lab with a socket, and everything that talks to it.
struct World {
    lab: Lab,
    clients: Arc<Clients>,
    providers: Providers,
    issuer: OAuthIssuer,
    shutdown: CancellationToken,
    _ends: DropGuard,
}

impl World {
    async fn new() -> Self {
        Self::with(config()).await
    }

    async fn with(config: LabConfig) -> Self {
        let shutdown = CancellationToken::new();
        let lab = Lab::start_local(config, shutdown.clone()).await.unwrap();
        let clients = Arc::new(Clients::new().unwrap());
        let clock: Arc<dyn Clock> = Arc::new(At(Timestamp::from_secs(NOW)));
        let urls = BaseUrls {
            chatgpt: lab.backend_url(),
            openai: lab.openai_url(),
            anthropic: lab.base_url().to_owned(),
        };
        Self {
            providers: Providers::new(&urls, clients.clone(), clock.clone()).unwrap(),
            issuer: OAuthIssuer::new(lab.base_url(), clients.clone(), clock).unwrap(),
            clients,
            lab,
            _ends: shutdown.clone().drop_guard(),
            shutdown,
        }
    }

    /// A good token or key of a kind.
    fn key(&self, kind: AccountKind) -> Arc<Secret> {
        Arc::new(match kind {
            AccountKind::Codex => Secret::new(self.lab.login(0, Lifetime::Normal).unwrap().access_token),
            AccountKind::Anthropic => Secret::from(ANTHROPIC_KEY),
            _ => Secret::from(OPENAI_KEY),
        })
    }

    fn request(&self, kind: AccountKind, endpoint: Endpoint, body: &Value) -> UpstreamRequest {
        UpstreamRequest {
            to: Arc::new(self.to(kind)),
            endpoint,
            headers: Arc::default(),
            caller: CallerKind::Foreign,
            continues: Continues::Anew,
            body: Bytes::from(body.to_string()),
            backend: None,
            access_token: self.key(kind),
            hops: Hops::default(),
        }
    }

    /// An account of a kind whose upstream is the lab.
    fn to(&self, kind: AccountKind) -> Destination {
        let base_url = match kind {
            AccountKind::OpenAiCompatible | AccountKind::Gateway => Some(self.lab.base_url().to_owned()),
            _ => None,
        };
        Destination {
            account: AccountId::parse("acc_1").unwrap(),
            kind,
            base_url,
            workspace_id: (kind == AccountKind::Codex).then(|| "acc-lab-ada".to_owned()),
            dialects: BTreeSet::new(),
            headers: HeaderMap::new(),
            way: Way::Direct,
        }
    }

    async fn respond(&self, request: UpstreamRequest) -> Result<UpstreamResponse, Failure> {
        tokio::time::timeout(Duration::from_secs(20), self.providers.respond(request)).await.unwrap()
    }
}

fn through(url: String) -> Way {
    Way::Proxy { id: ProxyId::parse("prx_1").unwrap(), url: Secret::new(url) }
}

fn turn(text: &str) -> Value {
    json!({"model": "gpt-5.5", "stream": true, "store": false,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]})
}

fn chat(text: &str) -> Value {
    json!({"model": "gpt-5.5", "stream": true, "messages": [{"role": "user", "content": text}]})
}

fn message(text: &str) -> Value {
    json!({"model": "claude-lab-sonnet", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": text}]})
}

/// The whole body as text, or how it broke.
async fn read(response: UpstreamResponse) -> Result<String, Failure> {
    let mut body = response.body;
    let mut read = Vec::new();
    while let Some(chunk) = body.next().await {
        read.extend_from_slice(&chunk?);
    }
    Ok(String::from_utf8(read).unwrap())
}
