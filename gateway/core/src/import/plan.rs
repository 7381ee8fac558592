//! What an import would do to each item, worked out before anything is written. Pure but for reading what is stored.
//!
//! Seats are recognised by workspace and user. Of several items of one seat the one that lasts is taken. Two accounts
//! never share a refresh token: it is single use, and one of them would be lost.

use std::collections::HashMap;

use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountState, Credentials, Timestamp,
};
use gateway_protocol::codex::auth::{TokenAge, TokenTimes};
use gateway_protocol::codex::import::{Fingerprint, Found, ImportItem, Place, TokenPrints, fingerprint};

use super::names::{Names, fitting};
use super::{ImportOptions, ImportOutcome, ImportRow, OlderTokens, SeatStatus};
use crate::ports::{AccountStore, NewAccount, StoreError};

/// Stored tokens looked at together; only their fingerprints are kept.
const READ_BATCH: usize = 1_000;

/// One stored account, as far as an import needs it.
struct Kept {
    account: Account,
    prints: TokenPrints,
    renewable: bool,
    times: TokenTimes,
}

/// What is stored, by everything it can be recognised by.
pub(super) struct Known {
    kept: Vec<Kept>,
    by_mark: HashMap<Mark, usize>,
    by_person: HashMap<(String, String), usize>,
}

/// What two entries of the same account have in common.
#[derive(PartialEq, Eq, Hash)]
enum Mark {
    /// The same workspace and user.
    Seat(String),
    /// The same token of a sign-in.
    Token(Fingerprint),
    /// The same key, or none, at the same address: `none` is many servers' key.
    Key { kind: AccountKind, address: Option<String>, key: Option<Fingerprint> },
}

impl Known {
    pub(super) async fn load(store: &dyn AccountStore) -> Result<Self, StoreError> {
        let mut accounts: HashMap<AccountId, Account> =
            store.list().await?.into_iter().map(|one| (one.account.id.clone(), one.account)).collect();
        let ids: Vec<AccountId> = accounts.keys().cloned().collect();
        let mut kept = Vec::with_capacity(ids.len());
        for batch in ids.chunks(READ_BATCH) {
            for (id, tokens) in store.credentials_of(batch.to_vec()).await? {
                if let Some(account) = accounts.remove(&id) {
                    kept.push(keep(account, tokens.ok().map(|(credentials, _)| credentials)));
                }
            }
        }
        // Whose tokens are gone still has a name and a seat.
        kept.extend(accounts.into_values().map(|account| keep(account, None)));
        Ok(Self::index(kept))
    }

    fn index(kept: Vec<Kept>) -> Self {
        let (mut by_mark, mut by_person) = (HashMap::new(), HashMap::new());
        for (place, one) in kept.iter().enumerate() {
            let Account { kind, identity, settings, .. } = &one.account;
            let mut marks = marks(*kind, identity, one.prints, settings.base_url.as_ref());
            if *kind == AccountKind::Codex {
                marks.extend(one.prints.access.map(Mark::Token));
            }
            by_mark.extend(marks.into_iter().map(|mark| (mark, place)));
            by_person.extend(person(identity).map(|person| (person, place)));
        }
        Self { kept, by_mark, by_person }
    }

    /// The same person is the same seat, although only one of the two sides knows the user's id.
    fn as_stored(&self, identity: AccountIdentity) -> AccountIdentity {
        let stored = person(&identity)
            .and_then(|person| self.by_person.get(&person))
            .and_then(|place| self.kept.get(*place))
            .map(|kept| &kept.account.identity);
        match stored {
            Some(stored) if stored.user_id.is_none() || identity.user_id.is_none() => {
                AccountIdentity { user_id: stored.user_id.clone(), email: stored.email.clone(), ..identity }
            }
            _ => identity,
        }
    }

    /// The stored account that an item is, and whether its tokens are the very same.
    fn find(&self, found: &Found, prints: TokenPrints) -> Option<(&Kept, bool)> {
        let place = marks_of(found, prints).iter().find_map(|mark| self.by_mark.get(mark))?;
        let kept = self.kept.get(*place)?;
        let same = match prints.refresh {
            Some(refresh) => kept.prints.refresh == Some(refresh),
            None => kept.prints.access == prints.access,
        };
        Some((kept, same))
    }
}

fn keep(account: Account, credentials: Option<Credentials>) -> Kept {
    let refresh = credentials.as_ref().and_then(|tokens| tokens.refresh_token.as_ref());
    let prints = TokenPrints {
        refresh: refresh.and_then(fingerprint),
        access: credentials.as_ref().and_then(|tokens| fingerprint(&tokens.access_token)),
    };
    let times = credentials.as_ref().map(|tokens| TokenTimes::of(tokens, Some(tokens.refreshed_at)));
    Kept { account, prints, renewable: refresh.is_some(), times: times.unwrap_or_default() }
}

fn person(identity: &AccountIdentity) -> Option<(String, String)> {
    Some((identity.workspace_id.clone()?, identity.email.as_ref()?.to_lowercase()))
}

/// What is to be written for an item.
pub(super) struct Write {
    pub(super) account: NewAccount,
    pub(super) credentials: Credentials,
    pub(super) state: AccountState,
}

/// An item's row, and what is to be written.
pub(super) struct Planned {
    pub(super) row: ImportRow,
    pub(super) write: Option<Box<Write>>,
}

/// Decides about each item; as many rows as items, in their order.
pub(super) fn plan(
    known: &Known,
    mut items: Vec<ImportItem>,
    options: &ImportOptions,
    now: Timestamp,
) -> Vec<Planned> {
    for found in items.iter_mut().filter_map(|item| item.found.as_mut().ok()) {
        found.sign_in.identity = known.as_stored(std::mem::take(&mut found.sign_in.identity));
    }
    // Hashed once: thousands of long tokens take their time.
    let prints: Vec<Option<TokenPrints>> =
        items.iter().map(|item| item.found.as_ref().ok().map(Found::token_prints)).collect();
    let winners = winners(&items, &prints);
    let places: Vec<String> = items.iter().map(|item| item.place.to_string()).collect();
    let mut names = Names::new(known.kept.iter().map(|kept| kept.account.name.clone()));
    items
        .into_iter()
        .zip(prints)
        .zip(winners)
        .enumerate()
        .map(|(number, ((item, prints), winner))| {
            let twin = winner.filter(|winner| *winner != number).and_then(|winner| places.get(winner));
            let stored =
                item.found.as_ref().ok().zip(prints).and_then(|(found, prints)| known.find(found, prints));
            decide(stored, &mut names, item, twin, options, now)
        })
        .collect()
}

fn decide(
    stored: Option<(&Kept, bool)>,
    names: &mut Names,
    item: ImportItem,
    twin: Option<&String>,
    options: &ImportOptions,
    now: Timestamp,
) -> Planned {
    let ImportItem { place, name, found } = item;
    let mut row = blank_row(place, name.as_deref());
    let found = match found {
        Ok(found) => found,
        Err(reason) => {
            row.outcome = ImportOutcome::Skipped { reason: reason.to_string() };
            return Planned { row, write: None };
        }
    };
    row.kind = Some(found.kind);
    row.plan.clone_from(&found.sign_in.plan);
    let identity = &found.sign_in.identity;
    row.seat = match (&stored, identity.seat()) {
        (Some(_), _) => SeatStatus::Known,
        (None, Some(_)) => SeatStatus::New,
        (None, None) => SeatStatus::Unnamed,
    };
    if let Some((kept, _)) = stored {
        row.name = Some(kept.account.name.clone());
        row.account = Some(kept.account.id.clone());
    }
    row.outcome = match (twin, stored) {
        (Some(place), _) => ImportOutcome::Duplicate { of: place.clone() },
        (None, None) => ImportOutcome::Added,
        (None, Some((kept, same))) => against(kept, same, &found, options.older),
    };
    if row.outcome == ImportOutcome::Added {
        row.name = Some(names.free(&wish(options, row.name.as_deref(), &found)));
    }
    let write = matches!(row.outcome, ImportOutcome::Added | ImportOutcome::Updated)
        .then(|| Box::new(write(found, row.name.clone().unwrap_or_default(), now)));
    Planned { row, write }
}

/// The row of an item about which nothing is known yet but its place and name.
fn blank_row(place: Place, name: Option<&str>) -> ImportRow {
    ImportRow {
        place,
        name: name.and_then(|name| fitting(name, 0)),
        kind: None,
        plan: None,
        seat: SeatStatus::Unnamed,
        outcome: ImportOutcome::Added,
        account: None,
    }
}

/// What happens to a stored account.
fn against(kept: &Kept, same: bool, found: &Found, older: OlderTokens) -> ImportOutcome {
    let name = &kept.account.name;
    let skipped = |reason: String| ImportOutcome::Skipped { reason };
    let known_seat =
        found.sign_in.identity.seat().is_some_and(|seat| kept.account.identity.seat() == Some(seat));
    let dead = matches!(kept.account.state, AccountState::SignInNeeded { .. });
    if same && !(known_seat && dead) {
        return ImportOutcome::Duplicate { of: format!("`{name}`") };
    }
    if !known_seat {
        return ImportOutcome::Duplicate { of: format!("`{name}`, which holds the same refresh token") };
    }
    if dead || older == OlderTokens::Take {
        return ImportOutcome::Updated;
    }
    let credentials = &found.sign_in.credentials;
    if kept.renewable && credentials.refresh_token.is_none() {
        return skipped(format!(
            "`{name}` has tokens that renew themselves, these do not; import with `replace` to take them nevertheless"
        ));
    }
    match times(found).beside(&kept.times) {
        TokenAge::Older => skipped(format!(
            "`{name}` has newer tokens, and older refresh tokens are spent; import with `replace` to take these nevertheless"
        )),
        // What is stored is known to be good; of these, only its issuer could say. A wrong guess would lose the account.
        TokenAge::Unclear if kept.renewable => skipped(format!(
            "nothing tells whether these tokens are newer than those of `{name}`, and older refresh tokens are spent; import with `replace` to take them, or sign in again"
        )),
        TokenAge::Newer | TokenAge::Unclear => ImportOutcome::Updated,
    }
}

/// What an item says about the age of its tokens.
fn times(found: &Found) -> TokenTimes {
    TokenTimes::of(&found.sign_in.credentials, found.sign_in.renewed_at)
}

fn wish(options: &ImportOptions, named: Option<&str>, found: &Found) -> String {
    let identity = &found.sign_in.identity;
    let fallback = || match found.kind {
        AccountKind::Codex => "account".to_owned(),
        kind => format!("{} key", kind.as_str()),
    };
    options
        .name
        .clone()
        .or_else(|| named.map(str::to_owned))
        .or_else(|| identity.email.clone())
        .unwrap_or_else(fallback)
}

fn write(found: Found, name: String, now: Timestamp) -> Write {
    let Found { kind, sign_in, settings, state } = found;
    let account = NewAccount {
        id: AccountId::generate(),
        kind,
        name,
        identity: sign_in.identity,
        plan: sign_in.plan,
        settings,
        created_at: now,
    };
    Write { account, credentials: sign_in.credentials, state }
}

/// For each usable item the one of its seat, or with its token, that is taken: renewable before not, then the newest,
/// then the first.
fn winners(items: &[ImportItem], prints: &[Option<TokenPrints>]) -> Vec<Option<usize>> {
    let mut groups: HashMap<Mark, usize> = HashMap::new();
    let mut best: Vec<usize> = Vec::new();
    let mut group_of: Vec<Option<usize>> = Vec::with_capacity(items.len());
    for (number, (item, prints)) in items.iter().zip(prints).enumerate() {
        let (Ok(found), Some(prints)) = (&item.found, prints) else {
            group_of.push(None);
            continue;
        };
        let marks = marks_of(found, *prints);
        let group = marks.iter().find_map(|mark| groups.get(mark).copied()).unwrap_or_else(|| {
            best.push(number);
            best.len() - 1
        });
        for mark in marks {
            groups.entry(mark).or_insert(group);
        }
        group_of.push(Some(group));
        if let Some(best) = best.get_mut(group)
            && is_better(items, number, *best)
        {
            *best = number;
        }
    }
    group_of.into_iter().map(|group| best.get(group?).copied()).collect()
}

/// The marks of an item, the surest first.
fn marks_of(found: &Found, prints: TokenPrints) -> Vec<Mark> {
    marks(found.kind, &found.sign_in.identity, prints, found.settings.base_url.as_ref())
}

fn marks(
    kind: AccountKind,
    identity: &AccountIdentity,
    prints: TokenPrints,
    address: Option<&String>,
) -> Vec<Mark> {
    let seat = identity.seat();
    if kind != AccountKind::Codex {
        let key = Mark::Key { kind, address: address.cloned(), key: prints.access };
        return seat.map(Mark::Seat).into_iter().chain([key]).collect();
    }
    // One access token may open several workspaces; only without a seat does it tell who somebody is.
    let access = prints.access.filter(|_| seat.is_none()).map(Mark::Token);
    [prints.refresh.map(Mark::Token), seat.map(Mark::Seat), access].into_iter().flatten().collect()
}

/// Whether one item's tokens are worth more than another's.
fn is_better(items: &[ImportItem], one: usize, other: usize) -> bool {
    let found = |number: usize| items.get(number).and_then(|item| item.found.as_ref().ok());
    let (Some(one), Some(other)) = (found(one), found(other)) else { return false };
    let renewable = |found: &Found| found.sign_in.credentials.refresh_token.is_some();
    match (renewable(one), renewable(other)) {
        (true, false) => true,
        (false, true) => false,
        (true, true) | (false, false) => times(one).beside(&times(other)) == TokenAge::Newer,
    }
}
