//! Components as the set of extensions sees them: terms carried out, files taken in and out, versions, and how each one
//! fares. Refuses: files beyond the plugins folder; names are checked where they become paths.

use std::sync::Arc;

use gateway_core::extensions::{
    ConfigForm, Content, ExtensionKeeper, ExtensionRelease, ExtensionReport, Lending, LoggedLine, Origin,
    Placement, Rejected, Trial, Upload,
};
use gateway_core::ports::{CheckOutcome, Checked, Mistake};
use gateway_plugin_host::{Asks, Changed, FolderError, LogLine, Plugin, Step};
use gateway_scheduler::PolicyLanguage;

use super::{COMPONENTS, Plugins, id_of, manifest, terms};

/// What a mistake of a component is called.
const MISTAKE: &str = "admission";

impl ExtensionKeeper for Plugins {
    fn language(&self) -> PolicyLanguage {
        PolicyLanguage::Wasm
    }

    fn decide(&self, name: &str, placement: &Placement) -> Result<(), String> {
        let Some(gateway) = self.gateway() else { return Ok(()) };
        // Also when there is no file now: one that comes finds what was decided.
        self.decide_folder(name, placement)?;
        // One's own file wins over a shipped one of its name.
        if self.is_in_folder(name) {
            if self.serving(name).is_none() {
                self.look_twice();
            }
            self.sync();
            Ok(())
        } else {
            self.serve_shipped(&gateway, name, placement)
        }
    }

    fn versions(&self, name: &str) -> Vec<ExtensionRelease> {
        let versions = self.folder.versions(name).into_iter();
        versions
            .map(|one| ExtensionRelease { release: one.version, digest: one.digest, serving: one.serving })
            .collect()
    }

    fn roll_back(&self, name: &str) -> Result<ExtensionRelease, String> {
        let back = match self.folder.roll_back(name) {
            Err(FolderError::Unknown(_)) if manifest(name).is_some() => {
                return Err(format!("`{name}` came with the gateway and has no earlier version"));
            }
            back => back.map_err(|error| error.to_string())?,
        };
        self.sync();
        Ok(ExtensionRelease { release: back.version, digest: back.digest, serving: true })
    }

    fn rejected(&self) -> Vec<Rejected> {
        let names = self.folder.names().into_iter();
        names
            .filter_map(|name| {
                let error = self.folder.rejected(&name)?;
                let step = error.step.label().to_owned();
                Some(Rejected { id: id_of(&name), step, message: error.message })
            })
            .collect()
    }

    fn report(&self, name: &str) -> Option<ExtensionReport> {
        if let Some(plugin) = self.serving(name) {
            return Some(report(&plugin, Origin::Folder));
        }
        if let Some(plugin) = self.shipped.lock().get(name) {
            return Some(report(plugin, Origin::Shipped));
        }
        let (manifest, _) = manifest(name).zip(COMPONENTS.iter().find(|(known, _)| *known == name))?;
        Some(ExtensionReport {
            origin: Origin::Shipped,
            release: manifest.version.clone(),
            summary: manifest.summary.clone(),
            trust: gateway_plugin_host::Trust::Shipped.label(),
            isolation: manifest.isolation.label(),
            instances: 0,
            asks: lending(&Asks::of(&manifest)),
            lent: Default::default(),
            health: None,
            config_json: manifest.config_json.clone().unwrap_or_default(),
            log: Vec::new(),
            log_left_out: 0,
            counters: Default::default(),
        })
    }

    fn form(&self, name: &str) -> ConfigForm {
        if let Some(plugin) = self.serving(name).or_else(|| self.shipped.lock().get(name).cloned()) {
            return form(&plugin);
        }
        if let Some(known) = self.forms.lock().get(name) {
            return known.clone();
        }
        // Only it can tell, so it is loaded for this question, once.
        let Ok(plugin) = self.load_shipped(name, &Placement::default()) else { return ConfigForm::default() };
        let found = form(&plugin);
        self.forms.lock().insert(name.to_owned(), found.clone());
        found
    }

    fn check(&self, upload: &Upload, placement: &Placement) -> Trial {
        match self.admitted(upload, placement) {
            Ok(plugin) => Trial {
                checked: passed(&plugin),
                release: plugin.metadata().version.clone(),
                hooks: plugin.metadata().hooks.iter().copied().collect(),
                report: Some(report(&plugin, Origin::Folder)),
                form: form(&plugin),
            },
            Err((step, message)) => Trial {
                checked: failed(step, message),
                release: String::new(),
                hooks: Vec::new(),
                report: None,
                form: ConfigForm::default(),
            },
        }
    }

    fn install(&self, upload: &Upload, placement: &Placement) -> Result<ExtensionRelease, String> {
        let Content::Component { bytes, manifest, signature } = &upload.content else {
            return Err(NO_COMPONENT.to_owned());
        };
        let (manifest, signature) = (manifest.as_deref(), signature.as_deref());
        let change = self.folder.install_under(&upload.name, terms(placement)?, bytes, manifest, signature);
        let change = change.map_err(|error| error.to_string())?;
        self.sync();
        match change.changed {
            Changed::Loaded { version, digest } => {
                tracing::info!(plugin = upload.name, version, digest, "plugin uploaded");
                Ok(ExtensionRelease { release: version, digest, serving: true })
            }
            Changed::Rejected(error) => Err(error.to_string()),
            Changed::Removed => Err("its file was removed meanwhile".to_owned()),
        }
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        match self.folder.remove(name) {
            Err(FolderError::Unknown(_)) if manifest(name).is_some() => {
                return Err(format!("`{name}` came with the gateway; switch it off instead"));
            }
            removed => removed.map_err(|error| error.to_string())?,
        }
        tracing::info!(plugin = name, "plugin removed by the operator");
        self.sync();
        Ok(())
    }
}

const NO_COMPONENT: &str = "this is no component";

impl Plugins {
    fn serving(&self, name: &str) -> Option<Arc<Plugin>> {
        self.folder.set().get(name).cloned()
    }

    fn is_in_folder(&self, name: &str) -> bool {
        self.folder.names().iter().any(|known| known == name)
    }

    fn admitted(&self, upload: &Upload, placement: &Placement) -> Result<Arc<Plugin>, (Step, String)> {
        let Content::Component { bytes, manifest, signature } = &upload.content else {
            return Err((Step::Read, NO_COMPONENT.to_owned()));
        };
        let terms = terms(placement).map_err(|why| (Step::Imports, why))?;
        let (manifest, signature) = (manifest.as_deref(), signature.as_deref());
        self.folder.check(&upload.name, &terms, bytes, manifest, signature).map_err(|error| match error {
            FolderError::Admission(error) => (error.step, error.message),
            other => (Step::Read, other.to_string()),
        })
    }
}

fn form(plugin: &Plugin) -> ConfigForm {
    let metadata = plugin.metadata();
    ConfigForm {
        schema_json: metadata.config_schema_json.clone(),
        defaults_json: metadata.config_defaults_json.clone(),
    }
}

fn lending(asks: &Asks) -> Lending {
    Lending {
        grants: asks.capabilities.iter().map(|one| one.label().to_owned()).collect(),
        secrets: asks.secrets.clone(),
        http_out: asks.destinations.clone(),
    }
}

fn report(plugin: &Plugin, origin: Origin) -> ExtensionReport {
    let (lines, log_left_out) = plugin.log();
    let line =
        |line: LogLine| LoggedLine { number: line.number, level: line.level.label(), message: line.message };
    ExtensionReport {
        origin,
        release: plugin.metadata().version.clone(),
        summary: plugin.metadata().summary.clone(),
        trust: plugin.trust().label(),
        isolation: plugin.isolation().label(),
        instances: plugin.instances(),
        asks: lending(plugin.asks()),
        lent: plugin.capabilities().iter().map(|one| one.label().to_owned()).collect(),
        health: Some(plugin.health()),
        config_json: plugin.config_json().to_owned(),
        log: lines.into_iter().map(line).collect(),
        log_left_out,
        counters: plugin.counters(),
    }
}

fn passed(plugin: &Plugin) -> Checked {
    let steps = Step::ALL.iter().map(|step| (step.label().to_owned(), CheckOutcome::Passed)).collect();
    Checked { digest: Some(plugin.digest().to_owned()), steps }
}

/// The steps before the one that failed, and that one.
fn failed(step: Step, message: String) -> Checked {
    let mistake = Mistake { kind: MISTAKE, message, line: None, column: None, module: None };
    let before = Step::ALL.iter().filter(|one| **one < step);
    let mut steps: Vec<_> = before.map(|one| (one.label().to_owned(), CheckOutcome::Passed)).collect();
    steps.push((step.label().to_owned(), CheckOutcome::Failed(mistake)));
    Checked { digest: None, steps }
}
