//! Resolves models: whoever asks for `default` gets the one that is written here.

use switchyard_plugin_sdk::{
    About, CatalogEntry, Mapper, Mapping, RequestContext, Resolution, Target, export_mapper,
};

const ALIAS: &str = "default";
const MODEL: &str = "gpt-5";

#[derive(Default)]
struct Plugin;

export_mapper!(Plugin);

impl Mapper for Plugin {
    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        summary: "One name for the model of the day.",
        ..About::PLAIN
    };

    fn resolve(&self, context: &RequestContext) -> Resolution {
        if context.info.requested_model != ALIAS {
            return Resolution { mapping: Mapping::Unchanged, report_as: None };
        }
        let target = Target {
            model: MODEL.to_owned(),
            provider: None,
            group: None,
            reasoning_effort: None,
        };
        Resolution { mapping: Mapping::Targets(vec![target]), report_as: None }
    }

    // What the list of models shows: the alias beside what it stands for.
    fn publish(&self, mut catalog: Vec<CatalogEntry>) -> Vec<CatalogEntry> {
        let alias = catalog.iter().find(|entry| entry.id == MODEL).cloned();
        catalog.extend(alias.map(|entry| CatalogEntry { id: ALIAS.to_owned(), ..entry }));
        catalog
    }
}
