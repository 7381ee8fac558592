//! Looking at an account's upstream without spending anything, and what is remembered of it: the models it lists, the
//! dialects it speaks. Shared by the operator's connection test and the background.
//!
//! Refuses: judging the account; a test does.

use std::collections::BTreeSet;

use gateway_domain::{AccountId, AccountKind, AccountSettings, FailureKind};

use crate::Gateway;
use crate::operations::OperationError;
use crate::ports::{Inspection, StoreError};

impl Gateway {
    /// Looks at an account's upstream. Dialects that were not known are remembered, and the models it lists.
    ///
    /// # Errors
    /// There is no way, no token, or the upstream refused.
    pub(crate) async fn look_at_account(&self, id: &AccountId) -> Result<Inspection, OperationError> {
        let gone = || OperationError::from(StoreError::NotFound { what: "the account" });
        let account = self.accounts().get(id).cloned().ok_or_else(gone)?;
        let to = self.destination(id).ok_or(OperationError::NoWay)?;
        let token = self.keeper.token(id, self.now()).await;
        let token = token.map_err(|error| OperationError::NoToken(error.to_string()))?;
        let inspected = match self.upstream.inspect(to.clone(), token.token).await {
            // A token that was refused early is renewed, as a request would do.
            Err(failure) if failure.kind == FailureKind::AccountUnauthorized && token.renewable => {
                let renewed = self.keeper.renew(id, token.version).await;
                let renewed = renewed.map_err(|error| OperationError::NoToken(error.to_string()))?;
                self.upstream.inspect(to, renewed.token).await
            }
            inspected => inspected,
        };
        let inspected = inspected.map_err(OperationError::Upstream)?;
        if account.kind != AccountKind::Codex {
            self.remember_models(id, &inspected.models);
        }
        if account.settings.dialects.is_empty()
            && account.kind == AccountKind::OpenAiCompatible
            && !inspected.dialects.is_empty()
        {
            let settings = AccountSettings { dialects: inspected.dialects.clone(), ..account.settings };
            self.accounts.put_settings(id, settings).await?;
            self.sync_accounts().await?;
        }
        Ok(inspected)
    }

    /// A server that lists nothing may still serve everything: no list is kept of it.
    fn remember_models(&self, id: &AccountId, models: &[String]) {
        let models: BTreeSet<String> = models.iter().cloned().collect();
        let mut listed = self.listed_models.lock();
        if listed.get(id).map_or(models.is_empty(), |known| *known == models) {
            return;
        }
        if models.is_empty() {
            listed.remove(id);
        } else {
            listed.insert(id.clone(), models);
        }
        drop(listed);
        self.model_lists.listing_changed();
    }
}
