//! What a Switchyard plugin is written with: the contract's types, a trait per hook, one export macro.
//!
//! A scheduler implements [`Scheduler`] and names its type in [`export_scheduler!`]; the lifecycle (describe,
//! configure, check) has defaults. Nothing here reaches outside the sandbox: there is no clock, no entropy and
//! no IO, because those arrive as inputs.

#[doc(hidden)]
pub mod bindings;
mod config;
#[doc(hidden)]
pub mod glue;
mod ranking;

pub use bindings::exports::switchyard::plugin::scheduling::{
    AccountProfile, AccountRef, Action, Candidate, Decision, Health, RankRequest, Rejection, RequestInfo,
    Roster,
};
pub use bindings::switchyard::plugin::types::{ConfigIssue, PluginError};
pub use config::invalid_config;
pub use ranking::{best_first, left, two_decimals};

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

/// Exports a [`Scheduler`] from the component: `export_scheduler!(MyPolicy);` once per plugin.
#[macro_export]
macro_rules! export_scheduler {
    ($plugin:ty) => {
        const _: () = {
            ::std::thread_local! {
                static STATE: ::core::cell::RefCell<$plugin> = ::core::cell::RefCell::default();
            }
            struct Exported;
            impl $crate::glue::Plugin for Exported {
                type Scheduler = $plugin;
                fn with<R>(use_it: impl FnOnce(&mut $plugin) -> R) -> R {
                    STATE.with_borrow_mut(use_it)
                }
            }
            type Component = $crate::glue::Component<Exported>;
    $crate::bindings::export_world!(Component with_types_in $crate::bindings);
        };
    };
}
