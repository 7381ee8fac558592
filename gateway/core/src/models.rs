//! Which models a caller is shown: the catalogue, narrowed to what its key may reach, told by the mappings that publish.
//!
//! Owns the lists that were made last. A caller with the whole pool and no mapping attached costs one look. Refuses: what
//! the upstreams list (`background::models`), and bytes on the wire (`protocol::models`).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_domain::{
    Account, AccountId, AccountKind, AccountState, Dialect, KeyScope, ModelName, RequestId,
};
use gateway_protocol::models::{Catalogue, ListedModel};
use gateway_scheduler::{RequestInfo, Surface};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::Gateway;
use crate::extensions::{Attached, Chains};
use crate::hooks::{CatalogEntry, Mapping, Mode, RequestContext};
use crate::stage::Caller;

/// Lists kept: one for each part of the pool, and for each client where mappings tell clients apart.
const MAX_KEPT: usize = 64;
/// Lists made at once.
const MADE_AT_ONCE: usize = 2;
/// The longest anybody waits for one; then it goes without the mappings.
const MAKING_TIME: Duration = Duration::from_secs(2);
/// The most models of one list.
const MAX_MODELS: usize = 10_000;

/// The lists that were made last.
pub(crate) struct ModelLists {
    kept: Mutex<VecDeque<Kept>>,
    making: Semaphore,
    /// How often an upstream turned out to list something else.
    listings: AtomicU64,
}

impl Default for ModelLists {
    fn default() -> Self {
        Self { kept: Mutex::default(), making: Semaphore::new(MADE_AT_ONCE), listings: AtomicU64::new(0) }
    }
}

impl ModelLists {
    /// An upstream lists something else now.
    pub(crate) fn listing_changed(&self) {
        self.listings.fetch_add(1, Ordering::Relaxed);
    }

    fn find(&self, asker: &Asker, of: &Sources) -> Option<Arc<Catalogue>> {
        let kept = self.kept.lock();
        kept.iter().find(|one| one.asker == *asker && one.of.same(of)).map(|one| one.list.clone())
    }

    fn keep(&self, asker: Asker, of: Sources, list: Arc<Catalogue>) {
        let mut kept = self.kept.lock();
        kept.retain(|one| one.asker != asker);
        if kept.len() == MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(Kept { asker, of, list });
    }
}

struct Kept {
    asker: Asker,
    of: Sources,
    list: Arc<Catalogue>,
}

/// Who is shown the same list.
#[derive(Clone, PartialEq)]
struct Asker {
    scope: Option<Arc<KeyScope>>,
    /// Where a mapping tells clients apart.
    client: Option<String>,
}

/// What a list is made of.
#[derive(Clone)]
struct Sources {
    catalogue: Arc<Catalogue>,
    accounts: Arc<HashMap<AccountId, Account>>,
    chains: Option<Arc<Chains>>,
    listings: u64,
}

impl Sources {
    fn same(&self, other: &Self) -> bool {
        let chains = match (&self.chains, &other.chains) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        chains
            && self.listings == other.listings
            && Arc::ptr_eq(&self.catalogue, &other.catalogue)
            && Arc::ptr_eq(&self.accounts, &other.accounts)
    }
}

impl Gateway {
    /// The models that a caller is shown.
    pub async fn models_for(self: &Arc<Self>, caller: &Caller) -> Arc<Catalogue> {
        let chains = self.chains().filter(|chains| !chains.mappings.is_empty());
        let scope = caller.scope().cloned();
        if chains.is_none() && scope.is_none() {
            return self.catalogue();
        }
        let tells_apart = chains.as_ref().is_some_and(|chains| {
            chains.mappings.iter().any(|one| !one.at.clients.is_empty() || !one.at.groups.is_empty())
        });
        let client = tells_apart.then(|| caller.label().to_owned());
        let of = Sources {
            catalogue: self.catalogue(),
            accounts: self.accounts(),
            chains,
            listings: self.model_lists.listings.load(Ordering::Relaxed),
        };
        let asker = Asker { scope, client };
        if let Some(list) = self.model_lists.find(&asker, &of) {
            return list;
        }
        match tokio::time::timeout(MAKING_TIME, self.make_list(asker.clone(), of.clone())).await {
            Ok(Some(list)) => list,
            _ => {
                tracing::warn!("the list of models was not made in time; it is told without mappings");
                Arc::new(Reach::new(self, &asker, &of).narrowed())
            }
        }
    }

    /// Makes a list where mappings may take their time, and keeps it.
    async fn make_list(self: &Arc<Self>, asker: Asker, of: Sources) -> Option<Arc<Catalogue>> {
        let _permit = self.model_lists.making.acquire().await.ok()?;
        // Somebody before may have made it.
        if let Some(list) = self.model_lists.find(&asker, &of) {
            return Some(list);
        }
        let (gateway, for_whom, made_of) = (self.clone(), asker.clone(), of.clone());
        let making = tokio::task::spawn_blocking(move || Arc::new(made(&gateway, &for_whom, &made_of)));
        let list = making.await.ok()?;
        self.model_lists.keep(asker, of, list.clone());
        Some(list)
    }
}

/// What somebody may reach.
struct Reach<'a> {
    scope: Option<&'a KeyScope>,
    catalogue: &'a Catalogue,
    /// The accounts inside that serve, and what their upstreams list.
    accounts: Vec<(&'a Account, Option<BTreeSet<String>>)>,
}

impl<'a> Reach<'a> {
    fn new(gateway: &Gateway, asker: &'a Asker, of: &'a Sources) -> Self {
        let scope = asker.scope.as_deref();
        let inside = |account: &&Account| {
            let groups: Vec<String> = account.settings.groups.iter().cloned().collect();
            account.state == AccountState::Active
                && scope.is_some_and(|scope| scope.holds(&account.id, &groups))
        };
        let listed = gateway.listed_models.lock();
        let accounts = of.accounts.values().filter(inside);
        let accounts = accounts.map(|account| (account, listed.get(&account.id).cloned())).collect();
        Self { scope, catalogue: &of.catalogue, accounts }
    }

    /// Whether an account inside may serve a model.
    fn holds(&self, model: &str) -> bool {
        if self.scope.is_none() {
            return true;
        }
        let is_in_catalogue = || self.catalogue.slugs().iter().any(|slug| slug == model);
        self.accounts.iter().any(|(account, listed)| {
            let lists = match (account.kind, listed) {
                (AccountKind::Codex, _) => is_in_catalogue(),
                (_, Some(listed)) => listed.contains(model),
                // It has models of its own only, and they are not known yet.
                (AccountKind::Anthropic, None) => false,
                // A server that lists nothing may serve everything.
                (_, None) => true,
            };
            lists && account.settings.allows(model)
        })
    }

    /// The catalogue with what is reached.
    fn narrowed(&self) -> Catalogue {
        if self.scope.is_none() {
            return self.catalogue.clone();
        }
        let listed: BTreeSet<ListedModel> = self
            .accounts
            .iter()
            .flat_map(|(account, listed)| {
                let models = listed.iter().flatten().filter(|model| account.settings.allows(model));
                models.map(|model| ListedModel { id: model.clone(), owner: account.kind.as_str() })
            })
            .collect();
        let mut listed: Vec<_> = listed.into_iter().collect();
        listed.dedup_by(|a, b| a.id == b.id);
        listed.truncate(MAX_MODELS);
        self.catalogue.narrowed(|slug| self.holds(slug), listed)
    }
}

fn made(gateway: &Gateway, asker: &Asker, of: &Sources) -> Catalogue {
    let reach = Reach::new(gateway, asker, of);
    let catalogue = reach.narrowed();
    let Some(chains) = &of.chains else { return catalogue };
    let client = asker.client.as_deref().unwrap_or_default();
    let mappings: Vec<&Attached> = chains.mappings.iter().filter(|one| publishes(one, client)).collect();
    let before: Vec<CatalogEntry> = catalogue.all().map(|(id, owner)| entry(id, owner)).collect();
    let mut entries = before.clone();
    for attached in &mappings {
        let Some(mapper) = &attached.extension.mapper else { continue };
        match mapper.publish(&entries) {
            Ok(told) => entries = checked(told),
            Err(error) => {
                let extension = attached.extension.label();
                tracing::warn!(extension, step = error.label(), %error, "it publishes no models");
            }
        }
    }
    let known: HashSet<&str> = before.iter().map(|entry| entry.id.as_str()).collect();
    if asker.scope.is_some() {
        // What a name stands for must be reached as well.
        entries.retain(|entry| {
            known.contains(entry.id.as_str()) || leads_inside(gateway, &mappings, client, &entry.id, &reach)
        });
    }
    if entries == before {
        return catalogue;
    }
    catalogue.told(entries.into_iter().map(|entry| (entry.id, entry.provider)).collect())
}

/// Whether a mapping is for this client and acts. A list belongs to no route and asks for no model.
fn publishes(attached: &Attached, client: &str) -> bool {
    let mut at = attached.at.clone();
    (at.routes, at.models) = (Vec::new(), Vec::new());
    at.mode == Mode::Enforce && at.covers("", client, "")
}

fn entry(id: &str, owner: &str) -> CatalogEntry {
    CatalogEntry {
        id: id.to_owned(),
        provider: owner.to_owned(),
        context_window: None,
        max_output_tokens: None,
    }
}

/// Names of models, each once, not too many.
fn checked(told: Vec<CatalogEntry>) -> Vec<CatalogEntry> {
    let mut seen = HashSet::new();
    let names = told.into_iter().filter(|entry| ModelName::parse(&entry.id).is_ok());
    names.filter(|entry| seen.insert(entry.id.clone())).take(MAX_MODELS).collect()
}

/// Whether one of the things that a published name stands for is reached.
fn leads_inside(
    gateway: &Gateway,
    mappings: &[&Attached],
    client: &str,
    name: &str,
    reach: &Reach<'_>,
) -> bool {
    let Ok(model) = ModelName::parse(name) else { return false };
    let context = Arc::new(RequestContext {
        info: RequestInfo {
            request_id: RequestId::generate(),
            client: client.to_owned(),
            session: None,
            model,
            surface: Surface::Api,
            streaming: false,
            body_bytes: 0,
            attempt: 0,
        },
        now: gateway.now(),
        seed: gateway.next_seed(),
        dialect: Dialect::OpenAiResponses,
        reasoning_effort: None,
        max_output_tokens: None,
        headers: Vec::new(),
    });
    let resolved = mappings.iter().filter_map(|one| one.extension.mapper.as_ref());
    let resolved = resolved.filter_map(|mapper| mapper.resolve(&context).ok());
    match resolved.map(|resolution| resolution.mapping).find(|mapping| *mapping != Mapping::Unchanged) {
        Some(Mapping::Targets(targets)) => targets.iter().any(|target| reach.holds(&target.model)),
        Some(Mapping::Refuse(_)) => false,
        Some(Mapping::Unchanged) | None => reach.holds(name),
    }
}
