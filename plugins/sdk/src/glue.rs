//! Carries the generated exports over to the traits of the hooks. Only the export macros use it.

use core::marker::PhantomData;

use crate::bindings::exports::switchyard::plugin::lifecycle::{
    self, BodyView, Hooks, Metadata, PluginError, StreamInterest,
};
use crate::bindings::exports::switchyard::plugin::{
    model_mapping, request_filter, response_filter, scheduling, usage_observer,
};
use crate::bindings::switchyard::plugin::types::RequestContext;
use crate::{About, BatchResult, Decision, RankRequest, Roster, Step};

/// What a component exports: the hooks it wants, and what they do. The others are never called.
pub trait Exported {
    /// Who this is.
    const ABOUT: About;
    /// What it wants to be called for.
    const HOOKS: Hooks;
    /// How much of a prompt it wants to see.
    const VIEW: BodyView = BodyView::None;
    /// Which events it wants to see.
    const STREAMS: StreamInterest = StreamInterest::empty();

    /// Takes the configuration.
    ///
    /// # Errors
    /// It does not fit.
    fn configure(config_json: &str) -> Result<(), PluginError>;

    /// Looks at a configuration.
    ///
    /// # Errors
    /// It does not fit.
    fn check(config_json: &str) -> Result<(), PluginError>;

    /// Takes the accounts.
    fn update_roster(roster: Roster) {
        drop(roster);
    }

    /// Ranks.
    #[must_use]
    fn rank(request: &RankRequest) -> Decision {
        let _ = request;
        Decision::delegate("it ranks nothing")
    }

    /// Maps.
    #[must_use]
    fn resolve(context: RequestContext) -> model_mapping::Resolution {
        drop(context);
        model_mapping::Resolution { mapping: model_mapping::Mapping::Unchanged, report_as: None }
    }

    /// Lists.
    #[must_use]
    fn publish(catalog: Vec<model_mapping::CatalogEntry>) -> Vec<model_mapping::CatalogEntry> {
        catalog
    }

    /// Judges a prompt.
    #[must_use]
    fn filter_request(context: RequestContext, body: request_filter::Body) -> request_filter::Outcome {
        drop((context, body));
        request_filter::Outcome::PASS
    }

    /// Judges a part of a response.
    #[must_use]
    fn filter_events(
        context: RequestContext,
        carry: Vec<u8>,
        events: Vec<response_filter::StreamEvent>,
        at_end: bool,
    ) -> BatchResult {
        let _ = (context, at_end);
        BatchResult::of(events.iter().map(|_| Step::Pass).collect(), carry)
    }

    /// Watches.
    fn on_usage(records: Vec<usage_observer::UsageRecord>) {
        drop(records);
    }
}

/// The component's exports.
pub struct Component<E>(PhantomData<E>);

impl<E: Exported> lifecycle::Guest for Component<E> {
    fn describe() -> Metadata {
        let about = E::ABOUT;
        Metadata {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            summary: about.summary.to_owned(),
            hooks: E::HOOKS,
            request_view: E::VIEW,
            streams: E::STREAMS,
            config_schema_json: about.config_schema.to_owned(),
            config_defaults_json: about.config_defaults.to_owned(),
            deterministic: about.deterministic,
        }
    }

    fn init(config_json: String) -> Result<(), PluginError> {
        E::configure(&config_json)
    }

    fn check_config(config_json: String) -> Result<(), PluginError> {
        E::check(&config_json)
    }
}

impl<E: Exported> scheduling::Guest for Component<E> {
    fn update_roster(roster: Roster) {
        E::update_roster(roster);
    }

    fn rank(request: RankRequest) -> Decision {
        E::rank(&request)
    }
}

impl<E: Exported> model_mapping::Guest for Component<E> {
    fn resolve(context: RequestContext) -> model_mapping::Resolution {
        E::resolve(context)
    }

    fn publish(catalog: Vec<model_mapping::CatalogEntry>) -> Vec<model_mapping::CatalogEntry> {
        E::publish(catalog)
    }
}

impl<E: Exported> request_filter::Guest for Component<E> {
    fn filter_request(context: RequestContext, body: request_filter::Body) -> request_filter::Outcome {
        E::filter_request(context, body)
    }
}

impl<E: Exported> response_filter::Guest for Component<E> {
    fn filter_events(
        context: RequestContext,
        carry: Vec<u8>,
        events: Vec<response_filter::StreamEvent>,
        at_end: bool,
    ) -> BatchResult {
        E::filter_events(context, carry, events, at_end)
    }
}

impl<E: Exported> usage_observer::Guest for Component<E> {
    fn on_usage(records: Vec<usage_observer::UsageRecord>) {
        E::on_usage(records);
    }
}
