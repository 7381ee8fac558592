//! The macros that turn a type into a component: one per kind of plugin.

/// Exports a [`crate::Scheduler`] from the component: `export_scheduler!(MyPolicy);` once per plugin.
#[macro_export]
macro_rules! export_scheduler {
    ($plugin:ty) => {
        $crate::export_component!($plugin, Scheduler, {
            const HOOKS: $crate::Hooks = $crate::Hooks::SCHEDULE;

            fn update_roster(roster: $crate::Roster) {
                STATE.with_borrow_mut(|plugin| $crate::Scheduler::update_roster(plugin, roster));
            }

            fn rank(request: &$crate::RankRequest) -> $crate::Decision {
                STATE.with_borrow(|plugin| $crate::Scheduler::rank(plugin, request))
            }
        });
    };
}

/// Exports a [`crate::Mapper`] from the component.
#[macro_export]
macro_rules! export_mapper {
    ($plugin:ty) => {
        $crate::export_component!($plugin, Mapper, {
            const HOOKS: $crate::Hooks = $crate::Hooks::MAP_MODEL;

            fn resolve(context: $crate::RequestContext) -> $crate::Resolution {
                STATE.with_borrow(|plugin| $crate::Mapper::resolve(plugin, &context))
            }

            fn publish(
                catalog: ::std::vec::Vec<$crate::CatalogEntry>,
            ) -> ::std::vec::Vec<$crate::CatalogEntry> {
                STATE.with_borrow(|plugin| $crate::Mapper::publish(plugin, catalog))
            }
        });
    };
}

/// Exports a [`crate::Filter`] from the component.
#[macro_export]
macro_rules! export_filter {
    ($plugin:ty) => {
        $crate::export_component!($plugin, Filter, {
            const HOOKS: $crate::Hooks = if <$plugin as $crate::Filter>::STREAMS.is_empty() {
                $crate::Hooks::FILTER_REQUEST
            } else {
                $crate::Hooks::FILTER_REQUEST.union($crate::Hooks::FILTER_RESPONSE)
            };
            const VIEW: $crate::BodyView = <$plugin as $crate::Filter>::VIEW;
            const STREAMS: $crate::StreamInterest = <$plugin as $crate::Filter>::STREAMS;

            fn filter_request(context: $crate::RequestContext, body: $crate::Body) -> $crate::Outcome {
                STATE.with_borrow(|plugin| $crate::Filter::filter_request(plugin, &context, &body))
            }

            fn filter_events(
                context: $crate::RequestContext,
                carry: ::std::vec::Vec<u8>,
                events: ::std::vec::Vec<$crate::StreamEvent>,
                at_end: bool,
            ) -> $crate::BatchResult {
                STATE.with_borrow(|plugin| {
                    $crate::Filter::filter_events(plugin, &context, carry, &events, at_end)
                })
            }
        });
    };
}

/// Exports an [`crate::Observer`] from the component.
#[macro_export]
macro_rules! export_observer {
    ($plugin:ty) => {
        $crate::export_component!($plugin, Observer, {
            const HOOKS: $crate::Hooks = $crate::Hooks::OBSERVE_USAGE;

            fn on_usage(records: ::std::vec::Vec<$crate::UsageRecord>) {
                STATE.with_borrow_mut(|plugin| $crate::Observer::on_usage(plugin, &records));
            }
        });
    };
}

/// What the other macros share.
#[doc(hidden)]
#[macro_export]
macro_rules! export_component {
    ($plugin:ty, $hook:ident, { $($hooks:tt)* }) => {
        const _: () = {
            ::std::thread_local! {
                static STATE: ::core::cell::RefCell<$plugin> = ::core::cell::RefCell::default();
            }
            struct Exported;
            impl $crate::glue::Exported for Exported {
                const ABOUT: $crate::About = <$plugin as $crate::$hook>::ABOUT;

                fn configure(config_json: &str) -> ::core::result::Result<(), $crate::PluginError> {
                    STATE.with_borrow_mut(|plugin| $crate::$hook::configure(plugin, config_json))
                }

                fn check(config_json: &str) -> ::core::result::Result<(), $crate::PluginError> {
                    $crate::$hook::configure(&mut <$plugin>::default(), config_json)
                }

                $($hooks)*
            }
            type Component = $crate::glue::Component<Exported>;
            $crate::bindings::export_world!(Component with_types_in $crate::bindings);
        };
    };
}
