//! Between the gateway's words and the contract's records. Mechanical; judges only what the types cannot say.

mod mapping;
mod prompt;
mod response;

use gateway_core::hooks::{RequestContext, UsageOutcome, UsageRecord};
use gateway_domain::{Dialect, Timestamp, TokenUsage};
use gateway_scheduler::{
    AccountProfile, AccountRef, Action, PolicyError, RankDecision, RankInput, Rejection, RequestInfo, Roster,
    Surface,
};

use crate::bindings::{scheduling as wit, types, usage_observer};
use crate::columns::{self, COLUMNS};

pub(crate) use mapping::{catalog, catalog_back, resolution};
pub(crate) use prompt::{outcome, with_body};
pub(crate) use response::{batch, event};

/// Calls `deliver` with the roster as a record.
pub(crate) fn with_roster<R>(roster: &Roster, deliver: impl FnOnce(wit::Roster<'_>) -> R) -> R {
    let words: Vec<_> = roster.accounts.iter().map(words).collect();
    let profiles = roster.accounts.iter().zip(&words).map(|(profile, (groups, tags))| wit::AccountProfile {
        account: profile.account.0,
        label: &profile.label,
        provider: &profile.provider,
        plan: &profile.plan,
        groups,
        tags,
        weight: profile.weight,
        max_concurrency: profile.max_concurrency,
    });
    let accounts: Vec<_> = profiles.collect();
    deliver(wit::Roster { generation: roster.generation, accounts: &accounts, columns: &COLUMNS })
}

/// Groups and tags.
fn words(of: &AccountProfile) -> (Vec<&str>, Vec<&str>) {
    (of.groups.iter().map(String::as_str).collect(), of.tags.iter().map(String::as_str).collect())
}

/// Buffers that one guest's calls share.
#[derive(Default)]
pub(crate) struct Buffers {
    accounts: Vec<u32>,
    numbers: Vec<f64>,
    tried: Vec<u32>,
    handles: Handles,
}

/// The handles of one question: one bit each, because looking fifty up costs as much as ranking them.
#[derive(Default)]
struct Handles(Vec<u64>);

impl Handles {
    fn remember(&mut self, input: &RankInput) {
        // Candidates stand in the order of their handles, so the last one is the largest.
        let largest = input.candidates.last().map_or(0, |candidate| candidate.account.0 as usize);
        self.0.clear();
        self.0.resize(largest / 64 + 1, 0);
        for candidate in &input.candidates {
            if let Some(word) = self.0.get_mut(candidate.account.0 as usize / 64) {
                *word |= 1 << (candidate.account.0 % 64);
            }
        }
    }

    fn contain(&self, account: u32) -> bool {
        let word = self.0.get(account as usize / 64);
        word.is_some_and(|word| word & (1 << (account % 64)) != 0)
    }
}

impl Buffers {
    /// The question as a record, borrowing from the input and from these buffers.
    pub(crate) fn request<'a>(&'a mut self, input: &'a RankInput) -> wit::RankRequest<'a> {
        self.accounts.clear();
        self.accounts.extend(input.candidates.iter().map(|candidate| candidate.account.0));
        // Written in place: a row that is copied after it was written waits for its own stores.
        self.numbers.resize(input.candidates.len() * COLUMNS.len(), 0.0);
        let (rows, _) = self.numbers.as_chunks_mut();
        for (row, candidate) in rows.iter_mut().zip(&input.candidates) {
            columns::write(row, candidate);
        }
        self.tried.clear();
        self.tried.extend(input.tried.iter().map(|tried| tried.0));
        wit::RankRequest {
            info: info(&input.info, input.now, input.seed),
            generation: input.generation,
            seq: input.seq,
            accounts: &self.accounts,
            numbers: &self.numbers,
            already_tried: &self.tried,
        }
    }
}

fn info(of: &RequestInfo, now: Timestamp, seed: u64) -> types::RequestInfo<'_> {
    types::RequestInfo {
        client: &of.client,
        session_key: of.session.as_ref().map(|session| session.as_str()),
        requested_model: of.model.as_str(),
        surface: match of.surface {
            Surface::Api => types::Surface::Api,
            Surface::Cli => types::Surface::Cli,
        },
        streaming: of.streaming,
        body_bytes: of.body_bytes,
        attempt: of.attempt,
        now_ms: u64::try_from(now.as_millis()).unwrap_or(0),
        seed,
        ext_json: None,
    }
}

/// Calls `deliver` with the facts about a request as a record.
pub(crate) fn with_context<R>(
    context: &RequestContext,
    deliver: impl FnOnce(types::RequestContext<'_>) -> R,
) -> R {
    let headers: Vec<_> =
        context.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    deliver(types::RequestContext {
        request_id: context.info.request_id.as_str(),
        info: info(&context.info, context.now, context.seed),
        dialect: match context.dialect {
            Dialect::OpenAiResponses => types::Dialect::OpenaiResponses,
            Dialect::OpenAiChat => types::Dialect::OpenaiChat,
            Dialect::AnthropicMessages => types::Dialect::AnthropicMessages,
        },
        reasoning_effort: context.reasoning_effort.as_deref(),
        max_output_tokens: context.max_output_tokens,
        headers: &headers,
    })
}

fn tokens(of: TokenUsage) -> types::TokenUsage {
    types::TokenUsage {
        input: of.input,
        input_cached: of.input_cached,
        output: of.output,
        reasoning: of.reasoning,
    }
}

/// A settled request as a record.
pub(crate) fn usage(of: &UsageRecord) -> usage_observer::UsageRecord<'_> {
    usage_observer::UsageRecord {
        request_id: of.request_id.as_str(),
        client: &of.client,
        account: &of.account,
        provider: &of.provider,
        model: &of.model,
        outcome: match of.outcome {
            UsageOutcome::Completed => usage_observer::Outcome::Completed,
            UsageOutcome::Failed => usage_observer::Outcome::Failed,
            UsageOutcome::Cancelled => usage_observer::Outcome::Cancelled,
        },
        failure: &of.failure,
        http_status: of.http_status,
        usage: tokens(of.usage),
        ttft_ms: of.ttft_ms,
        duration_ms: of.duration_ms,
        finished_at_ms: u64::try_from(of.finished_at.as_millis()).unwrap_or(0),
    }
}

impl Buffers {
    /// The answer, if it fits the question. What it names but may not use, the scheduler's validation drops; what
    /// it cannot know of is a bug of the plugin and counts as its failure.
    pub(crate) fn decision(
        &mut self,
        input: &RankInput,
        answer: wit::Decision,
    ) -> Result<RankDecision, PolicyError> {
        let expected = input.candidates.len();
        if !answer.scores.is_empty() && answer.scores.len() != expected {
            let found = answer.scores.len();
            return Err(PolicyError::InvalidOutput(format!("{found} scores for {expected} candidates")));
        }
        let action = match answer.action {
            wit::Action::UseRanked(accounts) => Action::Ranked(self.known(input, accounts)?),
            wit::Action::WaitMs(ms) => Action::WaitMs(ms),
            wit::Action::Refuse(rejection) => Action::Refuse(checked(rejection_of(rejection))?),
            wit::Action::Delegate => Action::Delegate,
        };
        Ok(RankDecision { action, scores: answer.scores, reason: answer.reason })
    }

    fn known(&mut self, input: &RankInput, accounts: Vec<u32>) -> Result<Vec<AccountRef>, PolicyError> {
        if accounts.len() > input.candidates.len() {
            return Err(PolicyError::InvalidOutput(format!(
                "ranked {} accounts out of {} candidates",
                accounts.len(),
                input.candidates.len()
            )));
        }
        self.handles.remember(input);
        match accounts.iter().find(|account| !self.handles.contain(**account)) {
            // In place: the same bytes under another type.
            None => Ok(accounts.into_iter().map(AccountRef).collect()),
            Some(stranger) => {
                Err(PolicyError::InvalidOutput(format!("ranked account {stranger}, which is no candidate")))
            }
        }
    }
}

fn checked(rejection: Rejection) -> Result<Rejection, PolicyError> {
    if (400..=599).contains(&rejection.http_status) {
        return Ok(rejection);
    }
    Err(PolicyError::InvalidOutput(format!("refused with status {}", rejection.http_status)))
}

fn rejection_of(rejection: types::Rejection) -> Rejection {
    Rejection {
        http_status: rejection.http_status,
        code: rejection.code,
        message: rejection.message,
        retry_after_ms: rejection.retry_after_ms,
    }
}
