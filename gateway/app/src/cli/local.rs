//! A gateway for one command: the same inside as `serve` over the same database, without listener, policies and background
//! jobs. Commands then speak the admin API to it, as they would to one that runs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::{Clock, SystemClock};
use gateway_core::sign_in::SignIns;
use gateway_core::{Gateway, Parts};
use gateway_domain::Secret;
use gateway_server::{AppState, CallbackDoor, Metrics};
use gateway_store::Store;
use gateway_upstream::{Clients, OAuthIssuer, Providers};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::remote::MAX_ANSWER_BYTES;
use crate::run::{StartError, base_urls, open_store, refresher};
use crate::{Refreshing, Settings};

/// Who is logged when a command calls.
const LABEL: &str = "the command line";

/// Answers one admin call.
type Answering =
    dyn Fn(Request<Full<Bytes>>) -> BoxFuture<'static, Result<Response<Bytes>, String>> + Send + Sync;

/// A gateway without a door.
pub(super) struct Local {
    answer: Box<Answering>,
    store: Store,
    key: Secret,
}

impl Local {
    /// Opens the database that the settings name, and puts a gateway over it.
    pub(super) async fn open(settings: &Settings) -> Result<Self, StartError> {
        let store = open_store(settings).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::default());
        let clients = Arc::new(Clients::new()?);
        let providers = Arc::new(Providers::new(&base_urls(settings), clients.clone(), clock.clone())?);
        let issuer = Arc::new(OAuthIssuer::new(&settings.oauth_url, clients, clock.clone())?);
        let tracker = TaskTracker::new();
        let sign_ins = SignIns::new(issuer.clone(), store.accounts(), clock.clone(), tracker.clone());
        // No turn is served here, so nothing is ever settled.
        let (gateway, _, _) = Gateway::new(Parts {
            upstream: providers.clone(),
            proxy_probe: providers,
            accounts: store.accounts(),
            proxies: store.proxies(),
            keys: store.client_keys(),
            settings: store.settings(),
            ledger: store.ledger(),
            refresher: refresher(settings, &store, issuer, clock.clone(), Refreshing::InChild)?,
            observer: metrics.clone(),
            policies: Vec::new(),
            tracker,
            stopping: CancellationToken::new(),
            drained: CancellationToken::new(),
            deadline: CancellationToken::new(),
            clock,
        });
        gateway.sync_accounts().await?;
        gateway.sync_keys().await?;
        gateway.sync_pin().await?;
        let key = gateway.lend_operator_key(LABEL);
        let door = CallbackDoor::new(sign_ins, settings.callback_port);
        let router = gateway_server::router(AppState::new(gateway, metrics, door));
        let answer = Box::new(move |request| {
            let router = router.clone();
            async move {
                let response = router.oneshot(request).await.map_err(|never| match never {})?;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
                Ok(Response::from_parts(head, body.map_err(|error| error.to_string())?.to_bytes()))
            }
            .boxed()
        });
        Ok(Self { answer, store, key })
    }

    /// The key that opens its admin API.
    pub(super) const fn key(&self) -> &Secret {
        &self.key
    }

    /// Answers one admin call.
    pub(super) async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        (self.answer)(request).await
    }

    /// Closes the database.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}
