//! What only one account can open: sealed reasoning, compacted histories, the state of a turn. Which ties that makes of
//! a request, who made what an answer holds, and what stays behind when another account serves (decision record 0012).
//!
//! Refuses: choosing the account; the ties are the scheduler's to weigh.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use gateway_domain::{Dialect, Failure};
use gateway_protocol::codex::TURN_STATE;
use gateway_protocol::responses::{
    SealKind, marked_seals_in, may_hold_compaction, sealed_item, sealed_items, seals_in, without_reasoning,
};
use gateway_protocol::sse::EventLines;
use gateway_scheduler::{AccountRef, HardTie, Tie, TieKey, Whose};
use http::HeaderMap;

use super::call::Call;
use super::decode::{Asked, Decoded};
use crate::Gateway;
use crate::ports::Continues;

/// Seals of one request that tie it to accounts. With its other ties they are fewer than the scheduler looks at.
const MAX_SEALS: usize = 32;
/// Of these so many are looked at as compacted histories. One stands in place of all that was before it, so it is the
/// first that is sealed, unless it was made just now.
const MAX_COMPACTED: [usize; 2] = [2, 6];
/// Seals of one request that are looked at when some of them must stay behind.
const MAX_SEALS_LEFT: usize = 4_096;
/// What is noted when they did.
pub(super) const LEFT_REASONING: &str = "reasoning that only another account can read left out";

/// The ties of a request to those who sealed something in it, the newest last.
pub(super) fn ties(client: &str, asked: &Asked, headers: &HeaderMap, body: &Bytes) -> Vec<TieKey> {
    let (seals, is_own_dialect) = match asked {
        Asked::Responses { .. } | Asked::Call { call: Call::Compact | Call::CodexCompact, .. } => {
            (seals_in(body, MAX_SEALS), true)
        }
        Asked::Turn { .. } => (marked_seals_in(body, MAX_SEALS), false),
        Asked::Call { .. } => (Vec::new(), false),
    };
    let may_be_compacted = is_own_dialect && !seals.is_empty() && may_hold_compaction(body);
    let [oldest, newest] = MAX_COMPACTED;
    let compacted = seals.iter().take(oldest).chain(seals.iter().skip(oldest).rev().take(newest));
    let compacted = compacted.filter(|_| may_be_compacted);
    let compacted = compacted.filter_map(|seal| key(SealKind::Compaction, client, seal));
    let mut ties: Vec<TieKey> =
        seals.iter().filter_map(|seal| key(SealKind::Reasoning, client, seal)).collect();
    ties.extend(compacted);
    ties.extend(turn_state(client, headers));
    ties
}

fn key(kind: SealKind, client: &str, seal: &str) -> Option<TieKey> {
    let tie = match kind {
        SealKind::Reasoning => HardTie::Reasoning,
        SealKind::Compaction => HardTie::Compaction,
    };
    TieKey::new(Tie::Hard(tie), client, seal)
}

fn turn_state(client: &str, headers: &HeaderMap) -> Option<TieKey> {
    TieKey::new(Tie::Hard(HardTie::TurnState), client, headers.get(TURN_STATE)?.to_str().ok()?)
}

/// Whether the turn state that came along is the account's. What nobody knows any more is its own where the
/// conversation was served before.
pub(super) fn continues(
    gateway: &Gateway,
    decoded: &Decoded,
    account: AccountRef,
    affine: bool,
) -> Continues {
    let state = decoded.ties.iter().find(|key| key.tie() == Tie::Hard(HardTie::TurnState));
    let whose = state.map(|key| gateway.pool.lock().whose(*key, account, gateway.now()));
    match whose {
        Some(Whose::Own) => Continues::Here,
        Some(Whose::Foreign) => Continues::Anew,
        Some(Whose::Unknown) | None if affine => Continues::Here,
        Some(Whose::Unknown) | None => Continues::Anew,
    }
}

/// Which sealed reasoning goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// All but what another account is known to have made.
    NotForeign,
    /// The account refused some of it: only what it is known to have made; none when that was all there was.
    OnlyOwn,
}

/// The body for an account without the reasoning that it cannot read; `None` when it goes as it is.
pub(super) fn without_foreign(
    gateway: &Gateway,
    decoded: &Decoded,
    body: &Bytes,
    account: AccountRef,
    along: Along,
) -> Option<Bytes> {
    let now = gateway.now();
    let tied = || decoded.ties.iter().filter(|key| key.tie() == Tie::Hard(HardTie::Reasoning));
    if along == Along::NotForeign {
        // Nearly always nothing is foreign, and the body is not looked at.
        tied().next()?;
        let pool = gateway.pool.lock();
        if !tied().any(|key| pool.whose(*key, account, now) == Whose::Foreign) {
            return None;
        }
    }
    let label = decoded.caller.label();
    let seals = seals_in(body, MAX_SEALS_LEFT);
    let keys: Vec<(&str, TieKey)> =
        seals.into_iter().filter_map(|seal| Some((seal, key(SealKind::Reasoning, label, seal)?))).collect();
    let stays_behind = |whose| match along {
        Along::NotForeign => whose == Whose::Foreign,
        Along::OnlyOwn => whose != Whose::Own,
    };
    let mut left: HashSet<&str> = HashSet::new();
    let mut pool = gateway.pool.lock();
    left.extend(
        keys.iter().filter(|(_, key)| stays_behind(pool.whose(*key, account, now))).map(|(seal, _)| *seal),
    );
    if along == Along::OnlyOwn {
        if left.is_empty() {
            left.extend(keys.iter().map(|(seal, _)| *seal));
        }
        // Nobody tries them again.
        let refused: Vec<TieKey> = keys
            .iter()
            .filter(|(seal, key)| left.contains(seal) && pool.whose(*key, account, now) != Whose::Foreign)
            .map(|(_, key)| *key)
            .collect();
        pool.disown(&refused, now);
    }
    drop(pool);
    without_reasoning(body, |seal| !left.contains(seal)).map(Bytes::from)
}

/// Whether a body in this dialect can hold seals that open at one account alone.
pub(super) const fn can_be_sealed(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::OpenAiResponses)
}

/// Whether the account could not open what was sealed elsewhere, and may do without it (facts: codex2api 1.5).
pub(super) fn cannot_read(failure: &Failure, decoded: &Decoded) -> bool {
    let holds_reasoning = decoded.ties.iter().any(|key| key.tie() == Tie::Hard(HardTie::Reasoning));
    holds_reasoning
        && failure.answer.as_ref().and_then(|answer| answer.code.as_deref())
            == Some("invalid_encrypted_content")
}

/// Ties what an answer seals to the account that made it, for the client that gets it.
#[derive(Clone)]
pub(crate) struct Maker {
    gateway: Arc<Gateway>,
    client: Arc<str>,
    account: Option<AccountRef>,
}

impl Maker {
    pub(super) fn new(gateway: &Arc<Gateway>, decoded: &Decoded, account: Option<AccountRef>) -> Self {
        Self { gateway: gateway.clone(), client: Arc::from(decoded.caller.label()), account }
    }

    /// Who answers; nobody when an answer is our own.
    pub(super) const fn account(&self) -> Option<AccountRef> {
        self.account
    }

    /// A finished item of an answer.
    pub(super) fn item(&self, event: &[u8]) {
        let sealed = EventLines::read(event).data.and_then(sealed_item);
        self.learn(sealed.and_then(|(kind, seal)| key(kind, &self.client, &seal)).as_slice());
    }

    /// An answer in one piece.
    pub(super) fn answer(&self, object: &[u8]) {
        let sealed = sealed_items(object);
        let keys: Vec<TieKey> =
            sealed.iter().filter_map(|(kind, seal)| key(*kind, &self.client, seal)).collect();
        self.learn(&keys);
    }

    /// The headers of an answer.
    pub(super) fn headers(&self, headers: &HeaderMap) {
        self.learn(turn_state(&self.client, headers).as_slice());
    }

    fn learn(&self, keys: &[TieKey]) {
        if let Some(account) = self.account.filter(|_| !keys.is_empty()) {
            let now = self.gateway.now();
            self.gateway.pool.lock().learn(account, keys, now);
        }
    }
}
