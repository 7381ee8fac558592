//! The edge: HTTP in, HTTP out. Public API, admin API, live events, metrics, the embedded dashboard.
//!
//! The only crate that knows status codes. Refuses: SQL, provider clients, script and component engines, and any
//! decision about a request beyond its form.

mod admin;
mod body;
mod callback;
mod dashboard;
mod metrics;
mod peer;
mod public;
mod rescue;
mod routes;
mod serve;
mod sessions;
mod sockets;

pub use admin::import::import_report;
pub use admin::keys::new_client_key;
pub use admin::replay::replay_view;
pub use admin::session::PASSWORD_SETTING;
pub use callback::{CALLBACK_PORT, CallbackDoor};
pub use metrics::Metrics;
pub use serve::{ServeError, serve};
pub use sessions::{HashFailed, PasswordError, hash_password};
pub use sockets::{Offered, Sockets};

use std::ops::Deref;
use std::sync::Arc;

use gateway_core::Gateway;
use gateway_core::ports::Workbench;

use crate::sessions::Sessions;

/// What handlers share. One pointer, because every request clones it more than once.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// The parts of the state.
pub struct Shared {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sessions: Sessions,
    pub(crate) door: CallbackDoor,
    pub(crate) workbench: Arc<dyn Workbench>,
    pub(crate) sockets: Sockets,
}

impl AppState {
    /// Puts the edge in front of a gateway.
    #[must_use]
    pub fn new(
        gateway: Arc<Gateway>,
        metrics: Arc<Metrics>,
        door: CallbackDoor,
        workbench: Arc<dyn Workbench>,
        sockets: Sockets,
    ) -> Self {
        Self(Arc::new(Shared { gateway, metrics, sessions: Sessions::default(), door, workbench, sockets }))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The whole application as one service.
pub fn router(state: AppState) -> axum::Router {
    routes::router(state)
}
