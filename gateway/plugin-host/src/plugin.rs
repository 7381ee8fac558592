//! An admitted component behind the gateway's extension traits: guard in front, pool behind, every answer checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    Batch, BodyView, CatalogEntry, ExtensionVersion, FilterOutcome, Guard, Health, HookError, HookFailure,
    HookTally, ModelMapper, PromptBody, PromptFilter, RequestContext, Resolution, ResponseFilter,
    StreamEvent, StreamInterest, UsageObserver, UsageRecord,
};
use gateway_scheduler::{PolicyVersion, RankDecision, RankInput, RankingPolicy, Roster};

use crate::admission::PluginMetadata;
use crate::grants::{Asks, Capability, Trust};
use crate::guest::Guest;
use crate::lent::{Lent, LogLine};
use crate::limits::BYTES_PER_EXTRA_MS;
use crate::manifest::{Attachment, Hook, Isolation};
use crate::pool::Pool;

/// An admitted component. It implements the trait of each hook; those it was not admitted for answer with an error,
/// so ask [`Plugin::has`] before attaching it.
pub struct Plugin {
    pub(crate) version: PolicyVersion,
    pub(crate) metadata: PluginMetadata,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) trust: Trust,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) digest: String,
    pub(crate) pool: Pool,
    pub(crate) guard: Guard,
    pub(crate) lent: Arc<Lent>,
    pub(crate) asks: Asks,
}

impl Plugin {
    /// What the component says about itself.
    #[must_use]
    pub fn metadata(&self) -> &PluginMetadata {
        &self.metadata
    }

    /// Whether it wants to be called for this hook.
    #[must_use]
    pub fn has(&self, hook: Hook) -> bool {
        self.metadata.hooks.contains(&hook)
    }

    /// Where it wants to be attached.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// How far it is trusted.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// What it was lent.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// What it asks for.
    #[must_use]
    pub fn asks(&self) -> &Asks {
        &self.asks
    }

    /// How it fares.
    #[must_use]
    pub fn health(&self) -> Health {
        self.guard.health()
    }

    /// Whether its instances serve many calls.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.pool.isolation()
    }

    /// Instances alive now.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.pool.alive()
    }

    /// SHA-256 of the component, all of it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The configuration it runs with.
    #[must_use]
    pub fn config_json(&self) -> &str {
        self.pool.config_json()
    }

    /// Whether another configuration would do, without adopting it.
    ///
    /// # Errors
    /// It does not fit the schema, or the plugin refuses it.
    pub fn check_config(&self, config_json: &str) -> Result<(), HookError> {
        crate::admission::fits_schema(&self.metadata.config_schema_json, config_json)
            .map_err(HookError::InvalidOutput)?;
        self.pool.aside(|guest| guest.check_config(config_json))
    }

    /// The calls of one hook.
    #[must_use]
    pub fn tally(&self, hook: Hook) -> HookTally {
        self.guard.tally(hook)
    }

    /// The last calls without an answer, oldest first.
    #[must_use]
    pub fn failures(&self) -> Vec<HookFailure> {
        self.guard.failures()
    }

    /// The last lines it wrote, oldest first, and how many were left out.
    #[must_use]
    pub fn log(&self) -> (Vec<LogLine>, u64) {
        self.lent.log.lines()
    }

    /// The counters it keeps.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, f64> {
        self.lent.counters.all()
    }

    fn timed_call<R>(
        &self,
        hook: Hook,
        ask: impl FnOnce(&mut Guest) -> Result<R, HookError>,
    ) -> Result<R, HookError> {
        self.guard.call(hook, || self.pool.with(ask))
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Plugin").field(&self.version).finish()
    }
}

impl RankingPolicy for Plugin {
    fn version(&self) -> &PolicyVersion {
        &self.version
    }

    fn rank(&self, roster: &Arc<Roster>, input: &Arc<RankInput>) -> Result<RankDecision, HookError> {
        let deadline = self.pool.limits().deadline;
        self.guard.rank(|| self.pool.with(|guest| guest.rank(deadline, roster, input)))
    }
}

impl ModelMapper for Plugin {
    fn version(&self) -> &ExtensionVersion {
        &self.version
    }

    fn resolve(&self, context: &Arc<RequestContext>) -> Result<Resolution, HookError> {
        let deadline = self.pool.limits().deadline;
        self.timed_call(Hook::MapModel, |guest| guest.resolve(deadline, context))
    }

    fn publish(&self, catalog: &[CatalogEntry]) -> Result<Vec<CatalogEntry>, HookError> {
        let deadline = self.pool.limits().filter_deadline;
        self.timed_call(Hook::MapModel, |guest| guest.publish(deadline, catalog))
    }
}

impl PromptFilter for Plugin {
    fn version(&self) -> &ExtensionVersion {
        &self.version
    }

    fn view(&self) -> BodyView {
        self.metadata.request_view
    }

    fn filter_request(
        &self,
        context: &Arc<RequestContext>,
        body: PromptBody<'_>,
    ) -> Result<FilterOutcome, HookError> {
        let deadline = self.pool.limits().filter_deadline + extra_time(body);
        self.timed_call(Hook::FilterRequest, |guest| guest.filter_request(deadline, context, body))
    }
}

/// A millisecond for each 64 KiB.
fn extra_time(body: PromptBody<'_>) -> Duration {
    let bytes = match body {
        PromptBody::Absent => 0,
        PromptBody::RawJson(bytes) => bytes.len(),
        PromptBody::Parts { parts, .. } => parts.iter().map(|part| part.text.len()).sum(),
    };
    Duration::from_millis((bytes / BYTES_PER_EXTRA_MS) as u64)
}

impl ResponseFilter for Plugin {
    fn version(&self) -> &ExtensionVersion {
        &self.version
    }

    fn interest(&self) -> StreamInterest {
        self.metadata.streams
    }

    fn filter_events(
        &self,
        context: &Arc<RequestContext>,
        carry: &[u8],
        events: &[StreamEvent<'_>],
        at_end: bool,
    ) -> Result<Batch, HookError> {
        let deadline = self.pool.limits().events_deadline;
        self.timed_call(Hook::FilterResponse, |guest| {
            guest.filter_events(deadline, context, carry, events, at_end)
        })
    }
}

impl UsageObserver for Plugin {
    fn version(&self) -> &ExtensionVersion {
        &self.version
    }

    fn on_usage(&self, records: &[UsageRecord]) -> Result<(), HookError> {
        let deadline = self.pool.limits().observer_deadline;
        self.timed_call(Hook::ObserveUsage, |guest| guest.on_usage(deadline, records))
    }
}
