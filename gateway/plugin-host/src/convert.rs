//! Between the gateway's words and the contract's records. Mechanical; judges only what the types cannot say.

use gateway_scheduler::{
    AccountRef, Action, Candidate, Health, PolicyError, RankDecision, RankInput, Rejection, Roster,
};

use crate::bindings::{scheduling as wit, types};

/// Calls `deliver` with the roster as a record.
pub(crate) fn with_roster<R>(roster: &Roster, deliver: impl FnOnce(wit::Roster<'_>) -> R) -> R {
    let accounts: Vec<wit::AccountProfile<'_>> = roster
        .accounts
        .iter()
        .map(|profile| wit::AccountProfile {
            account: profile.account.0,
            label: &profile.label,
            provider: &profile.provider,
            plan: &profile.plan,
            weight: profile.weight,
            max_concurrency: profile.max_concurrency,
        })
        .collect();
    deliver(wit::Roster { generation: roster.generation, accounts: &accounts, signal_names: &[] })
}

/// Buffers that one guest's calls share.
#[derive(Default)]
pub(crate) struct Buffers {
    candidates: Vec<wit::Candidate>,
    tried: Vec<u32>,
}

/// The handles of one question: one bit each, because looking fifty up costs as much as ranking them.
struct Handles(Vec<u64>);

impl Handles {
    fn of(input: &RankInput) -> Self {
        // Candidates stand in the order of their handles, so the last one is the largest.
        let largest = input.candidates.last().map_or(0, |candidate| candidate.account.0 as usize);
        let mut bits = vec![0_u64; largest / 64 + 1];
        for candidate in &input.candidates {
            if let Some(word) = bits.get_mut(candidate.account.0 as usize / 64) {
                *word |= 1 << (candidate.account.0 % 64);
            }
        }
        Self(bits)
    }

    fn contain(&self, account: AccountRef) -> bool {
        let word = self.0.get(account.0 as usize / 64);
        word.is_some_and(|word| word & (1 << (account.0 % 64)) != 0)
    }
}

impl Buffers {
    /// The question as a record, borrowing from the input and from these buffers.
    pub(crate) fn request<'a>(&'a mut self, input: &'a RankInput) -> wit::RankRequest<'a> {
        self.candidates.clear();
        self.candidates.extend(input.candidates.iter().map(candidate));
        self.tried.clear();
        self.tried.extend(input.tried.iter().map(|tried| tried.0));
        wit::RankRequest {
            info: types::RequestInfo {
                request_id: input.info.request_id.as_str(),
                client: &input.info.client,
                session_key: input.info.session.as_ref().map(|session| session.as_str()),
                requested_model: input.info.model.as_str(),
                streaming: input.info.streaming,
                body_bytes: input.info.body_bytes,
                attempt: input.info.attempt,
                now_ms: u64::try_from(input.now.as_millis()).unwrap_or(0),
                seed: input.seed,
                ext_json: None,
            },
            generation: input.generation,
            seq: input.seq,
            candidates: &self.candidates,
            signals: &[],
            already_tried: &self.tried,
        }
    }
}

fn candidate(from: &Candidate) -> wit::Candidate {
    wit::Candidate {
        account: from.account.0,
        health: match from.health {
            Health::Healthy => wit::Health::Healthy,
            Health::Degraded => wit::Health::Degraded,
            Health::Probing => wit::Health::Probing,
            Health::Cooling => wit::Health::Cooling,
            Health::Blocked => wit::Health::Blocked,
        },
        in_flight: from.in_flight,
        max_concurrency: from.max_concurrency,
        short_window_used: from.short_window_used,
        long_window_used: from.long_window_used,
        short_window_resets_in_ms: from.short_window_resets_in_ms,
        long_window_resets_in_ms: from.long_window_resets_in_ms,
        cooldown_ms: from.cooldown_ms,
        ttft_ewma_ms: from.ttft_ewma_ms,
        error_rate_ewma: from.error_rate_ewma,
        session_affine: from.session_affine,
        idle_ms: from.idle_ms,
        last_picked_seq: from.last_picked_seq,
        weight: from.weight,
    }
}

/// The answer, if it fits the question. What it names but may not use, the scheduler's validation drops; what
/// it cannot know of is a bug of the plugin and counts as its failure.
pub(crate) fn decision(input: &RankInput, answer: wit::Decision) -> Result<RankDecision, PolicyError> {
    let expected = input.candidates.len();
    if !answer.scores.is_empty() && answer.scores.len() != expected {
        let found = answer.scores.len();
        return Err(PolicyError::InvalidOutput(format!("{found} scores for {expected} candidates")));
    }
    let action = match answer.action {
        wit::Action::UseRanked(accounts) => Action::Ranked(known(input, accounts)?),
        wit::Action::WaitMs(ms) => Action::WaitMs(ms),
        wit::Action::Refuse(rejection) => Action::Refuse(rejection_of(rejection)?),
        wit::Action::Delegate => Action::Delegate,
    };
    Ok(RankDecision { action, scores: answer.scores, reason: answer.reason })
}

fn known(input: &RankInput, accounts: Vec<u32>) -> Result<Vec<AccountRef>, PolicyError> {
    if accounts.len() > input.candidates.len() {
        return Err(PolicyError::InvalidOutput(format!(
            "ranked {} accounts out of {} candidates",
            accounts.len(),
            input.candidates.len()
        )));
    }
    let accounts: Vec<AccountRef> = accounts.into_iter().map(AccountRef).collect();
    let handles = Handles::of(input);
    match accounts.iter().find(|account| !handles.contain(**account)) {
        None => Ok(accounts),
        Some(stranger) => {
            Err(PolicyError::InvalidOutput(format!("ranked account {}, which is no candidate", stranger.0)))
        }
    }
}

fn rejection_of(rejection: types::Rejection) -> Result<Rejection, PolicyError> {
    if !(400..=599).contains(&rejection.http_status) {
        return Err(PolicyError::InvalidOutput(format!("refused with status {}", rejection.http_status)));
    }
    Ok(Rejection {
        http_status: rejection.http_status,
        code: rejection.code,
        message: rejection.message,
        retry_after_ms: rejection.retry_after_ms,
    })
}
