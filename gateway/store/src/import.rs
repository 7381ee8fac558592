//! What an import changes, worked out before anything is written: which seats are known, which names are free.
//!
//! Refuses: SQL. Whoever calls holds a lock under which what is there stays as it was read.

use std::collections::{BTreeSet, HashMap, HashSet};

use gateway_core::ports::storage::{Imported, NewAccount, StoreError};
use gateway_domain::{Account, AccountState, Credentials, Timestamp};

use crate::keyring::KeyRing;
use crate::naming::{Names, storable_account};
use crate::rows::AccountRow;
use crate::seal::{Sealed, seal_account_settings, seal_tokens};

/// Accounts to import, with their text as both databases take it.
pub(crate) struct Batch(Vec<(NewAccount, Credentials)>);

impl Batch {
    pub(crate) fn new(accounts: Vec<(NewAccount, Credentials)>) -> Self {
        Self(accounts.into_iter().map(|(new, tokens)| (storable_account(new), tokens)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The ids they wish for.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|(new, _)| new.id.as_str()).collect()
    }

    /// The names they wish for, each once.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(new, _)| new.name.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Their seats.
    pub(crate) fn seats(&self) -> Vec<String> {
        self.0.iter().filter_map(|(new, _)| new.identity.seat()).collect()
    }
}

/// What is there of what a batch may meet.
pub(crate) struct Present {
    /// Those of its ids that are in use.
    pub(crate) ids: Vec<String>,
    /// The names in use that begin with one it wishes for.
    pub(crate) names: Vec<String>,
    /// The accounts with one of its seats.
    pub(crate) seats: Vec<AccountRow>,
}

/// What is to be written, and what to tell.
#[derive(Default)]
pub(crate) struct Plan {
    /// New accounts, with their settings.
    pub(crate) added: Vec<Added>,
    /// Known accounts with what their new tokens say.
    pub(crate) updated: Vec<Updated>,
    /// The tokens of each of them, once.
    pub(crate) tokens: Vec<NewTokens>,
    /// One for each account of the batch.
    pub(crate) results: Vec<Result<Imported, StoreError>>,
}

/// An account to add.
pub(crate) struct Added {
    pub(crate) account: Account,
    pub(crate) seat: Option<String>,
    pub(crate) settings: Sealed,
}

/// An account to update.
pub(crate) struct Updated {
    pub(crate) account: Account,
    /// Only where those that are stored do not open any more.
    pub(crate) settings: Option<Sealed>,
}

/// Tokens to store.
pub(crate) struct NewTokens {
    pub(crate) account: String,
    pub(crate) sealed: Sealed,
    pub(crate) expires_at: Option<i64>,
    pub(crate) refreshed_at: i64,
    /// By how much the version grows: a seat that is in the batch twice signed in twice.
    pub(crate) sign_ins: i64,
}

impl NewTokens {
    fn new(keys: &KeyRing, account: &Account, tokens: &Credentials) -> Result<Self, StoreError> {
        Ok(Self {
            account: account.id.as_str().to_owned(),
            sealed: seal_tokens(keys, &account.id, tokens)?,
            expires_at: tokens.expires_at.map(Timestamp::as_millis),
            refreshed_at: tokens.refreshed_at.as_millis(),
            sign_ins: 1,
        })
    }
}

/// An account that the batch touches, as it will be.
struct Touched {
    account: Account,
    write: Write,
    tokens: Option<NewTokens>,
}

enum Write {
    Add { seat: Option<String>, settings: Sealed },
    Update { settings: SettingsState, sealed: Option<Sealed> },
}

#[derive(Clone, Copy, PartialEq)]
enum SettingsState {
    Readable,
    Lost,
}

/// Works an import out. A known seat (also one that only this batch made known) is updated in place, everything else
/// is added; what cannot be done with one account does not touch the others.
pub(crate) fn plan(keys: &KeyRing, batch: Batch, present: Present) -> Plan {
    let mut planner = Planner {
        keys,
        ids: present.ids.into_iter().collect(),
        names: Names::new(present.names),
        seats: HashMap::new(),
        touched: Vec::new(),
    };
    for row in present.seats {
        planner.know(row);
    }
    let results = batch.0.into_iter().map(|(new, tokens)| planner.import(new, &tokens)).collect();
    let mut plan = Plan { results, ..Plan::default() };
    // In the order of ids: whoever locks several accounts locks them so.
    planner.touched.sort_by(|a, b| a.account.id.cmp(&b.account.id));
    for Touched { account, write, tokens } in planner.touched {
        let Some(tokens) = tokens else { continue };
        plan.tokens.push(tokens);
        match write {
            Write::Add { seat, settings } => plan.added.push(Added { account, seat, settings }),
            Write::Update { sealed, .. } => plan.updated.push(Updated { account, settings: sealed }),
        }
    }
    plan
}

struct Planner<'a> {
    keys: &'a KeyRing,
    ids: HashSet<String>,
    names: Names,
    /// Which of `touched` has a seat, or why it cannot be used.
    seats: HashMap<String, Result<usize, StoreError>>,
    touched: Vec<Touched>,
}

impl Planner<'_> {
    /// Takes note of an account that is there.
    fn know(&mut self, mut row: AccountRow) {
        let Some(seat) = row.seat.take() else { return };
        let known = self.known(row);
        self.seats.insert(seat, known);
    }

    fn known(&mut self, row: AccountRow) -> Result<usize, StoreError> {
        let settings = match row.settings(self.keys, &row.id()?) {
            Ok(_) => SettingsState::Readable,
            Err(_) => SettingsState::Lost,
        };
        let account = row.stored(self.keys)?.account;
        let write = Write::Update { settings, sealed: None };
        Ok(self.touch(Touched { account, write, tokens: None }))
    }

    fn touch(&mut self, touched: Touched) -> usize {
        self.touched.push(touched);
        self.touched.len().saturating_sub(1)
    }

    fn import(&mut self, new: NewAccount, tokens: &Credentials) -> Result<Imported, StoreError> {
        match new.identity.seat().and_then(|seat| self.seats.get(&seat).cloned()) {
            Some(known) => self.update(known?, new, tokens),
            None => self.add(new, tokens),
        }
    }

    fn update(&mut self, at: usize, new: NewAccount, tokens: &Credentials) -> Result<Imported, StoreError> {
        let touched = self.touched.get_mut(at).ok_or(StoreError::NotFound { what: "the account" })?;
        let account = &mut touched.account;
        let mut tokens = NewTokens::new(self.keys, account, tokens)?;
        if let Write::Update { settings: settings @ SettingsState::Lost, sealed } = &mut touched.write {
            *sealed = Some(seal_account_settings(self.keys, &account.id, &new.settings, None)?);
            *settings = SettingsState::Readable;
            account.settings = new.settings;
        }
        // What the new token does not say is kept.
        let known = &mut account.identity;
        known.user_id = new.identity.user_id.or(known.user_id.take());
        known.email = new.identity.email.or(known.email.take());
        account.plan = new.plan.or(account.plan.take());
        account.state = AccountState::Active;
        if let Some(earlier) = &touched.tokens {
            tokens.sign_ins = earlier.sign_ins.saturating_add(1);
        }
        touched.tokens = Some(tokens);
        Ok(Imported::Updated(account.clone()))
    }

    fn add(&mut self, new: NewAccount, tokens: &Credentials) -> Result<Imported, StoreError> {
        if self.ids.contains(new.id.as_str()) {
            return Err(StoreError::Conflict { what: "the account" });
        }
        let settings = seal_account_settings(self.keys, &new.id, &new.settings, None)?;
        let seat = new.identity.seat();
        let mut account = new.into_account();
        let tokens = NewTokens::new(self.keys, &account, tokens)?;
        account.name = self.names.take(&account.name);
        self.ids.insert(account.id.as_str().to_owned());
        let write = Write::Add { seat: seat.clone(), settings };
        let at = self.touch(Touched { account: account.clone(), write, tokens: Some(tokens) });
        if let Some(seat) = seat {
            self.seats.insert(seat, Ok(at));
        }
        Ok(Imported::Added(account))
    }
}
