//! Everything a request needs, in one shared value: the pool, the live snapshot, and the ports.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_domain::{Account, AccountId, EgressProxy, KeyScope, RequestId, Timestamp};
use gateway_protocol::models::Catalogue;
use gateway_scheduler::{BuiltIn, PolicyVersion, Pool, RankingPolicy};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::decisions::DecisionLog;
use crate::destinations::Destinations;
use crate::egress::EgressWatch;
use crate::extensions::{Chains, Extensions};
use crate::keeper::TokenKeeper;
use crate::models::ModelLists;
use crate::operator_keys::Operators;
use crate::ports::{
    AccountStore, ClientKeyStore, Clock, Destination, Ledger, Observer, ProxyProbe, ProxyStore, Refresher,
    SettingStore, SettlementRecord, SharedFiles, TieStore, Upstream,
};
use crate::trace::{TraceLog, TraceOptions};
use crate::traffic::Traffic;
use crate::waiting::Waiting;

/// The setting that holds the id of the chosen policy.
pub const POLICY_SETTING: &str = "policy";

/// What the composition root hands in.
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The provider.
    pub upstream: Arc<dyn Upstream>,
    /// Accounts and tokens.
    pub accounts: Arc<dyn AccountStore>,
    /// Egress proxies.
    pub proxies: Arc<dyn ProxyStore>,
    /// Tries them.
    pub proxy_probe: Arc<dyn ProxyProbe>,
    /// Client keys.
    pub keys: Arc<dyn ClientKeyStore>,
    /// Settings.
    pub settings: Arc<dyn SettingStore>,
    /// What ties conversations to accounts.
    pub ties: Arc<dyn TieStore>,
    /// Settlements.
    pub ledger: Arc<dyn Ledger>,
    /// Rotates tokens.
    pub refresher: Arc<dyn Refresher>,
    /// The files of Codex CLIs that share tokens with us.
    pub shared_files: Arc<dyn SharedFiles>,
    /// Counts.
    pub observer: Arc<dyn Observer>,
    /// The policies that can be chosen; the built-in is always there.
    pub policies: Vec<Arc<dyn RankingPolicy>>,
    /// The longest a request waits for a place when every account is busy.
    pub queue_wait: Duration,
    /// The longest a request waits for the end of burst limits when every account has one.
    pub burst_wait: Duration,
    /// How long settlements are kept; for ever when not set.
    pub keep_settlements: Option<Duration>,
    /// How many rankings are kept to be decided again.
    pub trace: TraceOptions,
    /// Long-lived tasks are spawned here, so that shutdown can wait for them.
    pub tracker: TaskTracker,
    /// Cancelled when the gateway begins to go down: nothing new is taken, watchers leave.
    pub stopping: CancellationToken,
    /// Cancelled when the last request has ended: the settlement writer empties its queue and leaves.
    pub drained: CancellationToken,
    /// Cancelled when streams that still run are to be ended.
    pub deadline: CancellationToken,
}

/// What a request needs to know of the key that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Its label.
    pub label: Arc<str>,
    /// The part of the pool that it may use; `None`: all of it.
    pub scope: Option<Arc<KeyScope>>,
}

/// The valid client keys by their hash.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys(HashMap<[u8; 32], KnownKey>);

impl Keys {
    /// A set of keys.
    pub fn new(keys: impl IntoIterator<Item = ([u8; 32], KnownKey)>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// What is known of a key. The hash of what was sent is compared, so timing tells nothing about a key.
    #[must_use]
    pub fn find(&self, hash: &[u8; 32]) -> Option<KnownKey> {
        self.0.get(hash).cloned()
    }
}

/// Everything that can be replaced while requests run. A request reads it once where it needs it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) policy: Arc<dyn RankingPolicy>,
    /// The policy's version, for the many decisions that name it.
    pub(crate) version: Arc<PolicyVersion>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) accounts: Arc<HashMap<AccountId, Account>>,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) proxies: Arc<[EgressProxy]>,
    /// Who is asked on the way; nobody when nothing is attached.
    pub(crate) chains: Option<Arc<Chains>>,
}

impl Live {
    /// Lets this policy decide.
    fn decided_by(&mut self, policy: &Arc<dyn RankingPolicy>) {
        self.policy = policy.clone();
        self.version = Arc::new(policy.version().clone());
    }
}

/// The policies that can be chosen; they come and go while requests run.
pub struct PolicySet(ArcSwap<Vec<Arc<dyn RankingPolicy>>>);

/// No policy has this id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy `{id}`; there are: {known}")]
pub struct UnknownPolicy {
    id: String,
    known: String,
}

impl PolicySet {
    fn new(mut policies: Vec<Arc<dyn RankingPolicy>>) -> Self {
        policies.insert(0, Arc::new(BuiltIn::default()));
        Self(ArcSwap::from_pointee(policies))
    }

    /// All of them, the built-in first.
    #[must_use]
    pub fn all(&self) -> Arc<Vec<Arc<dyn RankingPolicy>>> {
        self.0.load_full()
    }

    /// The policy with this id (`builtin:usage-balanced`, `rhai:…`, `wasm:…`).
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, id: &str) -> Result<Arc<dyn RankingPolicy>, UnknownPolicy> {
        let all = self.all();
        all.iter().find(|policy| policy.version().id() == id).cloned().ok_or_else(|| UnknownPolicy {
            id: id.to_owned(),
            known: all.iter().map(|policy| policy.version().id()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Takes a policy in, in the place of the one with its id.
    fn put(&self, policy: &Arc<dyn RankingPolicy>) {
        let id = policy.version().id();
        self.0.rcu(|all| {
            let mut next = Vec::clone(all);
            match next.iter_mut().find(|known| known.version().id() == id) {
                Some(known) => *known = policy.clone(),
                None => next.push(policy.clone()),
            }
            next
        });
    }

    fn remove(&self, id: &str) {
        self.0
            .rcu(|all| all.iter().filter(|policy| policy.version().id() != id).cloned().collect::<Vec<_>>());
    }
}

/// The gateway's shared state.
pub struct Gateway {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) proxies: Arc<dyn ProxyStore>,
    pub(crate) proxy_probe: Arc<dyn ProxyProbe>,
    pub(crate) key_store: Arc<dyn ClientKeyStore>,
    pub(crate) settings: Arc<dyn SettingStore>,
    pub(crate) ties: Arc<dyn TieStore>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) pool: Mutex<Pool>,
    pub(crate) traffic: Mutex<Traffic>,
    /// Turns that hold a lease.
    pub(crate) running: AtomicUsize,
    pub(crate) waiting: Waiting,
    pub(crate) queue_wait: Duration,
    pub(crate) shared_files: Arc<dyn SharedFiles>,
    pub(crate) keep_settlements: Option<Duration>,
    pub(crate) burst_wait: Duration,
    /// The models that accounts of other kinds than Codex list.
    pub(crate) listed_models: Mutex<HashMap<AccountId, BTreeSet<String>>>,
    /// The lists of models that callers were shown last.
    pub(crate) model_lists: ModelLists,
    pub(crate) operators: Operators,
    pub(crate) egress: EgressWatch,
    /// Accounts of which a reset credit is being redeemed.
    pub(crate) redeeming: Mutex<HashSet<AccountId>>,
    /// How often the pin was set here.
    pub(crate) pins: AtomicU64,
    pub(crate) decisions: DecisionLog,
    pub(crate) trace: TraceLog,
    pub(crate) keeper: TokenKeeper,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// The pool's limits as answers show them, and when they were added up.
    pub(crate) recent_limits: Mutex<Option<(tokio::time::Instant, Arc<http::HeaderMap>)>>,
    pub(crate) settlements: mpsc::Sender<SettlementRecord>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) drained: CancellationToken,
    pub(crate) deadline: CancellationToken,
    pub(crate) builtin: Arc<dyn RankingPolicy>,
    pub(crate) extensions: Extensions,
    policies: PolicySet,
    live: ArcSwap<Live>,
    changed: watch::Sender<u64>,
    seed: AtomicU64,
    started_at: Timestamp,
    instance: String,
}

impl Gateway {
    /// Puts the parts together. The receiver of settlements is for the writer job.
    #[must_use]
    pub fn new(parts: Parts) -> (Arc<Self>, mpsc::Receiver<SettlementRecord>, Arc<dyn Ledger>) {
        let (settlements, to_write) = mpsc::channel(crate::background::MAX_QUEUED_SETTLEMENTS);
        let policies = PolicySet::new(parts.policies);
        let builtin: Arc<dyn RankingPolicy> = Arc::new(BuiltIn::default());
        let live = Live {
            policy: builtin.clone(),
            version: Arc::new(builtin.version().clone()),
            keys: Arc::default(),
            catalogue: Arc::new(Catalogue::empty()),
            accounts: Arc::default(),
            destinations: Arc::default(),
            proxies: Arc::default(),
            chains: None,
        };
        let started_at = parts.clock.now();
        let gateway = Arc::new(Self {
            keeper: TokenKeeper::new(
                parts.accounts.clone(),
                parts.refresher,
                parts.tracker.clone(),
                parts.observer.clone(),
            ),
            clock: parts.clock,
            upstream: parts.upstream,
            accounts: parts.accounts,
            proxies: parts.proxies,
            proxy_probe: parts.proxy_probe,
            key_store: parts.keys,
            settings: parts.settings,
            ties: parts.ties,
            observer: parts.observer,
            pool: Mutex::default(),
            traffic: Mutex::default(),
            running: AtomicUsize::new(0),
            waiting: Waiting::default(),
            queue_wait: parts.queue_wait,
            shared_files: parts.shared_files,
            keep_settlements: parts.keep_settlements,
            burst_wait: parts.burst_wait,
            listed_models: Mutex::default(),
            model_lists: ModelLists::default(),
            operators: Operators::default(),
            egress: EgressWatch::default(),
            redeeming: Mutex::default(),
            pins: AtomicU64::new(0),
            decisions: DecisionLog::default(),
            trace: TraceLog::new(parts.trace),
            ledger: parts.ledger.clone(),
            recent_limits: Mutex::default(),
            settlements,
            tracker: parts.tracker,
            stopping: parts.stopping,
            drained: parts.drained,
            deadline: parts.deadline,
            builtin,
            extensions: Extensions::default(),
            policies,
            live: ArcSwap::from_pointee(live),
            changed: watch::channel(0).0,
            seed: AtomicU64::new(random_start()),
            started_at,
            instance: RequestId::generate().as_str().replace("req_", "gw_"),
        });
        (gateway, to_write, parts.ledger)
    }

    /// The valid client keys.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        self.live.load().keys.clone()
    }

    /// The policy that decides now.
    #[must_use]
    pub fn policy(&self) -> Arc<dyn RankingPolicy> {
        self.live.load().policy.clone()
    }

    /// The same with its version.
    pub(crate) fn deciding(&self) -> (Arc<dyn RankingPolicy>, Arc<PolicyVersion>) {
        let live = self.live.load();
        (live.policy.clone(), live.version.clone())
    }

    /// The model catalogue.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.live.load().catalogue.clone()
    }

    /// All accounts as last read from the store.
    #[must_use]
    pub fn accounts(&self) -> Arc<HashMap<AccountId, Account>> {
        self.live.load().accounts.clone()
    }

    /// Where an account's requests go; `None` when it is gone, or when its proxy is.
    #[must_use]
    pub fn destination(&self, id: &AccountId) -> Option<Arc<Destination>> {
        self.live.load().destinations.get(id).cloned()
    }

    pub(crate) fn destinations(&self) -> Arc<Destinations> {
        self.live.load().destinations.clone()
    }

    /// The egress proxies as last read from the store.
    #[must_use]
    pub fn egress_proxies(&self) -> Arc<[EgressProxy]> {
        self.live.load().proxies.clone()
    }

    /// Who is asked on a request's way; `None` when nothing is attached.
    pub(crate) fn chains(&self) -> Option<Arc<Chains>> {
        self.live.load().chains.clone()
    }

    /// Whether anybody watches what is used.
    pub(crate) fn is_observed(&self) -> bool {
        self.live.load().chains.as_ref().is_some_and(|chains| !chains.observers.is_empty())
    }

    /// What this process calls itself towards other gateways, so that loops end.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The policies that can be chosen.
    #[must_use]
    pub const fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Takes in a policy, or another version of a known one. When it is the one that decides, the new version decides from
    /// the next ranking on; rankings that run finish with the old one.
    pub fn put_policy(&self, policy: &Arc<dyn RankingPolicy>) {
        self.policies.put(policy);
        if self.policy().version().id() == policy.version().id() {
            self.update_live(|live| live.decided_by(policy));
        }
        self.touch();
    }

    /// Takes a policy out. When it is the one that decides, it goes on until another is chosen: a file that is gone for a
    /// moment must not change who serves.
    pub fn remove_policy(&self, id: &str) {
        self.policies.remove(id);
        self.touch();
    }

    /// Lets another policy decide from the next ranking on.
    ///
    /// # Errors
    /// There is no such policy.
    pub fn choose_policy(&self, id: &str) -> Result<Arc<dyn RankingPolicy>, UnknownPolicy> {
        let policy = self.policies.find(id)?;
        self.update_live(|live| live.decided_by(&policy));
        Ok(policy)
    }

    /// Replaces parts of the live snapshot; requests that run keep the one they read.
    pub(crate) fn update_live(&self, change: impl Fn(&mut Live)) {
        self.live.rcu(|live| {
            let mut next = Live::clone(live);
            change(&mut next);
            next
        });
        self.touch();
    }

    /// The last decisions.
    #[must_use]
    pub const fn decisions(&self) -> &DecisionLog {
        &self.decisions
    }

    /// The last rankings with their exact inputs.
    #[must_use]
    pub const fn trace(&self) -> &TraceLog {
        &self.trace
    }

    /// Reads the pool. Only for pure, short work: requests wait meanwhile.
    pub fn with_pool<T>(&self, read: impl FnOnce(&Pool) -> T) -> T {
        read(&self.pool.lock())
    }

    /// Reads the traffic counters.
    pub fn with_traffic<T>(&self, read: impl FnOnce(&mut Traffic) -> T) -> T {
        read(&mut self.traffic.lock())
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When the gateway started.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Small named values.
    #[must_use]
    pub fn settings(&self) -> Arc<dyn SettingStore> {
        self.settings.clone()
    }

    /// Tells watchers that something on the overview changed.
    pub(crate) fn touch(&self) {
        // Every request calls this, and who subscribes later looks at everything first.
        if self.changed.receiver_count() == 0 {
            return;
        }
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Wakes when something on the overview changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Cancelled when the gateway is going down: long-lived connections end themselves.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Entropy for one decision (splitmix64 over a counter that starts at random).
    pub(crate) fn next_seed(&self) -> u64 {
        let mut z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The standard library seeds its hashers at random; that is all the entropy a tie-break needs.
fn random_start() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}
