//! Generated inputs for admission, tests and benches: seeded, so every run and every language sees the same ones.
//!
//! Values sit on the edges on purpose: unknown, used up, beyond, equal scores, nobody free. Not for serving.

use std::sync::Arc;

use gateway_domain::{AccountId, IdError, ModelName, RequestId, SessionKey, Timestamp};

use crate::{
    AccountProfile, AccountRef, Candidate, Health, Preference, RankInput, RequestInfo, Roster, Surface,
};

/// An endless source of questions.
#[derive(Debug, Clone)]
pub struct Corpus {
    state: u64,
    info: RequestInfo,
    ids: Vec<AccountId>,
    asked: u64,
}

/// The most candidates one question has.
pub const MAX_CANDIDATES: usize = 512;

impl Corpus {
    /// The same seed gives the same questions.
    ///
    /// # Errors
    /// None in practice: the ids it makes up are valid.
    pub fn new(seed: u64) -> Result<Self, IdError> {
        let info = RequestInfo {
            request_id: RequestId::parse("req_corpus")?,
            client: "local".to_owned(),
            session: Some(SessionKey::parse("session")?),
            model: ModelName::parse("gpt-5")?,
            surface: Surface::Api,
            streaming: true,
            body_bytes: 2048,
            attempt: 0,
        };
        // Twice as many accounts as candidates, because some of them are left out.
        let ids: Result<Vec<AccountId>, IdError> =
            (0..2 * MAX_CANDIDATES).map(|n| AccountId::parse(&format!("acc_{n}"))).collect();
        Ok(Self { state: seed, info, ids: ids?, asked: 0 })
    }

    /// One question about this many candidates, with the roster their handles belong to.
    pub fn question(&mut self, candidates: usize) -> (Arc<Roster>, Arc<RankInput>) {
        self.asked += 1;
        let candidates = candidates.min(MAX_CANDIDATES);
        let mut roster = Roster { generation: self.asked, accounts: Vec::new() };
        let mut list = Vec::with_capacity(candidates);
        let mut tried = Vec::new();
        for (at, id) in (0_u32..).zip(self.ids.clone()) {
            if list.len() == candidates {
                break;
            }
            let profile = self.profile(AccountRef(at), id);
            // Some accounts cannot serve this model and are left out, so handles have gaps.
            if !self.one_in(9) {
                list.push(self.candidate(&profile));
                if self.one_in(16) {
                    tried.push(profile.account);
                }
            }
            roster.accounts.push(profile);
        }
        self.choose_home(&mut list);
        let input = RankInput {
            info: RequestInfo {
                attempt: u32::try_from(tried.len()).unwrap_or(u32::MAX),
                ..self.info.clone()
            },
            now: Timestamp::from_millis(1_750_000_000_000),
            seed: self.next(),
            seq: self.asked,
            generation: roster.generation,
            candidates: list,
            tried,
        };
        (Arc::new(roster), Arc::new(input))
    }

    fn profile(&mut self, account: AccountRef, id: AccountId) -> AccountProfile {
        AccountProfile {
            account,
            label: id.to_string(),
            id,
            provider: "codex".to_owned(),
            plan: self.pick("plus", &["pro", "team", ""]).to_owned(),
            weight: self.pick(1.0, &[1.0, 1.0, 0.5, 2.0, 1.3]),
            max_concurrency: self.pick(1, &[2, 4, 8]),
            groups: Vec::new(),
            tags: Vec::new(),
        }
    }

    fn candidate(&mut self, profile: &AccountProfile) -> Candidate {
        let health = self.pick(
            Health::Healthy,
            &[
                Health::Healthy,
                Health::Healthy,
                Health::Healthy,
                Health::Degraded,
                Health::Probing,
                Health::Cooling,
                Health::Blocked,
            ],
        );
        let never_picked = self.one_in(4);
        Candidate {
            account: profile.account,
            health,
            // Full houses included.
            in_flight: self.below(profile.max_concurrency + 1),
            max_concurrency: profile.max_concurrency,
            short_window_used: self.used(),
            long_window_used: self.used(),
            short_window_resets_in_ms: u64::from(self.below(18_000_000)),
            long_window_resets_in_ms: u64::from(self.below(604_800_000)),
            cooldown_ms: if health == Health::Cooling { u64::from(self.below(60_000)) } else { 0 },
            ttft_ewma_ms: if never_picked { f64::NAN } else { f64::from(self.below(4000)) },
            error_rate_ewma: self.pick(0.0, &[0.0, 0.0, 0.1, 0.25, 1.0]),
            session_affine: false,
            idle_ms: if never_picked { u64::MAX } else { u64::from(self.below(100_000)) },
            last_picked_seq: if never_picked { 0 } else { u64::from(self.below(6)) },
            weight: profile.weight,
            priority: self.pick(0.0, &[0.0, 0.0, 0.0, 1.0, -1.0]),
            preference: self.pick(
                Preference::Normal,
                &[Preference::Normal, Preference::Normal, Preference::BurnFirst, Preference::Preserve],
            ),
            health_score: self.pick(100.0, &[100.0, 100.0, 88.0, 60.0, 10.0]),
            capacity: self.pick(1.0, &[1.0, 6.7, f64::NAN]),
            cost: self.pick(f64::NAN, &[f64::NAN, 0.0, 1.0, 1.5]),
            move_price: 0.0,
            pinned: self.one_in(64),
        }
    }

    fn used(&mut self) -> f64 {
        match self.below(12) {
            0 => f64::NAN,
            1 => 1.0,
            2 => 1.25,
            // Few values, so that scores tie.
            3..=7 => f64::from(self.below(11)) / 10.0,
            _ => f64::from(self.below(1_000_000)) / 1_000_000.0,
        }
    }

    /// At most one account holds the conversation's prompt cache.
    fn choose_home(&mut self, list: &mut [Candidate]) {
        let len = u32::try_from(list.len()).unwrap_or(0);
        if len > 0 && !self.one_in(2) {
            let home = self.below(len) as usize;
            if let Some(candidate) = list.get_mut(home) {
                candidate.session_affine = true;
            }
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// Any of these with the same chance.
    fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let choices = u32::try_from(others.len()).unwrap_or(0) + 1;
        others.get(self.below(choices) as usize).copied().unwrap_or(first)
    }

    fn below(&mut self, n: u32) -> u32 {
        // The high bits: the low ones of a linear congruential generator repeat early.
        u32::try_from((self.next() >> 33) % u64::from(n.max(1))).unwrap_or(0)
    }

    /// Knuth's 64-bit linear congruential generator.
    fn next(&mut self) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.state
    }
}
