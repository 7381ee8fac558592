//! The question: who could serve this request, and what ties it to whom.

use std::sync::Arc;

use gateway_domain::{SessionKey, Timestamp};

use super::Pool;
use crate::affinity::{Claim, HardTie, MAX_TIES, Owner, SoftTie, Tie, TieKey};
use crate::layout::{Layout, Needs, Serving};
use crate::member::Availability;
use crate::sketch::Sketch;
use crate::slot::{Slot, View};
use crate::{AccountRef, Candidate, RankInput, RequestInfo};

/// The most candidates that one question names. A larger pool names those that can serve at once, in the operator's
/// order, and among equals other ones each time; ranking thousands would cost more than it could gain.
pub const MAX_CANDIDATES: usize = 512;
/// A hard owner that is back within this time is waited for; otherwise clients are better off sending their history.
pub const HARD_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A request that wants an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Facts that policies see. Its session is a soft tie of its own.
    pub info: RequestInfo,
    /// What else ties it to accounts, the newest last.
    pub ties: Vec<TieKey>,
    /// What not every account has.
    pub needs: Needs,
    /// Accounts that already failed it.
    pub tried: Vec<AccountRef>,
    /// Entropy.
    pub seed: u64,
}

impl Ask {
    /// A request without ties and needs, for the first time.
    #[must_use]
    pub const fn new(info: RequestInfo, seed: u64) -> Self {
        let needs = Needs {
            dialects: std::collections::BTreeSet::new(),
            groups: std::collections::BTreeSet::new(),
            accounts: std::collections::BTreeSet::new(),
            providers: std::collections::BTreeSet::new(),
            any_model: false,
        };
        Self { info, ties: Vec::new(), needs, tried: Vec::new(), seed }
    }
}

/// The question for a policy, and what the request's ties say.
#[derive(Debug, Clone)]
pub struct Asked {
    /// For the policy, and for the record of the decision.
    pub input: Arc<RankInput>,
    /// May it move, and at what price.
    pub verdict: Verdict,
    /// What taking a place needs to know.
    pub standing: Standing,
}

/// What ties a request to accounts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing: anybody may serve.
    Free,
    /// The owner has its prompt cache; elsewhere this share of the prompt is paid again.
    Prefers {
        /// Whose cache it is.
        owner: AccountRef,
        /// 0.0..=1.0
        price: f64,
    },
    /// Only the owner can serve; the question names nobody else.
    Must {
        /// Who.
        owner: AccountRef,
        /// The strongest reason.
        tie: HardTie,
    },
    /// Only an account could serve that cannot any more; the question names nobody. The answer is the one that makes
    /// clients send their history again (`previous_response_not_found`).
    Lost {
        /// What is lost.
        tie: HardTie,
        /// Why.
        why: Loss,
    },
}

/// Why a hard owner cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It was removed.
    Removed,
    /// The operator set it aside.
    Paused,
    /// It must be signed in again.
    SignInNeeded,
    /// Its egress proxy is down.
    NoWay,
    /// It is left alone for longer than anybody would wait.
    Cooling {
        /// Until then.
        until: Timestamp,
    },
    /// It may not serve this request (model, group, dialect).
    NotServing,
    /// Two accounts would have to serve it together.
    Torn,
}

/// What a question found out that taking a place needs. Opaque.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub(super) keys: Vec<TieKey>,
    pub(super) must: Option<Owner>,
    pub(super) home: Option<Owner>,
    pub(super) home_tried: bool,
    pub(super) body_bytes: u32,
    pub(super) seq: u64,
    pub(super) model: Option<gateway_domain::ModelName>,
    pub(super) needs: Needs,
}

impl Pool {
    /// Prepares the question for a policy. Every call takes a new sequence number.
    pub fn ask(&mut self, ask: Ask, now: Timestamp) -> Asked {
        let keys = tie_keys(&ask);
        let Ask { info, needs, tried, seed, .. } = ask;
        self.seq += 1;
        self.layout.refresh(&self.slots, self.generation);
        let serving = self.layout.serving(&info.model, &needs, self.named(&needs));
        let alive =
            |owner: Owner| self.owner(owner).is_some_and(|slot| slot.availability == Availability::Active);
        let able = |owner: Owner| self.is_able(owner, &info, &serving, &tried, now);
        let claim = self.affinity.claim(&keys, info.body_bytes, now, alive, able);
        let verdict = self.verdict(claim, &info, &serving, now);
        let limiting = self.features.naming(&info.model);
        let (home, price) = match verdict {
            Verdict::Prefers { owner, price } => (Some(owner), price),
            Verdict::Free | Verdict::Must { .. } | Verdict::Lost { .. } => (None, 0.0),
        };
        let view = View { now, model: Some(&info.model), limiting: &limiting, home, price };
        let crowd = Crowd { slots: &self.slots, serving: &serving, view: &view, tried: &tried };
        let candidates = crowd.answer(verdict, &self.layout, self.seq, &mut self.sketches);
        let (must, home) = match claim {
            Claim::Must { owner, home, .. } => (Some(owner), home),
            Claim::Prefers { owner, .. } => (None, Some(owner)),
            Claim::Free | Claim::Torn { .. } => (None, None),
        };
        let standing = Standing {
            keys,
            must,
            home,
            home_tried: home.is_some_and(|home| tried.contains(&home.account)),
            body_bytes: info.body_bytes,
            seq: self.seq,
            model: Some(info.model.clone()),
            needs,
        };
        let (seq, generation) = (self.seq, self.generation);
        let input = Arc::new(RankInput { info, now, seed, seq, generation, candidates, tried });
        Asked { input, verdict, standing }
    }

    /// The question alone, for callers that know of no ties but the session. Its session is told apart from others by
    /// itself, not by client: use [`Pool::ask`] where clients choose their session keys.
    pub fn question(
        &mut self,
        info: RequestInfo,
        tried: Vec<AccountRef>,
        seed: u64,
        now: Timestamp,
    ) -> RankInput {
        let (session, client) = (info.session.clone(), info.client.clone());
        let ties = session.as_ref().and_then(|session| session_key("", session)).into_iter().collect();
        let info = RequestInfo { session: None, ..info };
        let asked = self.ask(Ask { ties, tried, ..Ask::new(info, seed) }, now);
        let mut input = Arc::unwrap_or_clone(asked.input);
        (input.info.session, input.info.client) = (session, client);
        input
    }

    /// The handles of the accounts that a request needs by name.
    pub(super) fn named(&self, needs: &Needs) -> std::collections::BTreeSet<AccountRef> {
        needs.accounts.iter().filter_map(|id| self.find(id)).collect()
    }

    fn verdict(&self, claim: Claim, info: &RequestInfo, serving: &Serving<'_>, now: Timestamp) -> Verdict {
        let (owner, tie) = match claim {
            Claim::Free => return Verdict::Free,
            Claim::Prefers { owner, price } => return Verdict::Prefers { owner: owner.account, price },
            Claim::Torn { tie } => return Verdict::Lost { tie, why: Loss::Torn },
            Claim::Must { owner, tie, .. } => (owner, tie),
        };
        match self.loss(owner, info, serving, now) {
            Some(why) => Verdict::Lost { tie, why },
            None => Verdict::Must { owner: owner.account, tie },
        }
    }

    /// Whether an account could serve right now what it may leave to others. Whoever the operator pinned comes first.
    fn is_able(
        &self,
        owner: Owner,
        info: &RequestInfo,
        serving: &Serving<'_>,
        tried: &[AccountRef],
        now: Timestamp,
    ) -> bool {
        let can = |slot: &Slot| {
            let account = slot.profile.account;
            slot.is_active()
                && serving.by(account)
                && !tried.contains(&account)
                && slot.cooldown_at(Some(&info.model), now).is_none()
                && slot.in_flight < slot.room(now)
                && !slot.is_exhausted(now)
        };
        self.owner(owner).is_some_and(can)
            && self.layout.first().and_then(|first| self.slot(first)).is_none_or(|first| {
                !first.settings.pinned || first.profile.account == owner.account || !can(first)
            })
    }

    fn loss(&self, owner: Owner, info: &RequestInfo, serving: &Serving<'_>, now: Timestamp) -> Option<Loss> {
        let Some(slot) = self.owner(owner) else { return Some(Loss::Removed) };
        match slot.availability {
            Availability::Paused => return Some(Loss::Paused),
            Availability::SignInNeeded(_) => return Some(Loss::SignInNeeded),
            Availability::Active => {}
        }
        if slot.way != crate::Way::Open {
            return Some(Loss::NoWay);
        }
        if !serving.by(owner.account) {
            return Some(Loss::NotServing);
        }
        let until = slot.cooldown_at(Some(&info.model), now)?.until;
        (until > now.plus(HARD_PATIENCE)).then_some(Loss::Cooling { until })
    }
}

/// Everybody whom a question could name.
struct Crowd<'a> {
    slots: &'a [Slot],
    serving: &'a Serving<'a>,
    view: &'a View<'a>,
    tried: &'a [AccountRef],
}

impl Crowd<'_> {
    fn slot(&self, account: AccountRef) -> Option<&Slot> {
        self.slots.get(usize::try_from(account.0).ok()?)
    }

    /// The candidates of a question.
    fn answer(&self, verdict: Verdict, layout: &Layout, seq: u64, sketches: &mut [Sketch]) -> Vec<Candidate> {
        match verdict {
            Verdict::Lost { .. } => Vec::new(),
            Verdict::Must { owner, .. } => self.candidates(&[owner], sketches),
            Verdict::Free | Verdict::Prefers { .. } if layout.live().len() <= MAX_CANDIDATES => {
                self.candidates(layout.live(), sketches)
            }
            Verdict::Free | Verdict::Prefers { .. } => {
                self.candidates(&self.best_few(layout.in_order(seq)), sketches)
            }
        }
    }

    fn candidates(&self, named: &[AccountRef], sketches: &mut [Sketch]) -> Vec<Candidate> {
        let mut drawn = Vec::with_capacity(named.len());
        for account in named {
            let at = usize::try_from(account.0).unwrap_or(usize::MAX);
            let (Some(slot), Some(sketch)) = (self.slots.get(at), sketches.get_mut(at)) else { continue };
            let serves = self.serving.by(*account);
            match sketch.candidate(self.view, serves) {
                Some(candidate) => drawn.push(candidate),
                None => drawn.push(sketch.draw(slot, self.view, serves)),
            }
        }
        drawn
    }

    /// Those of a large pool that a question names, in the order of their handles.
    fn best_few(&self, in_order: impl Iterator<Item = AccountRef>) -> Vec<AccountRef> {
        let mut named: Vec<AccountRef> =
            in_order.filter(|account| self.can_serve(*account)).take(MAX_CANDIDATES).collect();
        if let Some(home) = self.view.home.filter(|home| !named.contains(home)) {
            named.truncate(MAX_CANDIDATES - 1);
            named.push(home);
        }
        named.sort_unstable();
        named
    }

    fn can_serve(&self, account: AccountRef) -> bool {
        let has_room = |slot: &Slot| {
            slot.is_active()
                && slot.in_flight < slot.profile.max_concurrency
                && slot.cooldown_at(self.view.model, self.view.now).is_none()
        };
        self.serving.by(account) && !self.tried.contains(&account) && self.slot(account).is_some_and(has_room)
    }
}

/// The ties of a request, its session among them.
fn tie_keys(ask: &Ask) -> Vec<TieKey> {
    let session = ask.info.session.as_ref().and_then(|session| session_key(&ask.info.client, session));
    let mut keys = ask.ties.clone();
    keys.extend(session.filter(|session| !ask.ties.contains(session)));
    if keys.len() > MAX_TIES {
        keys.drain(..keys.len() - MAX_TIES);
    }
    keys
}

pub(super) fn session_key(client: &str, session: &SessionKey) -> Option<TieKey> {
    TieKey::new(Tie::Soft(SoftTie::Session), client, session.as_str())
}
