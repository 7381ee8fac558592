//! One instance of a component: its store, what it was told, and the only place where guest code is called.

use std::sync::Arc;
use std::time::Duration;

use gateway_scheduler::{PolicyError, RankDecision, RankInput, Roster};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};

use crate::bindings::lifecycle::{Metadata, PluginError};
use crate::bindings::{Scheduler, SchedulerPre};
use crate::convert::{self, Buffers};
use crate::limits::{ANSWER_BYTES, CALLS_PER_INSTANCE, Limits, SETUP_TIME};
use crate::memory::MemoryCap;
use crate::ticker::{Ticker, ticks};

/// What all plugins share.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
}

/// A compiled and linked component: where instances come from.
pub(crate) struct Blueprint {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) pre: SchedulerPre<MemoryCap>,
    pub(crate) limits: Limits,
}

impl Blueprint {
    /// A fresh instance that nobody has configured.
    pub(crate) fn instantiate(&self) -> Result<Guest, PolicyError> {
        let cap = MemoryCap::new(self.limits.memory_bytes);
        let mut store = Store::new(&self.runtime.engine, cap);
        store.limiter(|cap| cap);
        store.set_hostcall_fuel(ANSWER_BYTES);
        let scheduler = timed(&self.runtime, &mut store, SETUP_TIME, |store| self.pre.instantiate(store))?;
        Ok(Guest {
            runtime: Arc::clone(&self.runtime),
            store,
            scheduler,
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
    store: Store<MemoryCap>,
    scheduler: Scheduler,
    /// The roster's generation it knows.
    told: Option<u64>,
    calls: u32,
    buffers: Buffers,
}

impl Guest {
    pub(crate) fn describe(&mut self) -> Result<Metadata, PolicyError> {
        let scheduler = &self.scheduler;
        timed(&self.runtime, &mut self.store, SETUP_TIME, |store| {
            scheduler.switchyard_plugin_lifecycle().call_describe(store)
        })
    }

    pub(crate) fn init(&mut self, config_json: &str) -> Result<(), PolicyError> {
        let scheduler = &self.scheduler;
        timed(&self.runtime, &mut self.store, SETUP_TIME, |store| {
            scheduler.switchyard_plugin_lifecycle().call_init(store, config_json)
        })?
        .map_err(|refused| PolicyError::Failed(explain_refusal(refused)))
    }

    /// One answer; tells the guest about the roster first if it has not seen this generation.
    pub(crate) fn rank(
        &mut self,
        deadline: Duration,
        roster: &Roster,
        input: &RankInput,
    ) -> Result<RankDecision, PolicyError> {
        let Self { runtime, store, scheduler, told, calls, buffers } = self;
        let hook = scheduler.switchyard_plugin_scheduling();
        if *told != Some(roster.generation) {
            convert::with_roster(roster, |roster| {
                timed(runtime, store, deadline, |store| hook.call_update_roster(store, roster))
            })?;
            *told = Some(roster.generation);
        }
        *calls = calls.saturating_add(1);
        let request = buffers.request(input);
        let answer = timed(runtime, store, deadline, |store| hook.call_rank(store, request))?;
        convert::decision(input, answer)
    }

    /// Whether it has earned its replacement.
    pub(crate) fn is_worn_out(&self) -> bool {
        self.calls >= CALLS_PER_INSTANCE
    }
}

/// Runs guest code within a budget and puts what went wrong into words.
fn timed<R>(
    runtime: &Runtime,
    store: &mut Store<MemoryCap>,
    budget: Duration,
    call: impl FnOnce(&mut Store<MemoryCap>) -> wasmtime::Result<R>,
) -> Result<R, PolicyError> {
    let _running = runtime.ticker.running();
    store.set_epoch_deadline(ticks(budget));
    call(store).map_err(|error| explain(&error, store.data(), budget))
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
