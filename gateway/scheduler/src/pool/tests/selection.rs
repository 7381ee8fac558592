//! Any sequence of requests, endings, changes and clock jumps: whoever is chosen may be chosen.

use std::collections::HashMap;

use super::*;
use crate::slot::View;
use crate::{Action, BuiltIn, HardTie, Preference, RankingPolicy, Tie, TieKey, Way, Whose, validate};
use gateway_domain::{TokenUsage, Window};

#[derive(Debug, Clone)]
enum Step {
    /// `response` counts back from the one that was made last.
    Ask {
        session: u8,
        response: Option<u32>,
        /// What only its maker can read, counted back in the same way: sealed reasoning, or a compacted history.
        sealed: Option<(u32, bool)>,
        tried: Option<u8>,
    },
    Serve,
    Fail(FailureKind),
    Leave,
    Clock(i32),
    Put {
        account: u8,
        paused: bool,
        most: u8,
        preference: u8,
    },
    Remove(u8),
    Way {
        account: u8,
        closed: bool,
    },
    Quota {
        account: u8,
        used: f64,
    },
    Clear(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0_u8..6;
    prop_oneof![
        8 => (
            0_u8..4,
            prop::option::of(0_u32..6),
            prop::option::of((0_u32..6, any::<bool>())),
            prop::option::of(0_u8..6),
        ).prop_map(|(session, response, sealed, tried)| Step::Ask { session, response, sealed, tried }),
        4 => Just(Step::Serve),
        3 => prop::sample::select(vec![
            FailureKind::RateLimited, FailureKind::QuotaExhausted, FailureKind::UpstreamFault,
            FailureKind::UpstreamTimeout, FailureKind::Overloaded, FailureKind::ModelNotSupported,
            FailureKind::AccountUnauthorized, FailureKind::Unreachable, FailureKind::ClientGone,
        ]).prop_map(Step::Fail),
        1 => Just(Step::Leave),
        2 => (-200_000_i32..200_000).prop_map(Step::Clock),
        2 => (0_i32..30_000_000).prop_map(Step::Clock),
        2 => (account.clone(), any::<bool>(), 0_u8..4, 0_u8..3)
            .prop_map(|(account, paused, most, preference)| Step::Put { account, paused, most, preference }),
        1 => account.clone().prop_map(Step::Remove),
        1 => (account.clone(), any::<bool>()).prop_map(|(account, closed)| Step::Way { account, closed }),
        1 => (account.clone(), any::<f64>()).prop_map(|(account, used)| Step::Quota { account, used }),
        1 => account.prop_map(Step::Clear),
    ]
}

fn id(account: u8) -> AccountId {
    AccountId::parse(&format!("a{account}")).unwrap()
}

fn response(value: u32) -> TieKey {
    TieKey::new(Tie::Hard(HardTie::Response), "local", &format!("resp_{value}")).unwrap()
}

/// Every answer holds reasoning, and a compacted history.
fn sealed(value: u32, is_compacted: bool) -> TieKey {
    let tie = if is_compacted { HardTie::Compaction } else { HardTie::Reasoning };
    TieKey::new(Tie::Hard(tie), "local", &format!("gAAAA{value}")).unwrap()
}

struct World {
    pool: Pool,
    /// What runs, and which response it goes on with.
    open: Vec<(Lease, Option<u32>)>,
    clock: i64,
    /// Who made which response, and when: worked out beside the pool, which must come to the same. Every answer is a new
    /// response.
    made: HashMap<u32, (AccountRef, i64)>,
    responses: u32,
    /// Who sealed what; none when it was removed since.
    sealers: Vec<Option<AccountRef>>,
}

impl World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock)
    }

    fn makes(&mut self, account: AccountRef, response: u32) {
        self.made.insert(response, (account, self.clock));
    }

    /// Who alone may go on with a response.
    fn maker(&self, response: u32) -> Option<AccountRef> {
        let kept = i64::try_from(Tie::Hard(HardTie::Response).kept_for().as_millis()).unwrap();
        let (account, at) = self.made.get(&response)?;
        (0..kept).contains(&(self.clock - at)).then_some(*account)
    }

    fn find(&self, account: u8) -> AccountRef {
        self.pool.find(&id(account)).unwrap_or(AccountRef(999))
    }

    /// Who sealed it, as far as the pool must still know: nobody can wish for an account that could not serve now.
    fn sealer(&self, seal: TieKey, value: u32, tried: &[AccountRef]) -> Option<AccountRef> {
        let now = self.now();
        let account = (*self.sealers.get(usize::try_from(value).ok()?)?)?;
        let slot = self.pool.slot(account)?;
        let can = slot.is_active()
            && slot.cooldown_at(Some(&model()), now).is_none()
            && slot.in_flight < slot.room(now)
            && !slot.is_exhausted(now)
            && !tried.contains(&account);
        (can && self.pool.whose(seal, account, now) == Whose::Own).then_some(account)
    }

    /// Nobody but its maker ever passes for the maker of something sealed.
    fn nobody_reads_what_is_foreign(&self, value: u32, by: AccountRef) -> Result<(), TestCaseError> {
        let maker = usize::try_from(value).ok().and_then(|value| self.sealers.get(value).copied().flatten());
        for is_compacted in [false, true] {
            let whose = self.pool.whose(sealed(value, is_compacted), by, self.now());
            prop_assert!(whose != Whose::Own || maker == Some(by), "{by:?} is not {maker:?}");
        }
        Ok(())
    }

    /// Asks, ranks, checks and takes, and holds what was taken to the rules.
    fn ask(
        &mut self,
        session: u8,
        tie: Option<u32>,
        seal: Option<(u32, bool)>,
        tried: Option<u8>,
    ) -> Result<(), TestCaseError> {
        let now = self.now();
        let tried: Vec<AccountRef> = tried.map(|account| self.find(account)).into_iter().collect();
        let wished = seal.map(|(value, is_compacted)| sealed(value, is_compacted));
        let sealer = wished.zip(seal).and_then(|(key, (value, _))| self.sealer(key, value, &tried));
        let ask = Ask {
            ties: wished.into_iter().chain(tie.map(response)).collect(),
            tried: tried.clone(),
            ..Ask::new(info(Some(&format!("s{session}"))), 0)
        };
        let asked = self.pool.ask(ask, now);
        for one in &asked.input.candidates {
            prop_assert!((0.0..=1.0).contains(&one.error_rate_ewma));
            prop_assert!((0.0..=100.0).contains(&one.health_score));
            prop_assert!((0.0..=1.0).contains(&one.move_price));
            prop_assert!(one.short_window_used.is_nan() || one.short_window_used >= 0.0);
        }
        let input = asked.input.clone();
        self.sketches_tell_the_truth(&asked)?;
        let decision = BuiltIn::default().rank(self.pool.roster(), &input).unwrap();
        let decision = validate(&input, decision).unwrap();
        let Action::Ranked(order) = decision.action else { return Ok(()) };
        let taken = order.iter().find_map(|account| self.pool.take(*account, &asked.standing, now));
        let Some(lease) = taken else { return Ok(()) };
        let account = lease.account();
        let slot = self.pool.slot(account).unwrap();
        prop_assert!(!tried.contains(&account), "it was tried");
        prop_assert!(slot.is_active() && slot.cooldown_at(Some(&model()), now).is_none(), "it is blocked");
        prop_assert!(slot.in_flight <= slot.profile.max_concurrency, "it is over-full");
        if let Verdict::Must { owner, .. } = asked.verdict {
            prop_assert_eq!(owner, account, "it does not own the response");
        }
        if let Some(maker) = tie.and_then(|response| self.maker(response)) {
            prop_assert_eq!(maker, account, "somebody else made the response");
        }
        if let Some((value, is_compacted)) = seal {
            self.nobody_reads_what_is_foreign(value, account)?;
            let maker = sealer.filter(|_| is_compacted || tie.is_none());
            prop_assert!(maker.is_none_or(|maker| maker == account), "{maker:?} sealed it and could serve");
            let known = self.pool.whose(sealed(value, true), account, now);
            prop_assert!(!is_compacted || known != Whose::Foreign, "it cannot read the history");
        }
        let lost = matches!(asked.verdict, Verdict::Lost { .. });
        prop_assert!(!lost, "nobody could serve it");
        self.open.push((lease, tie));
        Ok(())
    }

    /// What was kept from an earlier question is what would be worked out now; a score that heals may lag by a step.
    fn sketches_tell_the_truth(&self, asked: &Asked) -> Result<(), TestCaseError> {
        let (home, price) = match asked.verdict {
            Verdict::Prefers { owner, price } => (Some(owner), price),
            _ => (None, 0.0),
        };
        let info = &asked.input.info;
        let view = View { now: asked.input.now, model: Some(&info.model), limiting: &[], home, price };
        for one in &asked.input.candidates {
            let anew = self.pool.slot(one.account).unwrap().candidate(&view, true);
            prop_assert!((one.health_score - anew.health_score).abs() < 0.5, "{one:?} is not {anew:?}");
            let same_score = Candidate { health_score: anew.health_score, ..*one };
            prop_assert_eq!(format!("{same_score:?}"), format!("{anew:?}"));
        }
        Ok(())
    }

    fn end(&mut self, ending: Ending<'_>) {
        if let Some((lease, tie)) = self.open.pop() {
            let now = self.now();
            // Whoever went on with a response has it, whoever made it.
            if let (Some(tie), Ending::Served { .. }) = (tie, &ending) {
                self.makes(lease.account(), tie);
            }
            self.pool.release(lease, ending, &model(), now);
        }
    }

    fn put(&mut self, account: u8, paused: bool, most: u8, preference: u8) {
        let mut one = enrolment(&format!("a{account}"), |settings| {
            settings.max_concurrency = Some(most.into());
            settings.preference = match preference {
                0 => Preference::Preserve,
                1 => Preference::Normal,
                _ => Preference::BurnFirst,
            };
        });
        if paused {
            one.member.availability = Availability::Paused;
        }
        self.pool.put_all([one]);
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Ask { session, response, sealed, tried } => {
                let named = response.and_then(|back| self.responses.checked_sub(back + 1));
                let sealed =
                    sealed.and_then(|(back, kind)| Some((self.responses.checked_sub(back + 1)?, kind)));
                self.ask(session, named, sealed, tried)?;
            }
            Step::Serve => {
                let now = self.now();
                let account = self.open.last().map(|(lease, _)| lease.account());
                let usage = Some(TokenUsage { input: 9_000, input_cached: 100, output: 5, reasoning: 1 });
                self.end(Ending::Served { first_event_ms: Some(5.0), usage });
                if let Some(account) = account {
                    // Also one that was removed meanwhile: nobody else may go on with its response.
                    let made = self.responses;
                    self.responses += 1;
                    self.makes(account, made);
                    let keys = [response(made), sealed(made, false), sealed(made, true)];
                    self.pool.learn(account, &keys, now);
                    let is_there = self.pool.members().any(|slot| slot.profile.account == account);
                    self.sealers.push(is_there.then_some(account));
                }
            }
            Step::Fail(kind) => self.end(Ending::Failed(&Failure::upstream(kind, "x"))),
            Step::Leave => self.end(Ending::Neutral),
            // Whole seconds: a score that heals is worked out once a second.
            Step::Clock(by) => self.clock += i64::from(by / 1_000 * 1_000),
            Step::Put { account, paused, most, preference } => self.put(account, paused, most, preference),
            Step::Remove(account) => {
                let gone = self.find(account);
                self.sealers.iter_mut().for_each(|sealer| *sealer = sealer.filter(|one| *one != gone));
                self.pool.remove(&id(account));
            }
            Step::Way { account, closed } => {
                let way = if closed { Way::Off } else { Way::Open };
                self.pool.set_way(self.find(account), way);
            }
            Step::Quota { account, used } => {
                let resets_at = Some(self.now().plus(Duration::from_secs(9_000)));
                let window = Window { seconds: 18_000, used: used % 1.3, resets_at };
                let credits =
                    gateway_domain::Credits { available: true, unlimited: false, balance: Some(used) };
                let quota =
                    QuotaSnapshot { short: Some(window), credits: Some(credits), ..QuotaSnapshot::default() };
                self.pool.observe_quota(self.find(account), &quota, self.now());
            }
            Step::Clear(account) => {
                self.pool.clear_cooldown(self.find(account), self.now());
            }
        }
        Ok(())
    }
}

proptest! {
    /// Never a tried, blocked, over-full or foreign-hard-tied account; every lease counted once; none at rest.
    #[test]
    fn whoever_is_chosen_may_be_chosen(steps in prop::collection::vec(step(), 0..150)) {
        let mut world = World { pool: pool(4), open: Vec::new(), clock: 1_750_000_000_000, made: HashMap::new(), responses: 0, sealers: Vec::new() };
        for step in steps {
            world.apply(step)?;
            prop_assert_eq!(world.pool.in_flight() as usize, world.open.len());
        }
        while !world.open.is_empty() {
            world.end(Ending::Neutral);
        }
        prop_assert_eq!(world.pool.in_flight(), 0);
        // Every cooldown ends by itself.
        let later = Timestamp::from_millis(world.clock + 7_200_000);
        for slot in world.pool.members() {
            prop_assert!(slot.cooldowns_at(later).next().is_none());
        }
    }
}
