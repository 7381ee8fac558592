//! What one side of a replay adds up to: who was chosen, which conversations moved, what it would have cost.

use std::collections::{BTreeMap, HashMap};

use gateway_domain::{AccountId, SessionKey};

use super::{Answered, SideReport, first, name};
use crate::decisions::Ranking;
use crate::ranking::DELEGATED;

/// One side, while it is added up.
#[derive(Default)]
pub(super) struct Side {
    report: SideReport,
    homes: HashMap<SessionKey, Home>,
    accounts: BTreeMap<String, usize>,
    cost: f64,
    costs: usize,
}

/// Where a conversation is, and how often it moved there.
struct Home {
    account: AccountId,
    moves: usize,
}

impl Side {
    pub(super) fn note(&mut self, ranking: &Ranking, answered: &Answered<'_>) {
        self.report.fallbacks += usize::from(answered.fallback.is_some());
        self.report.failures += usize::from(answered.fallback.is_some_and(|why| why != DELEGATED));
        let Some(account) = first(answered.decision) else { return };
        self.report.sent += 1;
        *self.accounts.entry(name(ranking, account)).or_default() += 1;
        if let Some(candidate) = ranking.input.candidates.iter().find(|one| one.account == account) {
            self.report.caches_lost += candidate.move_price;
            if candidate.cost.is_finite() {
                self.cost += candidate.cost;
                self.costs += 1;
            }
        }
        // A second try leaves the account of the first: that is no move of the policy's.
        let profile = ranking.roster.accounts.iter().find(|profile| profile.account == account);
        if let (0, Some(session), Some(profile)) =
            (ranking.input.info.attempt, &ranking.input.info.session, profile)
        {
            self.went(session, &profile.id);
        }
    }

    fn went(&mut self, session: &SessionKey, account: &AccountId) {
        match self.homes.get_mut(session) {
            Some(home) if home.account != *account => {
                home.account = account.clone();
                home.moves += 1;
            }
            Some(_) => {}
            None => {
                self.homes.insert(session.clone(), Home { account: account.clone(), moves: 0 });
            }
        }
    }

    /// Conversations seen so far.
    pub(super) fn sessions(&self) -> usize {
        self.homes.len()
    }

    pub(super) fn finish(mut self) -> SideReport {
        self.report.moves = self.homes.values().map(|home| home.moves).sum();
        self.report.moved_sessions = self.homes.values().filter(|home| home.moves > 0).count();
        self.report.mean_cost = (self.costs > 0).then(|| self.cost / self.costs as f64);
        self.report.accounts = self.accounts.into_iter().collect();
        self.report.accounts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.report
    }
}
