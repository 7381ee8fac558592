//! Names for models: an alias stands for one model or for several in order, `*` stands for any run of characters and
//! carries over into the target, and an effort may be a suffix (`gpt-5-high`).
//!
//! The first rule that fits decides. What no rule fits goes upstream as it was asked for.

mod settings;

use switchyard_plugin_sdk::{
    About, CatalogEntry, Mapper, Mapping, PluginError, RequestContext, Resolution, Target, export_mapper,
};
use switchyard_plugin_text::pattern;

use settings::{Rule, Settings};

#[derive(Default)]
struct Aliases(Settings);

export_mapper!(Aliases);

impl Mapper for Aliases {
    const ABOUT: About = About {
        name: "aliases",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Names for models: aliases, wildcards, fallbacks and reasoning efforts as suffixes.",
        config_schema: settings::SCHEMA,
        config_defaults: "{}",
        ..About::PLAIN
    };

    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        self.0 = Settings::parse(config_json)?;
        Ok(())
    }

    fn resolve(&self, context: &RequestContext) -> Resolution {
        self.0.resolve(&context.info.requested_model)
    }

    fn publish(&self, mut catalog: Vec<CatalogEntry>) -> Vec<CatalogEntry> {
        for rule in self.0.rules.iter().filter(|rule| !rule.model.contains('*')) {
            let known = |name: &str| catalog.iter().find(|entry| entry.id == name).cloned();
            // An alias has the size of what it stands for.
            if known(&rule.model).is_none()
                && let Some(entry) = rule.targets.iter().find_map(|target| known(&target.model))
            {
                catalog.push(CatalogEntry { id: rule.model.clone(), ..entry });
            }
        }
        catalog
    }
}

const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

impl Settings {
    fn resolve(&self, asked: &str) -> Resolution {
        if let Some(resolution) = self.by_rule(asked, None) {
            return resolution;
        }
        let suffix =
            asked.rsplit_once('-').filter(|(_, effort)| self.effort_suffix && EFFORTS.contains(effort));
        let Some((model, effort)) = suffix else {
            return Resolution { mapping: Mapping::Unchanged, report_as: None };
        };
        self.by_rule(model, Some(effort)).unwrap_or_else(|| {
            let target = Target {
                model: model.to_owned(),
                provider: None,
                group: None,
                reasoning_effort: Some(effort.to_owned()),
            };
            Resolution { mapping: Mapping::Targets(vec![target]), report_as: None }
        })
    }

    fn by_rule(&self, asked: &str, effort: Option<&str>) -> Option<Resolution> {
        let (rule, run) =
            self.rules.iter().find_map(|rule| Some((rule, pattern::fits(&rule.model, asked)?)))?;
        Some(rule.resolution(run, effort))
    }
}

impl Rule {
    fn resolution(&self, run: &str, effort: Option<&str>) -> Resolution {
        let targets = self.targets.iter().map(|target| Target {
            model: target.model.replace('*', run),
            provider: target.provider.clone(),
            group: target.group.clone(),
            // What the caller asked for by name wins over the rule.
            reasoning_effort: effort.map(str::to_owned).or_else(|| target.effort.clone()),
        });
        Resolution { mapping: Mapping::Targets(targets.collect()), report_as: self.report_as.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::parse(
            r#"{"effort_suffix": true, "rules": [
                {"model": "fast", "targets": [{"model": "gpt-5-mini", "effort": "low"}, {"model": "claude-haiku"}]},
                {"model": "claude-*", "targets": [{"model": "anthropic/claude-*", "provider": "openai-compatible"}],
                 "report_as": "claude"},
                {"model": "claude-never", "targets": [{"model": "x"}]}
            ]}"#,
        )
        .unwrap()
    }

    fn targets(asked: &str) -> Vec<(String, Option<String>)> {
        match settings().resolve(asked).mapping {
            Mapping::Targets(all) => all.into_iter().map(|one| (one.model, one.reasoning_effort)).collect(),
            Mapping::Unchanged => Vec::new(),
            Mapping::Refuse(rejection) => panic!("{rejection:?}"),
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let low = Some("low".to_owned());
        assert_eq!(targets("fast"), [("gpt-5-mini".to_owned(), low), ("claude-haiku".to_owned(), None)]);
        assert_eq!(targets("claude-never"), [("anthropic/claude-never".to_owned(), None)]);
        assert_eq!(targets("gpt-5"), []);
        assert_eq!(settings().resolve("claude-x").report_as.as_deref(), Some("claude"));
    }

    #[test]
    fn an_effort_may_be_a_suffix() {
        let high = || Some("high".to_owned());
        assert_eq!(targets("gpt-5-high"), [("gpt-5".to_owned(), high())]);
        assert_eq!(targets("fast-high")[0], ("gpt-5-mini".to_owned(), high()));
        assert_eq!(targets("gpt-5-tall"), []);
        assert!(
            matches!(Settings::default().resolve("gpt-5-high").mapping, Mapping::Unchanged),
            "only when asked for"
        );
    }

    #[test]
    fn aliases_are_listed_with_the_size_of_what_they_stand_for() {
        let entry = |id: &str| CatalogEntry {
            id: id.to_owned(),
            provider: "codex".to_owned(),
            context_window: Some(7),
            max_output_tokens: None,
        };
        let listed = Aliases(settings()).publish(vec![entry("gpt-5-mini"), entry("gpt-5")]);
        let names: Vec<_> = listed.iter().map(|entry| (entry.id.as_str(), entry.context_window)).collect();
        assert_eq!(names, [("gpt-5-mini", Some(7)), ("gpt-5", Some(7)), ("fast", Some(7))]);
    }
}
