//! A component as a ranking policy: breaker in front, pool behind.

use std::sync::Arc;

use gateway_scheduler::{PolicyError, PolicyVersion, RankDecision, RankInput, RankingPolicy, Roster};

use crate::admission::PluginMetadata;
use crate::breaker::Breaker;
use crate::pool::Pool;

/// An admitted component that ranks candidates.
pub struct WasmPolicy {
    pub(crate) version: PolicyVersion,
    pub(crate) metadata: PluginMetadata,
    pub(crate) pool: Pool,
    pub(crate) breaker: Breaker,
}

impl WasmPolicy {
    /// What the component says about itself.
    #[must_use]
    pub fn metadata(&self) -> &PluginMetadata {
        &self.metadata
    }
}

impl std::fmt::Debug for WasmPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WasmPolicy").field(&self.version).finish()
    }
}

impl RankingPolicy for WasmPolicy {
    fn version(&self) -> &PolicyVersion {
        &self.version
    }

    fn rank(&self, roster: &Arc<Roster>, input: &Arc<RankInput>) -> Result<RankDecision, PolicyError> {
        self.breaker.admit().map_err(|pause_ms| {
            PolicyError::Failed(format!("breaker open for {pause_ms} ms more after repeated failures"))
        })?;
        let deadline = self.pool.deadline();
        let answer = self.pool.with(|guest| guest.rank(deadline, roster, input));
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            // A crowd says nothing about the plugin.
            Err(PolicyError::Saturated) => {}
            Err(_) => self.breaker.failed(),
        }
        answer
    }
}
