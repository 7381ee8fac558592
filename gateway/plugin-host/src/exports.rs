//! Which hooks a component exports, and how each is called. A component has `lifecycle` and any of the others.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::{
    lifecycle, model_mapping, request_filter, response_filter, scheduling, usage_observer,
};
use crate::manifest::Hook;
use crate::state::State;

/// Where the exports of a component are, before there is an instance.
pub(crate) struct Indices {
    lifecycle: lifecycle::GuestIndices,
    scheduling: Option<scheduling::GuestIndices>,
    model_mapping: Option<model_mapping::GuestIndices>,
    request_filter: Option<request_filter::GuestIndices>,
    response_filter: Option<response_filter::GuestIndices>,
    usage_observer: Option<usage_observer::GuestIndices>,
}

/// The exports of one instance.
pub(crate) struct Exports {
    pub(crate) lifecycle: lifecycle::Guest,
    pub(crate) scheduling: Option<scheduling::Guest>,
    pub(crate) model_mapping: Option<model_mapping::Guest>,
    pub(crate) request_filter: Option<request_filter::Guest>,
    pub(crate) response_filter: Option<response_filter::Guest>,
    pub(crate) usage_observer: Option<usage_observer::Guest>,
}

/// The interface of a hook.
pub(crate) const fn interface(hook: Hook) -> &'static str {
    match hook {
        Hook::Schedule => "scheduling",
        Hook::MapModel => "model-mapping",
        Hook::FilterRequest => "request-filter",
        Hook::FilterResponse => "response-filter",
        Hook::ObserveUsage => "usage-observer",
    }
}

impl Indices {
    /// Looks up `lifecycle` and the hooks that are exported.
    pub(crate) fn new(pre: &InstancePre<State>, exported: &[Hook]) -> wasmtime::Result<Self> {
        let has = |hook| exported.contains(&hook);
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(pre)?,
            scheduling: has(Hook::Schedule).then(|| scheduling::GuestIndices::new(pre)).transpose()?,
            model_mapping: has(Hook::MapModel).then(|| model_mapping::GuestIndices::new(pre)).transpose()?,
            request_filter: has(Hook::FilterRequest)
                .then(|| request_filter::GuestIndices::new(pre))
                .transpose()?,
            response_filter: has(Hook::FilterResponse)
                .then(|| response_filter::GuestIndices::new(pre))
                .transpose()?,
            usage_observer: has(Hook::ObserveUsage)
                .then(|| usage_observer::GuestIndices::new(pre))
                .transpose()?,
        })
    }

    /// The functions themselves; fails when a type is not the contract's.
    pub(crate) fn load(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Exports> {
        Ok(Exports {
            lifecycle: self.lifecycle.load(&mut *store, instance)?,
            scheduling: self.scheduling.as_ref().map(|one| one.load(&mut *store, instance)).transpose()?,
            model_mapping: self
                .model_mapping
                .as_ref()
                .map(|one| one.load(&mut *store, instance))
                .transpose()?,
            request_filter: self
                .request_filter
                .as_ref()
                .map(|one| one.load(&mut *store, instance))
                .transpose()?,
            response_filter: self
                .response_filter
                .as_ref()
                .map(|one| one.load(&mut *store, instance))
                .transpose()?,
            usage_observer: self
                .usage_observer
                .as_ref()
                .map(|one| one.load(&mut *store, instance))
                .transpose()?,
        })
    }
}
