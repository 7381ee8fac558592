//! What a Switchyard plugin is written with: the contract's types, a trait per hook, one export macro.
//!
//! A policy implements [`Scheduler`] and names its type in [`export_scheduler!`]; a mapping, a filter and an observer
//! have a trait and a macro each. The lifecycle (describe, configure, check) has defaults. There is no clock and no
//! entropy: those arrive as inputs. What else a plugin may reach is in [`host`], as far as the operator grants it.

#[doc(hidden)]
pub mod bindings;
mod candidate;
mod config;
mod export;
mod filtering;
#[doc(hidden)]
pub mod glue;
mod ranking;
pub mod testing;

pub use bindings::exports::switchyard::plugin::lifecycle::{BodyView, Hooks, StreamInterest};
pub use bindings::exports::switchyard::plugin::model_mapping::{CatalogEntry, Mapping, Resolution, Target};
pub use bindings::exports::switchyard::plugin::request_filter::{
    Body, Edit, FieldEdit, Insertion, Outcome, Role, TextPart, Verdict,
};
pub use bindings::exports::switchyard::plugin::response_filter::{
    BatchResult, Emission, Partial, RawEvent, Step, StreamEvent, TextDelta, ToolDelta,
};
pub use bindings::exports::switchyard::plugin::scheduling::{
    AccountProfile, AccountRef, Action, Decision, Health, RankRequest, Roster,
};
pub use bindings::exports::switchyard::plugin::usage_observer::{Outcome as UsageOutcome, UsageRecord};
pub use bindings::switchyard::plugin::filtering::Hit;
pub use bindings::switchyard::plugin::types::{
    ConfigIssue, Dialect, PluginError, Rejection, RequestContext, RequestInfo, Surface, TokenUsage,
};
pub use candidate::{COLUMNS, Candidate, Preference};
pub use config::invalid_config;
pub use ranking::{Scored, best_first, left, two_decimals};

/// What a plugin may reach, each only when its manifest asks for it and the operator granted it. A component that uses
/// none of these imports nothing.
pub mod host {
    pub use crate::bindings::switchyard::plugin::{http_out, kv, logging, metrics, secrets};
}

/// What a plugin says about itself while it is admitted.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name, the one of its manifest.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence for the dashboard.
    pub summary: &'static str,
    /// JSON Schema (2020-12) of its configuration.
    pub config_schema: &'static str,
    /// A JSON document with the default configuration.
    pub config_defaults: &'static str,
    /// Whether the same inputs always give the same answer. The host checks it.
    pub deterministic: bool,
}

impl About {
    /// A deterministic plugin without configuration: name the rest and take these for what is left.
    pub const PLAIN: Self = Self {
        name: "",
        version: "0.0.0",
        summary: "",
        config_schema: r#"{"type":"object","additionalProperties":false}"#,
        config_defaults: "{}",
        deterministic: true,
    };
}

/// Ranks accounts: the hook `schedule`.
///
/// The host keeps several instances and calls any of them, so what `rank` learns from one request must not
/// change its answer to the next.
pub trait Scheduler: Default {
    /// Who this is.
    const ABOUT: About;

    /// Takes the operator's configuration, once, before the first call. A plugin without configuration
    /// leaves this alone.
    ///
    /// # Errors
    /// The configuration does not fit; the issues land beside the fields of the dashboard's form.
    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        config::expect_none(config_json)
    }

    /// Takes the accounts' slow-changing facts: before the first `rank` and whenever they change.
    fn update_roster(&mut self, roster: Roster) {
        drop(roster);
    }

    /// Answers who should serve a request.
    fn rank(&self, request: &RankRequest) -> Decision;
}

/// Resolves models: the hook `map-model`.
pub trait Mapper: Default {
    /// Who this is.
    const ABOUT: About;

    /// Takes the operator's configuration, once, before the first call.
    ///
    /// # Errors
    /// It does not fit.
    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        config::expect_none(config_json)
    }

    /// Answers what the asked model stands for.
    fn resolve(&self, context: &RequestContext) -> Resolution;

    /// Answers what the list of models shows.
    #[must_use]
    fn publish(&self, catalog: Vec<CatalogEntry>) -> Vec<CatalogEntry> {
        catalog
    }
}

/// Judges prompts, and responses if it wants to: the hooks `filter-request` and `filter-response`.
///
/// The two meet different instances: what the response must know of its prompt travels in `carry`.
pub trait Filter: Default {
    /// Who this is.
    const ABOUT: About;
    /// How much of a prompt it wants to see.
    const VIEW: BodyView = BodyView::TextParts;
    /// Which events of a response it wants to see; none leaves responses alone.
    const STREAMS: StreamInterest = StreamInterest::empty();

    /// Takes the operator's configuration, once, before the first call.
    ///
    /// # Errors
    /// It does not fit.
    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        config::expect_none(config_json)
    }

    /// Judges a prompt.
    fn filter_request(&self, context: &RequestContext, body: &Body) -> Outcome;

    /// Judges the next events of a response: one step for each. `carry` is what this function, or the request's,
    /// answered last; `at_end` is true exactly once.
    #[must_use]
    fn filter_events(
        &self,
        context: &RequestContext,
        carry: Vec<u8>,
        events: &[StreamEvent],
        at_end: bool,
    ) -> BatchResult {
        let _ = (context, at_end);
        BatchResult::of(events.iter().map(|_| Step::Pass).collect(), carry)
    }
}

/// Watches what is used: the hook `observe-usage`.
pub trait Observer: Default {
    /// Who this is.
    const ABOUT: About;

    /// Takes the operator's configuration, once, before the first call.
    ///
    /// # Errors
    /// It does not fit.
    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        config::expect_none(config_json)
    }

    /// Takes a batch of settled requests.
    fn on_usage(&mut self, records: &[UsageRecord]);
}
