//! The doors of the set on the gateway: putting in, taking out, deciding, going back. Each ends in new chains, which the
//! next request reads.

use std::sync::Arc;

use gateway_domain::Secret;

use super::{
    Chains, EXTENSIONS_SETTING, ExtensionKeeper, ExtensionRelease, Extensions, Installed, Placement,
};
use crate::Gateway;
use crate::ports::StoreError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum ExtensionError {
    /// There is no such extension.
    #[error("there is no extension `{0}`; `switchyard ext list` names them")]
    Unknown(String),
    /// It was not admitted like that.
    #[error("{0}")]
    Refused(String),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of ours was lost.
    #[error("the work was lost; try again")]
    Lost,
}

impl Gateway {
    /// The extensions that are installed.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Says where extensions come from; once, before the first request.
    pub fn keep_extensions_with(&self, keepers: Vec<Arc<dyn ExtensionKeeper>>) {
        // A second time would be a mistake of the composition root; the first one counts.
        drop(self.extensions.keepers.set(keepers));
    }

    /// Takes in an extension, or another version of a known one; requests that run keep the one they began with.
    pub fn put_extension(&self, extension: Installed) {
        let id = extension.version.id();
        self.extensions.state.lock().installed.insert(id, Arc::new(extension));
        self.renew_chains();
    }

    /// Takes an extension out. What was decided about it is kept for when it is back.
    pub fn remove_extension(&self, id: &str) {
        self.extensions.state.lock().installed.remove(id);
        self.renew_chains();
    }

    /// Reads what was decided from the settings; on start, before extensions are loaded.
    ///
    /// # Errors
    /// The settings cannot be read.
    pub async fn sync_extensions(&self) -> Result<(), StoreError> {
        let Some(kept) = self.settings.setting(EXTENSIONS_SETTING).await? else { return Ok(()) };
        match serde_json::from_str(kept.expose()) {
            Ok(placements) => self.extensions.state.lock().placements = placements,
            // Written by a newer version, or by hand: serving on is worth more than stopping.
            Err(error) => tracing::error!(%error, "what was decided about extensions cannot be read"),
        }
        self.renew_chains();
        Ok(())
    }

    /// Takes over what the operator decides about one extension, now and after a restart.
    ///
    /// # Errors
    /// There is none of this id, it is not admitted like that, or it cannot be kept.
    pub async fn place_extension(
        self: &Arc<Self>,
        id: &str,
        placement: Placement,
    ) -> Result<(), ExtensionError> {
        if self.extensions.find(id).is_none() && self.extensions.versions(id).is_empty() {
            return Err(ExtensionError::Unknown(id.to_owned()));
        }
        if !placement.loads_like(&self.extensions.placement(id)) {
            let (gateway, name, decided) = (self.clone(), id.to_owned(), placement.clone());
            let deciding = tokio::task::spawn_blocking(move || {
                gateway.extensions.keepers().iter().try_for_each(|keeper| keeper.decide(&name, &decided))
            });
            deciding.await.map_err(|_| ExtensionError::Lost)?.map_err(ExtensionError::Refused)?;
        }
        let kept = {
            let mut state = self.extensions.state.lock();
            state.placements.insert(id.to_owned(), placement);
            // Names, numbers and texts always become JSON.
            serde_json::to_string(&state.placements).unwrap_or_default()
        };
        self.settings.put_setting(EXTENSIONS_SETTING, Secret::new(kept)).await?;
        self.renew_chains();
        Ok(())
    }

    /// Lets the version before serve again.
    ///
    /// # Errors
    /// There is none.
    pub async fn roll_back_extension(self: &Arc<Self>, id: &str) -> Result<ExtensionRelease, ExtensionError> {
        let (gateway, name) = (self.clone(), id.to_owned());
        let going_back = tokio::task::spawn_blocking(move || {
            let mut why = ExtensionError::Unknown(name.clone());
            for keeper in gateway.extensions.keepers() {
                if keeper.versions(&name).is_empty() {
                    continue;
                }
                match keeper.roll_back(&name) {
                    Ok(release) => return Ok(release),
                    Err(message) => why = ExtensionError::Refused(message),
                }
            }
            Err(why)
        });
        going_back.await.map_err(|_| ExtensionError::Lost)?
    }

    fn renew_chains(&self) {
        // Under the lock, so that of two changes the later one stays.
        let state = self.extensions.state.lock();
        let chains = Chains::of(&state.installed, &state.placements).map(Arc::new);
        self.update_live(|live| live.chains.clone_from(&chains));
    }
}
