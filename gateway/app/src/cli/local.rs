//! A gateway for one command: the same inside as `serve` over the same database, without listener and background jobs,
//! and with extensions only where they are asked for. Commands then speak the admin API to it, as they would to one that runs.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::SystemClock;
use gateway_domain::Secret;
use gateway_policy_host::FolderWatch;
use gateway_store::Store;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use tower::ServiceExt;

use super::remote::MAX_ANSWER_BYTES;
use crate::extensions::Loaded;
use crate::run::{
    Assembled, StartError, assemble, attach_extensions, choose_policy, load_extensions, open_store,
};
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
    /// Scripts are watched as long as it lives.
    _scripts: Option<Arc<FolderWatch>>,
}

impl Local {
    /// Opens the database that the settings name, and puts a gateway over it.
    pub(super) async fn open(settings: &Settings) -> Result<Self, StartError> {
        let store = open_store(settings).await?;
        // No turn is served here, so nothing is ranked or settled.
        let assembled = assemble(settings, &store, Vec::new(), Arc::new(SystemClock), Refreshing::InChild)?;
        Self::over(assembled, store, None).await
    }

    /// The same with its extensions loaded.
    pub(super) async fn open_with_extensions(settings: &Settings) -> Result<Self, StartError> {
        let (store, Loaded { policies, plugins, scripts }) =
            tokio::try_join!(open_store(settings), load_extensions(settings))?;
        let assembled = assemble(settings, &store, policies, Arc::new(SystemClock), Refreshing::InChild)?;
        let watch = attach_extensions(&assembled.gateway, &plugins, scripts).await?;
        choose_policy(&assembled.gateway, settings, &store).await?;
        Self::over(assembled, store, Some(watch)).await
    }

    async fn over(
        assembled: Assembled,
        store: Store,
        scripts: Option<Arc<FolderWatch>>,
    ) -> Result<Self, StartError> {
        let Assembled { gateway, edge, .. } = assembled;
        gateway.sync_accounts().await?;
        gateway.sync_keys().await?;
        gateway.sync_pin().await?;
        let key = gateway.lend_operator_key(LABEL);
        let router = gateway_server::router(edge);
        let answer = Box::new(move |request: Request<Full<Bytes>>| {
            let router = router.clone();
            async move {
                let Ok(response) = router.oneshot(request).await;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
                Ok(Response::from_parts(head, body.map_err(|error| error.to_string())?.to_bytes()))
            }
            .boxed()
        });
        Ok(Self { answer, store, key, _scripts: scripts })
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
