//! One instance of a component: its store, what it was told, and the only place where guest code is called.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    Batch, CatalogEntry, FilterOutcome, HookError, PromptBody, RequestContext, Resolution, StreamEvent,
    UsageRecord, check_batch, check_outcome, check_resolution,
};
use gateway_scheduler::{PolicyError, RankDecision, RankInput, Roster};
use wasmtime::component::InstancePre;
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};

use crate::bindings::lifecycle::{Metadata, PluginError};
use crate::compile_cache::CompileCache;
use crate::convert::{self, Buffers};
use crate::exports::{Exports, Indices};
use crate::lent::Lent;
use crate::limits::{CALLS_PER_INSTANCE, Limits, SETUP_TIME};
use crate::manifest::Hook;
use crate::memory::MemoryCap;
use crate::state::State;
use crate::ticker::{Ticker, ticks};

/// What all plugins share.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    pub(crate) cache: Option<Arc<CompileCache>>,
}

/// A compiled and linked component: where instances come from.
#[derive(Clone)]
pub(crate) struct Blueprint {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) indices: Arc<Indices>,
    pub(crate) limits: Limits,
    pub(crate) lent: Arc<Lent>,
}

impl Blueprint {
    /// A fresh instance that nobody has configured.
    pub(crate) fn instantiate(&self) -> Result<Guest, PolicyError> {
        let state = State { cap: MemoryCap::new(self.limits.memory_bytes), lent: Arc::clone(&self.lent) };
        let mut store = Store::new(&self.runtime.engine, state);
        store.limiter(|state| &mut state.cap);
        store.set_hostcall_fuel(self.limits.answer_bytes);
        let exports = timed(&self.runtime, &mut store, SETUP_TIME, |store| {
            let instance = self.pre.instantiate(&mut *store)?;
            self.indices.load(store, &instance)
        })?;
        Ok(Guest {
            runtime: Arc::clone(&self.runtime),
            store,
            exports,
            told: None,
            calls: 0,
            buffers: Buffers::default(),
        })
    }

    /// A fresh instance that knows its configuration.
    pub(crate) fn configured(&self, config_json: &str) -> Result<Guest, PolicyError> {
        let mut guest = self.instantiate()?;
        guest.init(config_json)?;
        Ok(guest)
    }
}

/// One instance. After any error it must be dropped: a component that trapped may not be entered again.
pub(crate) struct Guest {
    runtime: Arc<Runtime>,
    store: Store<State>,
    exports: Exports,
    /// The roster's generation it knows.
    told: Option<u64>,
    calls: u32,
    buffers: Buffers,
}

impl Guest {
    pub(crate) fn describe(&mut self) -> Result<Metadata, PolicyError> {
        let Self { runtime, store, exports, .. } = self;
        timed(runtime, store, SETUP_TIME, |store| exports.lifecycle.call_describe(store))
    }

    pub(crate) fn init(&mut self, config_json: &str) -> Result<(), PolicyError> {
        let Self { runtime, store, exports, .. } = self;
        timed(runtime, store, SETUP_TIME, |store| exports.lifecycle.call_init(store, config_json))?
            .map_err(|refused| PolicyError::Failed(explain_refusal(refused)))
    }

    pub(crate) fn check_config(&mut self, config_json: &str) -> Result<(), PolicyError> {
        let Self { runtime, store, exports, .. } = self;
        timed(runtime, store, SETUP_TIME, |store| exports.lifecycle.call_check_config(store, config_json))?
            .map_err(|refused| PolicyError::Failed(explain_refusal(refused)))
    }

    /// One answer; tells the guest about the roster first if it has not seen this generation.
    pub(crate) fn rank(
        &mut self,
        deadline: Duration,
        roster: &Roster,
        input: &RankInput,
    ) -> Result<RankDecision, PolicyError> {
        let Self { runtime, store, exports, told, calls, buffers } = self;
        let hook = exports.scheduling.as_ref().ok_or_else(|| missing(Hook::Schedule))?;
        if *told != Some(roster.generation) {
            convert::with_roster(roster, |roster| {
                timed(runtime, store, deadline, |store| hook.call_update_roster(store, roster))
            })?;
            *told = Some(roster.generation);
        }
        *calls = calls.saturating_add(1);
        let request = buffers.request(input);
        let answer = timed(runtime, store, deadline, |store| hook.call_rank(store, request))?;
        buffers.decision(input, answer)
    }

    pub(crate) fn resolve(
        &mut self,
        deadline: Duration,
        context: &RequestContext,
    ) -> Result<Resolution, HookError> {
        let Self { runtime, store, exports, calls, .. } = self;
        let hook = exports.model_mapping.as_ref().ok_or_else(|| missing(Hook::MapModel))?;
        *calls = calls.saturating_add(1);
        let answer = convert::with_context(context, |context| {
            timed(runtime, store, deadline, |store| hook.call_resolve(store, context))
        })?;
        check_resolution(convert::resolution(answer))
    }

    pub(crate) fn publish(
        &mut self,
        deadline: Duration,
        catalog: &[CatalogEntry],
    ) -> Result<Vec<CatalogEntry>, HookError> {
        let Self { runtime, store, exports, calls, .. } = self;
        let hook = exports.model_mapping.as_ref().ok_or_else(|| missing(Hook::MapModel))?;
        *calls = calls.saturating_add(1);
        let entries = convert::catalog(catalog);
        let answer = timed(runtime, store, deadline, |store| hook.call_publish(store, &entries))?;
        Ok(convert::catalog_back(answer))
    }

    pub(crate) fn filter_request(
        &mut self,
        deadline: Duration,
        context: &RequestContext,
        body: PromptBody<'_>,
    ) -> Result<FilterOutcome, HookError> {
        let Self { runtime, store, exports, calls, .. } = self;
        let hook = exports.request_filter.as_ref().ok_or_else(|| missing(Hook::FilterRequest))?;
        *calls = calls.saturating_add(1);
        let answer = convert::with_context(context, |context| {
            convert::with_body(body, |body| {
                timed(runtime, store, deadline, |store| hook.call_filter_request(store, context, body))
            })
        })?;
        check_outcome(body, convert::outcome(answer))
    }

    pub(crate) fn filter_events(
        &mut self,
        deadline: Duration,
        context: &RequestContext,
        carry: &[u8],
        events: &[StreamEvent<'_>],
        at_end: bool,
    ) -> Result<Batch, HookError> {
        let Self { runtime, store, exports, calls, .. } = self;
        let hook = exports.response_filter.as_ref().ok_or_else(|| missing(Hook::FilterResponse))?;
        *calls = calls.saturating_add(1);
        let shown: Vec<_> = events.iter().map(convert::event).collect();
        let answer = convert::with_context(context, |context| {
            timed(runtime, store, deadline, |store| {
                hook.call_filter_events(store, context, carry, &shown, at_end)
            })
        })?;
        check_batch(events.len(), convert::batch(answer))
    }

    pub(crate) fn on_usage(&mut self, deadline: Duration, records: &[UsageRecord]) -> Result<(), HookError> {
        let Self { runtime, store, exports, calls, .. } = self;
        let hook = exports.usage_observer.as_ref().ok_or_else(|| missing(Hook::ObserveUsage))?;
        *calls = calls.saturating_add(1);
        let shown: Vec<_> = records.iter().map(convert::usage).collect();
        timed(runtime, store, deadline, |store| hook.call_on_usage(store, &shown))
    }

    /// Whether it has earned its replacement.
    pub(crate) fn is_worn_out(&self) -> bool {
        self.calls >= CALLS_PER_INSTANCE
    }
}

fn missing(hook: Hook) -> HookError {
    HookError::Failed(format!("it does not export the hook {}", hook.label()))
}

/// Runs guest code within a budget and puts what went wrong into words.
fn timed<R>(
    runtime: &Runtime,
    store: &mut Store<State>,
    budget: Duration,
    call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
) -> Result<R, PolicyError> {
    let _running = runtime.ticker.running();
    store.set_epoch_deadline(ticks(budget));
    call(store).map_err(|error| explain(&error, &store.data().cap, budget))
}

fn explain(error: &wasmtime::Error, cap: &MemoryCap, budget: Duration) -> PolicyError {
    if error.is::<PoolConcurrencyLimitError>() {
        return PolicyError::Saturated;
    }
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        return PolicyError::TimedOut(format!("{} ms", budget.as_millis()));
    }
    let cause = error.root_cause();
    PolicyError::Failed(match cap.refused_at_mib() {
        Some(mib) => format!("wanted more than its {mib} MiB of memory, then: {cause}"),
        None => cause.to_string(),
    })
}

fn explain_refusal(refused: PluginError) -> String {
    match refused {
        PluginError::InvalidConfig(issues) => {
            let issues: Vec<String> = issues
                .into_iter()
                .map(|issue| {
                    if issue.pointer.is_empty() {
                        issue.message
                    } else {
                        format!("{}: {}", issue.pointer, issue.message)
                    }
                })
                .collect();
            format!("its configuration does not fit: {}", issues.join("; "))
        }
        PluginError::Unsupported(what) => format!("unsupported: {what}"),
        PluginError::Internal(what) => what,
    }
}
