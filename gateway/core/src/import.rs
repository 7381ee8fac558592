//! Bringing many accounts in at once, with a preview of what would happen, and taking them out again.
//!
//! Nothing here contacts an upstream: a seat is recognised by what its tokens say, a token without a name by its
//! fingerprint. Refuses: files and formats; the readers are in `gateway_protocol::codex::import`.

mod export;
mod names;
mod plan;

pub use export::{Chosen, ExportError, export, export_auth_json};
pub use gateway_protocol::codex::import::{
    At, Format, ImportItem, MAX_ENTRIES, MAX_IMPORT_BYTES, Place, ReadError, read,
};

use gateway_domain::{AccountId, AccountKind, AccountState, Credentials, Secret};

use crate::Gateway;
use crate::accounts::{AccountError, check_name};
use crate::ports::{AccountStore, Clock, Imported, NewAccount, StoreError};
use plan::{Planned, plan};

/// Accounts written in one transaction: other writers get their turn between two.
const WRITE_BATCH: usize = 2_000;

/// What to do with tokens that are older than those stored for the same seat. Refresh tokens are single use: an old set
/// is a spent one, and taking it would lose the account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OlderTokens {
    /// Keep what is stored.
    #[default]
    Skip,
    /// Replace what is stored.
    Take,
}

/// What an operator says about an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// What to call what is added, instead of the names in the text; numbered from the second on.
    pub name: Option<String>,
    /// What to do with older tokens.
    pub older: OlderTokens,
}

/// Whether the seat of an item is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStatus {
    /// An account of this seat, or with this very token, is stored.
    Known,
    /// Nobody has it yet.
    New,
    /// The item names no seat; only its token itself can be recognised.
    Unnamed,
}

/// What happened to an item, or would happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// A new account.
    Added,
    /// The seat was known; its tokens were replaced.
    Updated,
    /// It is there already, under this name or at this place of the same import; nothing to do.
    Duplicate {
        /// Where.
        of: String,
    },
    /// It was not taken, for this reason.
    Skipped {
        /// For people.
        reason: String,
    },
    /// It should have been taken and storage refused.
    Failed {
        /// For people.
        reason: String,
    },
}

impl ImportOutcome {
    /// Whether everything that stood there is in the pool now.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Added | Self::Updated | Self::Duplicate { .. })
    }
}

/// One line of a preview or a result.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportRow {
    /// Where the item stood.
    pub place: Place,
    /// What its account is called or would be called.
    pub name: Option<String>,
    /// What it opens.
    pub kind: Option<AccountKind>,
    /// Its plan, if its tokens say.
    pub plan: Option<String>,
    /// Whether its seat is known.
    pub seat: SeatStatus,
    /// What happened, or would.
    pub outcome: ImportOutcome,
    /// The account, when there is one.
    pub account: Option<AccountId>,
}

/// What an import would do. Writes nothing.
///
/// # Errors
/// The name is bad, or the store does not answer.
pub async fn preview(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    items: Vec<ImportItem>,
    options: &ImportOptions,
) -> Result<Vec<ImportRow>, AccountError> {
    let planned = planned(store, clock, items, options).await?;
    Ok(planned.into_iter().map(|planned| planned.row).collect())
}

/// Imports.
///
/// # Errors
/// The name is bad, or the store does not answer; nothing was written. What goes wrong with one item is in its row.
pub async fn import(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    items: Vec<ImportItem>,
    options: &ImportOptions,
) -> Result<Vec<ImportRow>, AccountError> {
    let planned = planned(store, clock, items, options).await?;
    let mut rows = Vec::with_capacity(planned.len());
    let mut batch = Batch::default();
    for (place, planned) in planned.into_iter().enumerate() {
        if let Some(write) = planned.write {
            batch.push(place, write.account, write.credentials, write.state);
        }
        rows.push(planned.row);
        if batch.wanted.len() == WRITE_BATCH {
            std::mem::take(&mut batch).write(store, &mut rows).await;
        }
    }
    batch.write(store, &mut rows).await;
    Ok(rows)
}

async fn planned(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    items: Vec<ImportItem>,
    options: &ImportOptions,
) -> Result<Vec<Planned>, AccountError> {
    if let Some(name) = &options.name {
        check_name(name)?;
    }
    let known = plan::Known::load(store).await?;
    Ok(plan(&known, items, options, clock.now()))
}

/// What is written together.
#[derive(Default)]
struct Batch {
    wanted: Vec<(NewAccount, Credentials)>,
    /// For each of them: its row, and the state it is to have.
    rows: Vec<(usize, AccountState)>,
}

impl Batch {
    fn push(&mut self, row: usize, account: NewAccount, credentials: Credentials, state: AccountState) {
        self.wanted.push((account, credentials));
        self.rows.push((row, state));
    }

    async fn write(self, store: &dyn AccountStore, rows: &mut [ImportRow]) {
        if self.wanted.is_empty() {
            return;
        }
        let written = store.import_many(self.wanted).await;
        let results = match written {
            Ok(results) => results,
            Err(error) => self.rows.iter().map(|_| Err(error.clone())).collect(),
        };
        for ((row, state), result) in self.rows.into_iter().zip(results) {
            let result = settle_state(store, result, state).await;
            if let Some(row) = rows.get_mut(row) {
                tell(row, result);
            }
        }
    }
}

/// An account that was set aside where it came from stays so; a known one keeps the state the import gave it.
async fn settle_state(
    store: &dyn AccountStore,
    result: Result<Imported, StoreError>,
    state: AccountState,
) -> Result<Imported, StoreError> {
    match result {
        Ok(Imported::Added(mut account)) if state == AccountState::Paused => {
            store.set_state(&account.id, AccountState::Paused).await?;
            account.state = AccountState::Paused;
            Ok(Imported::Added(account))
        }
        other => other,
    }
}

fn tell(row: &mut ImportRow, result: Result<Imported, StoreError>) {
    let (outcome, account) = match result {
        Ok(Imported::Added(account)) => (ImportOutcome::Added, account),
        Ok(Imported::Updated(account)) => (ImportOutcome::Updated, account),
        Err(error) => {
            row.outcome = ImportOutcome::Failed { reason: error.to_string() };
            return;
        }
    };
    row.outcome = outcome;
    row.name = Some(account.name);
    row.account = Some(account.id);
}

impl Gateway {
    /// What an import would do.
    ///
    /// # Errors
    /// The name is bad, or storage does not answer.
    pub async fn preview_import(
        &self,
        items: Vec<ImportItem>,
        options: &ImportOptions,
    ) -> Result<Vec<ImportRow>, AccountError> {
        preview(&*self.accounts, &*self.clock, items, options).await
    }

    /// Imports, and lets what came in serve at once.
    ///
    /// # Errors
    /// The name is bad, or storage does not answer.
    pub async fn import_accounts(
        &self,
        items: Vec<ImportItem>,
        options: &ImportOptions,
    ) -> Result<Vec<ImportRow>, AccountError> {
        let rows = import(&*self.accounts, &*self.clock, items, options).await?;
        self.sync_accounts().await?;
        Ok(rows)
    }

    /// Accounts with their tokens, as our export.
    ///
    /// # Errors
    /// One of them does not exist or cannot be opened, or storage does not answer.
    pub async fn export_accounts(&self, chosen: Chosen) -> Result<Secret, ExportError> {
        export(&*self.accounts, &*self.clock, chosen).await
    }

    /// One account as the `auth.json` of the Codex CLI.
    ///
    /// # Errors
    /// It does not exist, is not for Codex, or storage does not answer.
    pub async fn export_auth_json(&self, id: &AccountId) -> Result<Secret, ExportError> {
        export_auth_json(&*self.accounts, id).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
