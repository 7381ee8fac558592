//! What holds for every policy, whatever it ranked: conversations stay home unless leaving gains more than it costs, the
//! operator's order goes before every score, and an account that comes back is really probed.
//!
//! Only reorders what a policy named: an account that it left out stays out. Refuses: scoring.

use crate::{AccountRef, Action, Candidate, Health, Preference, RankDecision, RankInput};

/// What the whole prompt is worth in a score: as much as the built-in gives for an account that has it. Scores are read
/// as the built-in's are, as shares of an account's allowance; a policy that gives none is not corrected.
pub const PROMPT_WORTH: f64 = crate::builtin::AFFINITY_BONUS;
/// A conversation whose prompt cache is worth less than this may be used to probe an account.
const PROBE_PRICE: f64 = 0.1;

/// A candidate that a policy ranked, and where.
#[derive(Clone, Copy)]
struct Place<'a> {
    candidate: &'a Candidate,
    score: f64,
}

/// Puts a policy's ranking in the order that holds for every policy:
///
/// 1. The account that has the conversation's prompt cache stays first unless the first one's score gains more than
///    [`PROMPT_WORTH`] × the price of moving. (The built-in's score already holds a constant bonus for it; this is what
///    survives one bad moment on top.)
/// 2. Stable by the operator's order: pinned, then preference, then priority; exhausted accounts last. A prompt cache's
///    owner that is first stays first unless somebody is pinned.
/// 3. Among the first ones' equals, an account that is due for a probe takes a request that leaves no prompt cache
///    behind; one such account at a time.
///
/// The reason then shows what moving would cost or costs. Accounts that cannot take the request are dropped.
#[must_use]
pub fn apply_operator_order(input: &RankInput, mut decision: RankDecision) -> RankDecision {
    let Action::Ranked(ranked) = &decision.action else { return decision };
    let crowd = Crowd::of(input);
    let mut places = places(input, &decision, ranked, &crowd);
    let home = if decision.scores.is_empty() { Home::AsRanked } else { keep_home(&mut places, crowd.price) };
    if crowd.wishes_differ {
        by_wish(&mut places);
    }
    let probes = crowd.due_probe && probe_first(input, &mut places, crowd.price);
    explain(&mut decision.reason, &places, &crowd, home, probes);
    decision.action = or_delegate(distinct(places.iter().map(|place| place.candidate.account)));
    decision
}

/// Those of a ranking that can take the request: all where everybody may be moved, otherwise the first few and the
/// conversation's home.
fn places<'a>(
    input: &'a RankInput,
    decision: &RankDecision,
    ranked: &[AccountRef],
    crowd: &Crowd,
) -> Vec<Place<'a>> {
    let takers = ranked.iter().filter_map(|account| place(input, decision, *account));
    if crowd.wishes_differ || crowd.due_probe {
        return takers.collect();
    }
    // Repeated accounts are dropped later; with some to spare, enough are left.
    let mut few: Vec<Place<'a>> = Vec::with_capacity(2 * MAX_KEPT + 1);
    few.extend(takers.take(2 * MAX_KEPT));
    let missing = crowd.home.filter(|home| few.iter().all(|place| place.candidate.account != *home));
    let ranked_later = missing.filter(|home| ranked.contains(home));
    few.extend(ranked_later.and_then(|home| place(input, decision, home)));
    few
}

/// More places than any request may try; a longer ranking is only for show.
const MAX_KEPT: usize = 16;

fn distinct(accounts: impl Iterator<Item = AccountRef>) -> Vec<AccountRef> {
    let mut kept: Vec<AccountRef> = Vec::with_capacity(MAX_KEPT);
    for account in accounts {
        if !kept.contains(&account) {
            kept.push(account);
        }
        if kept.len() == MAX_KEPT {
            break;
        }
    }
    kept
}

fn or_delegate(kept: Vec<AccountRef>) -> Action {
    if kept.is_empty() { Action::Delegate } else { Action::Ranked(kept) }
}

/// What there is to reorder for, found in one pass.
struct Crowd {
    wishes_differ: bool,
    due_probe: bool,
    price: f64,
    home: Option<AccountRef>,
}

impl Crowd {
    fn of(input: &RankInput) -> Self {
        let mut crowd = Self { wishes_differ: false, due_probe: false, price: 0.0, home: None };
        let Some(first) = input.candidates.first() else { return crowd };
        let mut probing_now = false;
        for candidate in &input.candidates {
            crowd.wishes_differ |= wish(candidate) != wish(first);
            if candidate.session_affine {
                crowd.home = Some(candidate.account);
            }
            crowd.price = crowd.price.max(candidate.move_price);
            if candidate.health == Health::Probing {
                probing_now |= candidate.in_flight > 0;
                crowd.due_probe |= candidate.in_flight == 0;
            }
        }
        crowd.due_probe &= !probing_now && input.info.attempt == 0;
        crowd
    }
}

/// The operator's order, a higher one first. Priorities compare as they are; NaN comes from no operator.
fn wish(candidate: &Candidate) -> (bool, Preference, f64) {
    (candidate.pinned, candidate.preference, candidate.priority)
}

fn is_exhausted(candidate: &Candidate) -> bool {
    // NaN compares false: an unknown window never exhausts an account.
    candidate.short_window_used >= 1.0 || candidate.long_window_used >= 1.0
}

/// Whether it can take the request.
fn takes(input: &RankInput, candidate: &Candidate) -> bool {
    candidate.health.is_usable()
        && candidate.in_flight < candidate.max_concurrency
        && !input.tried.contains(&candidate.account)
}

fn place<'a>(input: &'a RankInput, decision: &RankDecision, account: AccountRef) -> Option<Place<'a>> {
    let (at, candidate) = find(&input.candidates, account)?;
    let score = decision.scores.get(at).copied().unwrap_or(f64::NAN);
    takes(input, candidate).then_some(Place { candidate, score })
}

/// Candidates are in the order of their handles, most of the time without gaps.
fn find(candidates: &[Candidate], account: AccountRef) -> Option<(usize, &Candidate)> {
    let direct = usize::try_from(account.0).ok()?;
    if let Some(candidate) = candidates.get(direct).filter(|candidate| candidate.account == account) {
        return Some((direct, candidate));
    }
    let at = candidates.binary_search_by_key(&account, |candidate| candidate.account).ok()?;
    Some((at, candidates.get(at)?))
}

/// Whether the conversation was kept home against the policy's first choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    AsRanked,
    Kept,
}

fn keep_home(places: &mut [Place<'_>], price: f64) -> Home {
    let Some(at) = places.iter().position(|place| place.candidate.session_affine) else {
        return Home::AsRanked;
    };
    let (Some(first), Some(home)) = (places.first(), places.get(at)) else { return Home::AsRanked };
    let gain = first.score - home.score;
    // A score that is unknown gains nothing that could be weighed; the policy's word stands.
    if at == 0 || is_exhausted(home.candidate) || gain.is_nan() || gain > PROMPT_WORTH * price || price <= 0.0
    {
        return Home::AsRanked;
    }
    if let Some(front) = places.get_mut(..=at) {
        front.rotate_right(1);
    }
    Home::Kept
}

fn by_wish(places: &mut [Place<'_>]) {
    let any_pinned = places.iter().any(|place| place.candidate.pinned && !is_exhausted(place.candidate));
    let stays =
        |place: &&Place<'_>| place.candidate.session_affine && !any_pinned && !is_exhausted(place.candidate);
    let skip = usize::from(places.first().filter(stays).is_some());
    let Some(rest) = places.get_mut(skip..) else { return };
    rest.sort_by(|a, b| {
        let (a, b) = (a.candidate, b.candidate);
        let (pinned, preference) = (b.pinned.cmp(&a.pinned), b.preference.cmp(&a.preference));
        is_exhausted(a)
            .cmp(&is_exhausted(b))
            .then(pinned)
            .then(preference)
            .then(b.priority.total_cmp(&a.priority))
    });
}

/// Moves a due probe to the front. Whether it did.
fn probe_first(input: &RankInput, places: &mut [Place<'_>], price: f64) -> bool {
    let Some(first) = places.first().map(|place| place.candidate) else { return false };
    let leaves_a_cache = price >= PROBE_PRICE && (first.session_affine || home_is_usable(input));
    if leaves_a_cache || first.pinned {
        return false;
    }
    let due = |place: &Place<'_>| {
        let one = place.candidate;
        one.health == Health::Probing && one.in_flight == 0 && !is_exhausted(one) && wish(one) == wish(first)
    };
    let longest_waiting = places
        .iter()
        .enumerate()
        .filter(|(_, place)| due(place))
        .min_by_key(|(_, place)| place.candidate.last_picked_seq)
        .map(|(at, _)| at);
    let Some(at) = longest_waiting.filter(|at| *at > 0) else { return false };
    if let Some(front) = places.get_mut(..=at) {
        front.rotate_right(1);
    }
    true
}

fn home_is_usable(input: &RankInput) -> bool {
    input.candidates.iter().any(|one| one.session_affine && takes(input, one))
}

/// Adds what was done here, and the price, to the policy's own reason.
fn explain(reason: &mut String, places: &[Place<'_>], crowd: &Crowd, home: Home, probes: bool) {
    let Some(first) = places.first() else { return };
    let percent = crowd.price * 100.0;
    let added = if probes {
        "; probes an account that comes back".to_owned()
    } else if crowd.price <= 0.0 || crowd.home.is_none() {
        return;
    } else if !first.candidate.session_affine {
        format!("; moves the conversation, {percent:.0}% of the prompt is paid again")
    } else if home == Home::Kept {
        format!("; stays home, moving gains less than {percent:.0}% of the prompt paid again")
    } else {
        format!("; moving would cost {percent:.0}% of the prompt")
    };
    reason.push_str(&added);
}

#[cfg(test)]
mod tests;
