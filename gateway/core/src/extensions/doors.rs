//! The doors of the set on the gateway: putting in, taking out, deciding, going back. Each ends in new chains, which the
//! next request reads.

use std::sync::Arc;

use gateway_domain::Secret;

use super::{
    Chains, EXTENSIONS_SETTING, ExtensionKeeper, ExtensionRelease, Extensions, Installed, Placement, Trial,
    Upload,
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
    /// As [`Self::change_extension`].
    pub async fn place_extension(
        self: &Arc<Self>,
        id: &str,
        placement: Placement,
    ) -> Result<(), ExtensionError> {
        self.change_extension(id, |decided| *decided = placement).await
    }

    /// The same for one that changes what was decided before.
    ///
    /// # Errors
    /// There is none of this id, it is not admitted like that, or it cannot be kept.
    pub async fn change_extension(
        self: &Arc<Self>,
        id: &str,
        change: impl FnOnce(&mut Placement),
    ) -> Result<(), ExtensionError> {
        let _alone = self.extensions.deciding.lock().await;
        if !self.knows_extension(id).await? {
            return Err(ExtensionError::Unknown(id.to_owned()));
        }
        let before = self.extensions.placement(id);
        let mut placement = before.clone();
        change(&mut placement);
        if !placement.loads_like(&before) {
            let decided = placement.clone();
            self.ask_keeper(id, move |keeper, name| keeper.decide(name, &decided))
                .await?
                .map_err(ExtensionError::Refused)?;
        }
        self.keep_placement(id, Some(placement)).await
    }

    /// Lets the version before serve again.
    ///
    /// # Errors
    /// There is none.
    pub async fn roll_back_extension(self: &Arc<Self>, id: &str) -> Result<ExtensionRelease, ExtensionError> {
        let _alone = self.extensions.deciding.lock().await;
        if !self.knows_extension(id).await? {
            return Err(ExtensionError::Unknown(id.to_owned()));
        }
        self.ask_keeper(id, |keeper, name| keeper.roll_back(name)).await?.map_err(ExtensionError::Refused)
    }

    /// Everything that is done before an extension serves, and no more: nothing is written, nothing changes.
    ///
    /// # Errors
    /// Extensions of its language are not loaded here.
    pub async fn check_extension(
        self: &Arc<Self>,
        upload: Upload,
        raised: bool,
    ) -> Result<Trial, ExtensionError> {
        let (id, mut placement) = (upload.id(), self.extensions.placement(&upload.id()));
        placement.raised = raised;
        self.ask_keeper(&id, move |keeper, _| keeper.check(&upload, &placement)).await
    }

    /// Takes an extension in. That the operator answers for one version says nothing about the next: it is raised only
    /// when that is said again, or when it is the same one.
    ///
    /// # Errors
    /// It is not admitted, or it cannot be kept; nothing has changed.
    pub async fn upload_extension(
        self: &Arc<Self>,
        upload: Upload,
        raised: bool,
        enabled: Option<bool>,
    ) -> Result<ExtensionRelease, ExtensionError> {
        let _alone = self.extensions.deciding.lock().await;
        let (id, digest) = (upload.id(), upload.digest());
        let before = self.extensions.placements().remove(&id);
        let versions = self.ask_keeper(&id, |keeper, name| keeper.versions(name)).await?;
        let same = versions.iter().any(|version| version.serving && version.digest == digest);
        let mut placement = before.clone().unwrap_or_default();
        placement.raised = raised || (placement.raised && same);
        placement.enabled = enabled.or(placement.enabled);
        // First, so that what is to be off never serves for a moment.
        self.keep_placement(&id, Some(placement.clone())).await?;
        let taken = self.ask_keeper(&id, move |keeper, _| keeper.install(&upload, &placement)).await?;
        if taken.is_err() {
            self.keep_placement(&id, before).await?;
        }
        taken.map_err(ExtensionError::Refused)
    }

    /// Removes an extension of the operator's with everything that was decided about it, secrets among it.
    ///
    /// # Errors
    /// There is none of this id, or it came with the gateway.
    pub async fn delete_extension(self: &Arc<Self>, id: &str) -> Result<(), ExtensionError> {
        let _alone = self.extensions.deciding.lock().await;
        if !self.knows_extension(id).await? {
            return Err(ExtensionError::Unknown(id.to_owned()));
        }
        let before = self.extensions.placements().remove(id);
        // First: a shipped one of its name that is back must not serve by what was decided about this one.
        self.keep_placement(id, None).await?;
        let removed = self.ask_keeper(id, |keeper, name| keeper.remove(name)).await?;
        if removed.is_err() {
            self.keep_placement(id, before).await?;
        }
        removed.map_err(ExtensionError::Refused)
    }

    /// Whether there is such an extension, be it one that was not admitted.
    async fn knows_extension(self: &Arc<Self>, id: &str) -> Result<bool, ExtensionError> {
        if self.extensions.find(id).is_some() {
            return Ok(true);
        }
        let wanted = id.to_owned();
        let known = self.ask_keeper(id, move |keeper, name| {
            keeper.report(name).is_some() || keeper.rejected().iter().any(|one| one.id == wanted)
        });
        match known.await {
            Err(ExtensionError::Unknown(_)) => Ok(false),
            known => known,
        }
    }

    /// Asks the keeper of an id, on a thread that may block.
    async fn ask_keeper<T: Send + 'static>(
        self: &Arc<Self>,
        id: &str,
        ask: impl FnOnce(&dyn ExtensionKeeper, &str) -> T + Send + 'static,
    ) -> Result<T, ExtensionError> {
        let unknown = || ExtensionError::Unknown(id.to_owned());
        let (keeper, name) = self.extensions.keeper(id).ok_or_else(unknown)?;
        let name = name.to_owned();
        let asking = tokio::task::spawn_blocking(move || ask(&*keeper, &name));
        asking.await.map_err(|_| ExtensionError::Lost)
    }

    /// Keeps what was decided, or forgets it, and lets it count.
    async fn keep_placement(&self, id: &str, placement: Option<Placement>) -> Result<(), ExtensionError> {
        let kept = {
            let mut placements = self.extensions.placements();
            match placement.clone() {
                Some(placement) => placements.insert(id.to_owned(), placement),
                None => placements.remove(id),
            };
            // Names, numbers and texts always become JSON.
            serde_json::to_string(&placements).unwrap_or_default()
        };
        // Durable first: who decides holds the door, so nothing else changes meanwhile.
        self.settings.put_setting(EXTENSIONS_SETTING, Secret::new(kept)).await?;
        {
            let mut state = self.extensions.state.lock();
            match placement {
                Some(placement) => state.placements.insert(id.to_owned(), placement),
                None => state.placements.remove(id),
            };
        }
        self.renew_chains();
        Ok(())
    }

    fn renew_chains(&self) {
        // Under the lock, so that of two changes the later one stays.
        let state = self.extensions.state.lock();
        let chains = Chains::of(&state.installed, &state.placements).map(Arc::new);
        self.update_live(|live| live.chains.clone_from(&chains));
    }
}
