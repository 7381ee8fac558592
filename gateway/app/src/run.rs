//! The composition root: every part is made and connected here, listeners and clock come in from outside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::{Clock, Ledger, Refresher, SettlementRecord};
use gateway_core::sign_in::SignIns;
use gateway_core::{Gateway, POLICY_SETTING, Parts, background};
use gateway_policy_host::FolderWatch;
use gateway_server::{AppState, CallbackDoor, Metrics, Sockets};
use gateway_store::{KeyRing, Store, StoreOptions};
use gateway_upstream::{BaseUrls, Clients, OAuthIssuer, Providers};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Settings;
use crate::cli::Note;
use crate::extensions::{self, Loaded, PluginWatch, Plugins, Scripts};
use crate::refresher::{ChildRefresher, InProcessRefresher};
use crate::shared_file::DiskFiles;
use crate::workbench::ScriptBench;

/// After streams were told to end, this long remains for their last events.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Background jobs have this long to finish.
const JOBS_TIME: Duration = Duration::from_secs(10);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key file cannot be used.
    #[error(transparent)]
    Keys(#[from] gateway_store::KeyFileError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] gateway_store::OpenError),
    /// What is stored cannot be read.
    #[error("the stored state cannot be read: {0}")]
    Stored(#[from] gateway_core::ports::StoreError),
    /// An upstream address is wrong.
    #[error(transparent)]
    Upstream(#[from] gateway_upstream::BuildError),
    /// A policy that must be there cannot be loaded.
    #[error(transparent)]
    Extension(#[from] extensions::LoadError),
    /// The configured policy does not exist.
    #[error("`policy`: {0}")]
    Policy(#[from] gateway_core::UnknownPolicy),
    /// The listener is unusable.
    #[error("the listener is unusable: {0}")]
    Listener(#[from] std::io::Error),
}

/// How tokens are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshing {
    /// By a short-lived process of this binary, which survives the gateway's sudden death.
    InChild,
    /// In this process, for programs that are not the `switchyard` binary (tests).
    InProcess,
}

/// A gateway that serves.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its inside.
    pub gateway: Arc<Gateway>,
    grace: Duration,
    stopping: CancellationToken,
    drained: CancellationToken,
    deadline: CancellationToken,
    tracker: TaskTracker,
    serving: JoinHandle<Result<(), gateway_server::ServeError>>,
    store: Store,
    note: Option<Note>,
    scripts: Arc<FolderWatch>,
    plugins: (Arc<Plugins>, PluginWatch),
}

/// Opens the database that the settings name.
pub(crate) async fn open_store(settings: &Settings) -> Result<Store, StartError> {
    gateway_store::private_folder(&settings.data_dir)?;
    let keys = KeyRing::load_or_create(&settings.key_file())?;
    Ok(gateway_store::open(&settings.database, keys, &StoreOptions::default()).await?)
}

/// Makes and connects everything, and serves.
///
/// # Errors
/// A part cannot be made; nothing is left running.
pub async fn start(
    settings: &Settings,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    refreshing: Refreshing,
) -> Result<Running, StartError> {
    let address = listener.local_addr()?;
    let (store, Loaded { policies, plugins, scripts }) =
        tokio::try_join!(open_store(settings), load_extensions(settings))?;
    let assembled = assemble(settings, &store, policies, clock, refreshing)?;
    let Assembled { gateway, edge, sockets, settlements, signals } = assembled;
    let scripts = attach_extensions(&gateway, &plugins, scripts).await?;
    let watch = plugins.watch()?;
    choose_policy(&gateway, settings, &store).await?;
    // Before the first request: an account that is stored is an account that serves.
    gateway.sync_accounts().await?;
    gateway.sync_keys().await?;
    gateway.sync_operator_keys().await?;
    gateway.sync_pin().await?;
    gateway.load_ties().await?;
    let (to_write, ledger) = settlements;
    background::start(&gateway, to_write, ledger);
    let Signals { tracker, stopping, drained, deadline } = signals;
    let note = leave_note(settings, address, &gateway);
    let router = gateway_server::router(edge);
    let serving = spawn(gateway_server::serve(listener, router, sockets, stopping.clone()));
    Ok(Running {
        address,
        gateway,
        grace: settings.shutdown_grace,
        stopping,
        drained,
        deadline,
        tracker,
        serving,
        store,
        note,
        scripts,
        plugins: (plugins, watch),
    })
}

/// A gateway and its edge; nothing was read yet and nothing runs.
pub(crate) struct Assembled {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) edge: AppState,
    sockets: Sockets,
    settlements: (mpsc::Receiver<SettlementRecord>, Arc<dyn Ledger>),
    signals: Signals,
}

/// How it is told to end, and who is waited for.
struct Signals {
    tracker: TaskTracker,
    stopping: CancellationToken,
    drained: CancellationToken,
    deadline: CancellationToken,
}

/// Makes and connects everything over a database.
pub(crate) fn assemble(
    settings: &Settings,
    store: &Store,
    policies: Vec<Arc<dyn gateway_scheduler::RankingPolicy>>,
    clock: Arc<dyn Clock>,
    refreshing: Refreshing,
) -> Result<Assembled, StartError> {
    let metrics = Arc::new(Metrics::default());
    let clients = Arc::new(Clients::new()?);
    let providers = Providers::new(&base_urls(settings), clients.clone(), clock.clone())?;
    let providers = Arc::new(providers.with_sockets(settings.upstream_sockets, settings.upstream_socket_age));
    let issuer = Arc::new(OAuthIssuer::new(&settings.oauth_url, clients, clock.clone())?);
    let (tracker, stopping) = (TaskTracker::new(), CancellationToken::new());
    let (drained, deadline) = (CancellationToken::new(), CancellationToken::new());
    let sign_ins =
        SignIns::new(issuer.clone(), store.accounts(), clock.clone(), tracker.clone(), stopping.clone());
    let (gateway, to_write, ledger) = Gateway::new(Parts {
        upstream: providers.clone(),
        proxy_probe: providers,
        accounts: store.accounts(),
        proxies: store.proxies(),
        keys: store.client_keys(),
        settings: store.settings(),
        ties: store.ties(),
        ledger: store.ledger(),
        refresher: refresher(settings, store, issuer, clock.clone(), refreshing)?,
        observer: metrics.clone(),
        policies,
        queue_wait: settings.queue_wait,
        shared_files: Arc::new(DiskFiles),
        keep_settlements: settings.keep_settlements,
        burst_wait: settings.burst_wait,
        trace: settings.trace,
        tracker: tracker.clone(),
        stopping: stopping.clone(),
        drained: drained.clone(),
        deadline: deadline.clone(),
        clock,
    });
    let door = CallbackDoor::new(gateway.clone(), sign_ins, settings.callback_port);
    let workbench = Arc::new(ScriptBench::new(settings.policies_dir()));
    let sockets = Sockets::new(settings.client_sockets);
    let edge = AppState::new(gateway.clone(), metrics, door, workbench, sockets.clone());
    let signals = Signals { tracker, stopping, drained, deadline };
    Ok(Assembled { gateway, edge, sockets, settlements: (to_write, ledger), signals })
}

fn base_urls(settings: &Settings) -> BaseUrls {
    BaseUrls {
        chatgpt: settings.chatgpt_url.clone(),
        openai: settings.openai_url.clone(),
        anthropic: settings.anthropic_url.clone(),
    }
}

/// Commands on this data folder find the gateway by it; without it they work on the database.
fn leave_note(settings: &Settings, address: SocketAddr, gateway: &Gateway) -> Option<Note> {
    let key = gateway.lend_operator_key("the command line");
    let left = Note::leave(&settings.data_dir, address, &key);
    left.inspect_err(|error| tracing::warn!(%error, "commands will not find this gateway without --url")).ok()
}

// Not on the tracker: `Running::stop` awaits it by itself.
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

pub(crate) async fn load_extensions(settings: &Settings) -> Result<Loaded, StartError> {
    let (policies_dir, plugins_dir) = (settings.policies_dir(), settings.plugins_dir());
    let runtime = tokio::runtime::Handle::current();
    // Compiling a component keeps a core busy for a while.
    let loading = tokio::task::spawn_blocking(move || extensions::load(&policies_dir, &plugins_dir, runtime));
    Ok(loading.await.map_err(std::io::Error::other)??)
}

/// Puts scripts and components into a gateway as it was decided before; those that are on are compiled here.
pub(crate) async fn attach_extensions(
    gateway: &Arc<Gateway>,
    plugins: &Arc<Plugins>,
    scripts: Scripts,
) -> Result<Arc<FolderWatch>, StartError> {
    // What was decided comes first, so that nothing serves otherwise for a moment.
    gateway.sync_extensions().await?;
    let (keeper, watch) = scripts.attach(gateway)?;
    gateway.keep_extensions_with(vec![plugins.clone(), keeper]);
    let (plugins, gateway) = (plugins.clone(), gateway.clone());
    let attaching = tokio::task::spawn_blocking(move || plugins.attach(&gateway));
    attaching.await.map_err(std::io::Error::other)?;
    Ok(watch)
}

fn refresher(
    settings: &Settings,
    store: &Store,
    issuer: Arc<OAuthIssuer>,
    clock: Arc<dyn Clock>,
    refreshing: Refreshing,
) -> Result<Arc<dyn Refresher>, StartError> {
    Ok(match refreshing {
        Refreshing::InChild => Arc::new(ChildRefresher::new(settings)?),
        Refreshing::InProcess => Arc::new(InProcessRefresher::new(store, issuer, clock)),
    })
}

/// What the dashboard chose last counts; the configuration counts before the first choice. A chosen policy that is no
/// longer there (its file was removed) must not keep the gateway from starting.
pub(crate) async fn choose_policy(
    gateway: &Gateway,
    settings: &Settings,
    store: &Store,
) -> Result<(), StartError> {
    let chosen = store.settings().setting(POLICY_SETTING).await?;
    if let Some(chosen) = chosen {
        match gateway.choose_policy(chosen.expose()) {
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the policy chosen in the dashboard is gone; the configured one decides")
            }
        }
    }
    gateway.choose_policy(&settings.policy)?;
    Ok(())
}

impl Running {
    /// Goes down: takes nothing new, lets streams finish within the grace, then ends them with an error event, and
    /// leaves when everything is written.
    pub async fn stop(mut self) {
        if let Some(note) = self.note.take() {
            note.take_away();
        }
        self.stopping.cancel();
        if tokio::time::timeout(self.grace, &mut self.serving).await.is_err() {
            tracing::warn!(grace_s = self.grace.as_secs(), "streams did not finish in time; ending them");
            self.deadline.cancel();
            if tokio::time::timeout(LAST_WORDS, &mut self.serving).await.is_err() {
                self.serving.abort();
            }
        }
        drop(self.scripts);
        drop(self.plugins);
        self.drained.cancel();
        self.tracker.close();
        if tokio::time::timeout(JOBS_TIME, self.tracker.wait()).await.is_err() {
            tracing::warn!("background jobs did not finish in time");
        }
        self.store.close().await;
    }
}
