//! Scripts: those that came with the binary and those in the data folder, as policies and for every other hook. The
//! keeper of their versions; it writes files only when the operator uploads or removes one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use gateway_core::Gateway;
use gateway_core::extensions::{
    ConfigForm, Content, ExtensionKeeper, ExtensionRelease, ExtensionReport, Installed, Lending, Origin,
    Placement, Rejected, Trial, Upload,
};
use gateway_core::hooks::Hook;
use gateway_core::ports::{CheckOutcome, Checked, Mistake};
use gateway_policy_host::{
    Change, FolderWatch, Outcome, POLL_INTERVAL, PolicyFolder, Report, RhaiHost, RhaiPolicy, ScriptError,
    check_source,
};
use gateway_scheduler::{PolicyLanguage, PolicyVersion, RankingPolicy};

use crate::cli::private_file::replace_private;

/// The longest name of a script.
const MAX_NAME_BYTES: usize = 64;

type Shipped = BTreeMap<String, Arc<RhaiPolicy>>;

/// All scripts.
pub(crate) struct Scripts {
    folder: PolicyFolder,
    path: PathBuf,
    shipped: Vec<Arc<RhaiPolicy>>,
    found: Vec<Change>,
}

impl Scripts {
    pub(super) fn new(
        folder: PolicyFolder,
        path: &Path,
        shipped: Vec<Arc<RhaiPolicy>>,
        found: Vec<Change>,
    ) -> Self {
        Self { folder, path: path.to_owned(), shipped, found }
    }

    /// Puts everything into the gateway and keeps it in step with the folder for as long as the watch lives.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn attach(
        self,
        gateway: &Arc<Gateway>,
    ) -> std::io::Result<(Arc<ScriptKeeper>, Arc<FolderWatch>)> {
        for script in &self.shipped {
            put(gateway, script, false);
        }
        let name_of = |script: &Arc<RhaiPolicy>| RankingPolicy::version(&**script).name.clone();
        let shipped = self.shipped.into_iter().map(|script| (name_of(&script), script)).collect::<Shipped>();
        let shipped = Arc::new(shipped);
        for change in self.found {
            take(gateway, &shipped, change);
        }
        let (told, known) = (Arc::downgrade(gateway), shipped.clone());
        let watch = self.folder.watch(POLL_INTERVAL, move |change| {
            if let Some(gateway) = told.upgrade() {
                take(&gateway, &known, change);
            }
        })?;
        let watch = Arc::new(watch);
        let keeper = ScriptKeeper {
            path: self.path,
            shipped,
            watch: Arc::downgrade(&watch),
            gateway: Arc::downgrade(gateway),
        };
        Ok((Arc::new(keeper), watch))
    }
}

/// The scripts as the set of extensions sees them.
pub(crate) struct ScriptKeeper {
    path: PathBuf,
    shipped: Arc<Shipped>,
    /// Ends with the gateway's serving, whoever still knows the keeper.
    watch: Weak<FolderWatch>,
    gateway: Weak<Gateway>,
}

impl ScriptKeeper {
    fn with<T: Default>(&self, look: impl FnOnce(&mut PolicyFolder) -> T) -> T {
        self.watch.upgrade().map(|watch| watch.with(look)).unwrap_or_default()
    }

    fn find(&self, name: &str) -> Option<(Arc<RhaiPolicy>, Origin)> {
        let own = self.with(|folder| folder.serving(name)).map(|script| (script, Origin::Folder));
        own.or_else(|| Some((self.shipped.get(name)?.clone(), Origin::Shipped)))
    }

    /// Takes over what was just written or removed.
    fn look(&self) -> Result<(), String> {
        let gateway = self.gateway.upgrade().ok_or("the gateway is going down")?;
        // A new text is taken when two looks in a row find it.
        let changes = self.with(|folder| [folder.poll(), folder.poll()].concat());
        changes.into_iter().for_each(|change| take(&gateway, &self.shipped, change));
        Ok(())
    }

    fn file(&self, name: &str) -> Result<PathBuf, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) {
            return Ok(self.path.join(format!("{name}.rhai")));
        }
        Err(format!("a script's name has letters, digits, dash and underscore, {MAX_NAME_BYTES} at most"))
    }

    /// Everything that is done before a script serves. Its name may become a path only when it is one.
    fn tried(&self, upload: &Upload) -> Checked {
        let Content::Script(source) = &upload.content else { return refused("this is no script".to_owned()) };
        match self.file(&upload.name) {
            Ok(_) => checked(check_source(&upload.name, source, Some(&self.path))),
            Err(why) => refused(why),
        }
    }
}

fn refused(message: String) -> Checked {
    let mistake = Mistake { kind: "file", message, line: None, column: None, module: None };
    Checked { digest: None, steps: vec![("read".to_owned(), CheckOutcome::Failed(mistake))] }
}

impl ExtensionKeeper for ScriptKeeper {
    fn language(&self) -> PolicyLanguage {
        PolicyLanguage::Rhai
    }

    fn decide(&self, _: &str, placement: &Placement) -> Result<(), String> {
        let reaches = !placement.grants.is_empty()
            || !placement.http_out.is_empty()
            || !placement.secrets.is_empty()
            || placement.raised;
        if reaches || placement.config.is_some() {
            return Err("a script reaches nothing and has no configuration; change its text".to_owned());
        }
        Ok(())
    }

    fn versions(&self, name: &str) -> Vec<ExtensionRelease> {
        let release = |version: &PolicyVersion, serving| ExtensionRelease {
            release: String::new(),
            digest: version.digest.clone(),
            serving,
        };
        let Some((script, origin)) = self.find(name) else { return Vec::new() };
        let mut versions = vec![release(RankingPolicy::version(&*script), true)];
        if origin == Origin::Folder {
            let earlier = self.with(|folder| folder.history(name));
            versions.extend(earlier.iter().map(|version| release(version, false)));
        }
        versions
    }

    fn roll_back(&self, name: &str) -> Result<ExtensionRelease, String> {
        let gateway = self.gateway.upgrade().ok_or("the gateway is going down")?;
        let watch = self.watch.upgrade().ok_or("the gateway is going down")?;
        match watch.with(|folder| folder.rollback(name)).map_err(|error| error.to_string())? {
            Change::Loaded { policy, .. } => {
                put(&gateway, &policy, true);
                let version = RankingPolicy::version(&*policy);
                tracing::info!(script = version.id(), script.digest = version.digest, "one version back");
                let (release, digest) = (String::new(), version.digest.clone());
                Ok(ExtensionRelease { release, digest, serving: true })
            }
            Change::Broken { error, .. } => Err(error.to_string()),
            Change::Removed { name, .. } => Err(format!("the file of `{name}` is gone")),
        }
    }

    fn rejected(&self) -> Vec<Rejected> {
        let problem = |error: &ScriptError| Rejected {
            id: format!("rhai:{}", error.policy),
            step: error.kind.label().to_owned(),
            message: error.to_string(),
        };
        self.with(|folder| folder.problems().map(problem).collect())
    }

    fn report(&self, name: &str) -> Option<ExtensionReport> {
        let (script, origin) = self.find(name)?;
        Some(report(&script, origin))
    }

    fn form(&self, _: &str) -> ConfigForm {
        ConfigForm::default()
    }

    fn check(&self, upload: &Upload, _: &Placement) -> Trial {
        let checked = self.tried(upload);
        let Content::Script(source) = &upload.content else {
            return Trial { checked, ..no_trial() };
        };
        let loaded = RhaiHost::new().with_modules(&self.path).load(&upload.name, source);
        match loaded {
            Ok(script) if checked.passed() => Trial {
                checked,
                hooks: script.attachments().iter().map(|at| at.hook).collect(),
                report: Some(report(&script, Origin::Folder)),
                ..no_trial()
            },
            _ => Trial { checked, ..no_trial() },
        }
    }

    fn install(&self, upload: &Upload, placement: &Placement) -> Result<ExtensionRelease, String> {
        self.decide(&upload.name, placement)?;
        let Content::Script(source) = &upload.content else { return Err("this is no script".to_owned()) };
        let file = self.file(&upload.name)?;
        for (step, outcome) in self.tried(upload).steps {
            if let CheckOutcome::Failed(mistake) = outcome {
                return Err(format!(
                    "script {} was not admitted at {step}: {}",
                    upload.name, mistake.message
                ));
            }
        }
        std::fs::create_dir_all(&self.path).map_err(|error| error.to_string())?;
        replace_private(&file, source.as_bytes()).map_err(|error| error.to_string())?;
        self.look()?;
        if let Some(problem) = self.rejected().into_iter().find(|one| one.id == upload.id()) {
            return Err(problem.message);
        }
        let serving = self.with(|folder| folder.serving(&upload.name));
        let serving = serving.ok_or("the policies folder holds too many scripts; remove one")?;
        let digest = RankingPolicy::version(&*serving).digest.clone();
        Ok(ExtensionRelease { release: String::new(), digest, serving: true })
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        let file = self.file(name)?;
        if !file.exists() {
            return Err(format!("`{name}` came with the gateway; switch it off instead"));
        }
        std::fs::remove_file(&file).map_err(|error| error.to_string())?;
        tracing::info!(script = name, "script removed by the operator");
        self.look()
    }
}

fn no_trial() -> Trial {
    Trial {
        checked: Checked { digest: None, steps: Vec::new() },
        release: String::new(),
        hooks: Vec::new(),
        report: None,
        form: ConfigForm::default(),
    }
}

/// Each call of a script has a scope of its own, and it reaches nothing: nobody has to answer for it.
fn report(script: &RhaiPolicy, origin: Origin) -> ExtensionReport {
    ExtensionReport {
        origin,
        release: String::new(),
        summary: String::new(),
        trust: origin.label(),
        isolation: "fresh",
        instances: 0,
        asks: Lending::default(),
        lent: Default::default(),
        health: script.health(),
        config_json: String::new(),
        log: Vec::new(),
        log_left_out: 0,
        counters: script.counters(),
    }
}

/// A check as the admin API tells it.
pub(crate) fn checked(report: Report) -> Checked {
    let outcome = |outcome| match outcome {
        Outcome::Passed => CheckOutcome::Passed,
        Outcome::Skipped(why) => CheckOutcome::Skipped(why),
        Outcome::Failed(error) => CheckOutcome::Failed(mistake(error)),
    };
    Checked {
        digest: report.digest,
        steps: report.steps.into_iter().map(|step| (step.name, outcome(step.outcome))).collect(),
    }
}

/// A mistake as the admin API tells it.
pub(crate) fn mistake(error: ScriptError) -> Mistake {
    Mistake {
        kind: error.kind.label(),
        message: error.message,
        line: error.line,
        column: error.column,
        module: error.module,
    }
}

fn take(gateway: &Gateway, shipped: &Shipped, change: Change) {
    match change {
        Change::Loaded { policy, .. } => {
            let version = RankingPolicy::version(&*policy);
            tracing::info!(script = version.id(), script.digest = version.digest, "script is live");
            put(gateway, &policy, true);
        }
        Change::Broken { error, serving } => {
            let serving = serving.map(|version| version.digest);
            tracing::error!(%error, serving, "script not taken; the version before it serves on");
        }
        Change::Removed { last, name } => {
            tracing::info!(script = name, "script removed");
            if let Some(last) = last {
                gateway.remove_policy(&last.id());
                gateway.remove_extension(&last.id());
            }
            // The shipped one whose place it had.
            if let Some(script) = shipped.get(&name) {
                put(gateway, script, false);
            }
        }
    }
}

/// Puts a script into the gateway: as a policy, as whatever else it is, or both.
fn put(gateway: &Gateway, script: &Arc<RhaiPolicy>, on_by_default: bool) {
    let id = RankingPolicy::version(&**script).id();
    if script.ranks() {
        let policy: Arc<dyn RankingPolicy> = script.clone();
        gateway.put_policy(&policy);
    }
    let mut installed = Installed::new(RankingPolicy::version(&**script).clone());
    installed.on_by_default = on_by_default;
    installed.attachments = script.attachments();
    installed.mapper = script.has(Hook::MapModel).then(|| script.clone() as _);
    installed.prompt = script.has(Hook::FilterRequest).then(|| script.clone() as _);
    installed.response = script.has(Hook::FilterResponse).then(|| script.clone() as _);
    installed.observer = script.has(Hook::ObserveUsage).then(|| script.clone() as _);
    if installed.hooks().is_empty() {
        // Its version before may have had others.
        gateway.remove_extension(&id);
    } else {
        gateway.put_extension(installed);
    }
}
