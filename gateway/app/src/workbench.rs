//! Policies as text for the admin API, over the script host: the shipped ones, those of the policies folder, and texts that
//! nobody saved yet. Refuses to write files: the folder's watch takes up what is saved.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use gateway_core::Gateway;
use gateway_core::ports::{CheckOutcome, Checked, Mistake, PolicyText, TextOrigin, Workbench};
use gateway_policy_host::{Change, FolderWatch, Outcome, RhaiHost, ScriptError, check_source};
use gateway_scheduler::{PolicyVersion, RankingPolicy};

use crate::extensions::shipped_script;

/// Time for one answer of a dry run: ten times that of a request, because nobody waits for a stream meanwhile.
const PATIENCE: Duration = Duration::from_millis(50);
/// The largest file shown.
const MAX_SHOWN_BYTES: u64 = 256 * 1024;

/// What is written in Rhai.
pub(crate) struct ScriptBench {
    folder: PathBuf,
    /// Known once the gateway serves; a command's gateway watches nothing.
    live: OnceLock<(Weak<FolderWatch>, Weak<Gateway>)>,
}

impl ScriptBench {
    /// For the operator's policies folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, live: OnceLock::new() }
    }

    /// From now on there are versions to go back to.
    pub(crate) fn follow(&self, watch: &Arc<FolderWatch>, gateway: &Arc<Gateway>) {
        let _only_once = self.live.set((Arc::downgrade(watch), Arc::downgrade(gateway)));
    }

    fn host(&self) -> RhaiHost {
        RhaiHost::new().with_modules(&self.folder).with_deadline(PATIENCE)
    }
}

/// The name of a script's policy.
fn script(id: &str) -> Option<&str> {
    id.strip_prefix("rhai:")
}

impl Workbench for ScriptBench {
    fn source(&self, id: &str) -> Option<PolicyText> {
        let name = script(id)?;
        // Ids are those of policies that are there, so a name is never a path.
        let file = self.folder.join(format!("{name}.rhai"));
        let fits = std::fs::metadata(&file).is_ok_and(|data| data.len() <= MAX_SHOWN_BYTES);
        if let Some(source) = fits.then(|| std::fs::read_to_string(&file).ok()).flatten() {
            return Some(PolicyText { source, origin: TextOrigin::Folder });
        }
        let source = shipped_script(name)?.to_owned();
        Some(PolicyText { source, origin: TextOrigin::Shipped })
    }

    fn check(&self, name: &str, source: &str) -> Checked {
        let report = check_source(name, source, Some(&self.folder));
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

    fn compile(&self, name: &str, source: &str) -> Result<Arc<dyn RankingPolicy>, Mistake> {
        Ok(Arc::new(self.host().load(name, source).map_err(mistake)?))
    }

    fn history(&self, id: &str) -> Vec<PolicyVersion> {
        let watch = self.live.get().and_then(|(watch, _)| watch.upgrade());
        let Some((watch, name)) = watch.zip(script(id)) else { return Vec::new() };
        watch.with(|folder| folder.history(name))
    }

    fn roll_back(&self, id: &str) -> Result<PolicyVersion, String> {
        let live = self.live.get().and_then(|(watch, gateway)| Some((watch.upgrade()?, gateway.upgrade()?)));
        let (watch, gateway) = live.ok_or("no gateway runs, so nothing serves that could go back")?;
        let name =
            script(id).ok_or_else(|| format!("`{id}` is no script; only scripts keep earlier versions"))?;
        match watch.with(|folder| folder.rollback(name)).map_err(|error| error.to_string())? {
            Change::Loaded { policy, .. } => {
                let policy: Arc<dyn RankingPolicy> = policy;
                gateway.put_policy(&policy);
                Ok(policy.version().clone())
            }
            Change::Broken { error, .. } => Err(error.to_string()),
            Change::Removed { name, .. } => Err(format!("the file of `{name}` is gone")),
        }
    }
}

fn mistake(error: ScriptError) -> Mistake {
    Mistake {
        kind: error.kind.label(),
        message: error.message,
        line: error.line,
        column: error.column,
        module: error.module,
    }
}
