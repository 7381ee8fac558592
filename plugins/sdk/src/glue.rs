//! Carries the generated exports over to the [`Scheduler`] trait. Only [`crate::export_scheduler!`] uses it.

use core::marker::PhantomData;

use crate::Scheduler;
use crate::bindings::exports::switchyard::plugin::lifecycle::{self, Hooks, Metadata, PluginError};
use crate::bindings::exports::switchyard::plugin::scheduling::{self, Decision, RankRequest, Roster};

/// Where an instance keeps its plugin. A trait, because a generic type cannot own a static.
pub trait Plugin {
    /// What is exported.
    type Scheduler: Scheduler;

    /// Lends out the one plugin of this instance.
    fn with<R>(use_it: impl FnOnce(&mut Self::Scheduler) -> R) -> R;
}

/// The component's exports for one plugin.
pub struct Component<P>(PhantomData<P>);

impl<P: Plugin> lifecycle::Guest for Component<P> {
    fn describe() -> Metadata {
        let about = P::Scheduler::ABOUT;
        Metadata {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            summary: about.summary.to_owned(),
            hooks: Hooks::SCHEDULE,
            config_schema_json: about.config_schema.to_owned(),
            config_defaults_json: about.config_defaults.to_owned(),
            deterministic: about.deterministic,
        }
    }

    fn init(config_json: String) -> Result<(), PluginError> {
        P::with(|plugin| plugin.configure(&config_json))
    }

    fn check_config(config_json: String) -> Result<(), PluginError> {
        P::Scheduler::default().configure(&config_json)
    }
}

impl<P: Plugin> scheduling::Guest for Component<P> {
    fn update_roster(roster: Roster) {
        P::with(|plugin| plugin.update_roster(roster));
    }

    fn rank(request: RankRequest) -> Decision {
        P::with(|plugin| plugin.rank(&request))
    }
}
