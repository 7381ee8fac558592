//! Policies as text for the admin API, over the script host: the shipped ones, those of the policies folder, and texts that
//! nobody saved yet. Refuses to write files: the folder's watch takes up what is saved.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::{Checked, Mistake, PolicyText, TextOrigin, Workbench};
use gateway_policy_host::{RhaiHost, check_source};
use gateway_scheduler::RankingPolicy;

use crate::extensions::{checked, mistake, shipped_script};

/// Time for one answer of a dry run: ten times that of a request, because nobody waits for a stream meanwhile.
const PATIENCE: Duration = Duration::from_millis(50);
/// The largest file shown.
const MAX_SHOWN_BYTES: u64 = 256 * 1024;

/// What is written in Rhai.
pub(crate) struct ScriptBench {
    folder: PathBuf,
}

impl ScriptBench {
    /// For the operator's policies folder.
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
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
        checked(check_source(name, source, Some(&self.folder)))
    }

    fn compile(&self, name: &str, source: &str) -> Result<Arc<dyn RankingPolicy>, Mistake> {
        Ok(Arc::new(self.host().load(name, source).map_err(mistake)?))
    }
}
