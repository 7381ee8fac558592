//! From the gateway's values to the shapes of the API. Plain functions; nothing here decides.

use std::time::Duration;

use gateway_api::{
    AccountDetail, AccountStateView, AccountView, AttemptView, CandidateView, CooldownView, DecisionSummary,
    DecisionView, ExtensionActView, Overview, PolicyView, PoolTotals, RankingView, RatePoint, TokenTotals,
    WindowView,
};
use gateway_core::Gateway;
use gateway_core::decisions::{Acted, Attempt, Decision, DecisionState, Ranking};
use gateway_domain::{AccountId, Timestamp, TokenUsage, Window};
use gateway_scheduler::{
    AccountProfile, Action, Availability, Candidate, Cooldown, Health, PolicyVersion, Slot,
};

use super::account_rows;
use super::ways::why_closed;

/// Decisions on the overview.
const RECENT: usize = 20;
/// Seconds that "requests a second" looks back.
const RATE_SECONDS: usize = 10;

pub(super) fn overview(gateway: &Gateway) -> Overview {
    let now = gateway.now();
    let active = gateway.policy();
    let (history, mut overview) = gateway.with_traffic(|traffic| {
        let overview = Overview {
            now: now.as_millis(),
            started_at: gateway.started_at().as_millis(),
            requests_per_second: 0.0,
            in_flight: traffic.in_flight,
            requests: traffic.requests,
            failures: traffic.failures,
            tokens: tokens(traffic.tokens),
            ttft_p50_ms: traffic.ttft_p50_ms(),
            rate: Vec::new(),
            pool: PoolTotals::default(),
            accounts: Vec::new(),
            policy: policy(active.version(), &active.version().id()),
            recent: Vec::new(),
        };
        (traffic.history(now.as_secs()), overview)
    });
    let lately: u32 = history.iter().rev().take(RATE_SECONDS).map(|second| second.requests).sum();
    overview.requests_per_second = f64::from(lately) / RATE_SECONDS as f64;
    overview.rate = history
        .iter()
        .map(|second| RatePoint { requests: second.requests, failures: second.failures })
        .collect();
    (overview.pool, overview.accounts) = account_rows::to_look_at(gateway);
    overview.recent = newest(gateway, RECENT, None);
    overview
}

pub(super) fn account_detail(gateway: &Gateway, id: &AccountId, recent: usize) -> Option<AccountDetail> {
    let stored = gateway.accounts().get(id).cloned()?;
    let token = gateway.keeper().peek(id);
    let (quota_seen_at, reset_credits, served) = gateway.with_pool(|pool| {
        let slot = pool.slot(pool.find(id)?)?;
        Some((slot.quota_seen_at, slot.quota.reset_credits, slot.tokens))
    })?;
    Some(AccountDetail {
        account: account_rows::one(gateway, id)?,
        settings: super::account_settings::view(&stored.settings),
        workspace_id: stored.identity.workspace_id,
        created_at: stored.created_at.as_millis(),
        token_expires_at: token.as_ref().and_then(|token| token.expires_at).map(Timestamp::as_millis),
        refreshed_at: token.map(|token| token.refreshed_at.as_millis()),
        quota_seen_at: quota_seen_at.map(Timestamp::as_millis),
        reset_credits,
        tokens: tokens(served),
        recent: newest(gateway, recent, Some(id.as_str())),
    })
}

pub(super) fn account_view(slot: &Slot, email: Option<String>, now: Timestamp) -> AccountView {
    let (state, state_reason) = state_view(slot, now);
    let windows =
        [slot.quota.short, slot.quota.long].into_iter().flatten().map(|window| window_view(window, now));
    AccountView {
        id: slot.profile.id.to_string(),
        name: slot.profile.label.clone(),
        kind: slot.profile.provider.clone(),
        plan: Some(slot.profile.plan.clone()).filter(|plan| !plan.is_empty()),
        email,
        state,
        state_reason,
        windows: windows.collect(),
        cooldowns: slot.cooldowns_at(now).map(cooldown_view).collect(),
        groups: slot.profile.groups.clone(),
        tags: slot.profile.tags.clone(),
        pinned: slot.settings.pinned,
        in_flight: slot.in_flight,
        requests: slot.requests,
        failures: slot.failures,
        ttft_ms: known(slot.ttft_ewma_ms),
        last_used_at: slot.last_used_at.map(Timestamp::as_millis),
    }
}

/// What an account can do at `now`, in one word.
pub(super) fn account_state(slot: &Slot, now: Timestamp) -> AccountStateView {
    match &slot.availability {
        Availability::Paused => AccountStateView::Paused,
        Availability::SignInNeeded(_) => AccountStateView::SignInNeeded,
        Availability::Active => match slot.health(None, now) {
            Health::Healthy => AccountStateView::Healthy,
            Health::Degraded => AccountStateView::Degraded,
            Health::Probing => AccountStateView::Probing,
            Health::Cooling | Health::Blocked => AccountStateView::Cooling,
        },
    }
}

fn state_view(slot: &Slot, now: Timestamp) -> (AccountStateView, Option<String>) {
    let state = account_state(slot, now);
    let reason = match (state, &slot.availability) {
        (_, Availability::SignInNeeded(code)) => {
            Some(format!("the sign-in is no longer valid ({code}); import its auth.json anew"))
        }
        (AccountStateView::Degraded, _) => {
            Some("requests failed lately, or a window is nearly used up".to_owned())
        }
        (AccountStateView::Probing, _) => Some("coming back, one request at a time".to_owned()),
        (AccountStateView::Cooling, _) => why_closed(&slot.way).or_else(|| {
            slot.cooldown_at(None, now).map(|cooldown| format!("left alone after {}", cooldown.cause.label()))
        }),
        _ => None,
    };
    (state, reason)
}

fn window_view(window: Window, now: Timestamp) -> WindowView {
    WindowView {
        label: window_label(window.seconds),
        seconds: window.seconds,
        used: window.used_at(now),
        resets_at: window.resets_at.filter(|at| *at > now).map(Timestamp::as_millis),
    }
}

fn window_label(seconds: u64) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        604_800 => "weekly".to_owned(),
        // Months are reported as anything from 28 to 31 days.
        2_419_200..=2_678_400 => "monthly".to_owned(),
        DAY.. => format!("{} d", seconds / DAY),
        HOUR.. => format!("{} h", seconds / HOUR),
        _ => format!("{} min", seconds / 60),
    }
}

fn cooldown_view(cooldown: &Cooldown) -> CooldownView {
    CooldownView {
        cause: cooldown.cause.label().to_owned(),
        source: cooldown.source.label().to_owned(),
        model: cooldown.model.as_ref().map(ToString::to_string),
        until: cooldown.until.as_millis(),
    }
}

pub(super) fn newest(gateway: &Gateway, limit: usize, account: Option<&str>) -> Vec<DecisionSummary> {
    let served_by = |state: &DecisionState| state.attempts.last().map(|attempt| attempt.account.clone());
    let keep = |decision: &Decision| {
        account.is_none_or(|wanted| {
            decision.update(|state| served_by(state)).is_some_and(|account| account.as_str() == wanted)
        })
    };
    let newest = gateway.decisions().newest(limit, keep);
    newest.iter().map(|decision| summary(decision, &decision.snapshot())).collect()
}

fn summary(decision: &Decision, state: &DecisionState) -> DecisionSummary {
    let last = state.attempts.last();
    let ranking =
        last.and_then(|attempt| state.rankings.get(attempt.ranking)).or_else(|| state.rankings.last());
    DecisionSummary {
        request_id: decision.id.to_string(),
        at: decision.at.as_millis(),
        model: state.model.to_string(),
        client: state.client.to_string(),
        account_id: last.map(|attempt| attempt.account.to_string()),
        account_name: last.map(|attempt| attempt.account_name.to_string()),
        reason: ranking.map(|ranking| ranking.decision.reason.clone()).unwrap_or_default(),
        outcome: state.outcome.label().to_owned(),
        status: state.status,
        duration_ms: state.duration.map(millis),
        attempts: u32::try_from(state.attempts.len()).unwrap_or(u32::MAX),
    }
}

pub(super) fn decision(gateway: &Gateway, decision: &Decision) -> DecisionView {
    let state = decision.snapshot();
    let active = gateway.policy().version().id();
    DecisionView {
        summary: summary(decision, &state),
        route: decision.route.label().to_owned(),
        transport: state.transport.label().to_owned(),
        streaming: state.streaming,
        session: state.session.as_ref().map(ToString::to_string),
        body_bytes: state.body_bytes as u64,
        usage: state.usage.map(tokens),
        edits: state.edits.iter().map(ToString::to_string).collect(),
        extensions: state.extensions.iter().map(act_view).collect(),
        mapped_to: state.mapped_to.as_ref().map(ToString::to_string),
        tags: state.tags.clone(),
        rankings: state.rankings.iter().map(|ranking| ranking_view(ranking, &active)).collect(),
        attempts: state.attempts.iter().map(attempt_view).collect(),
    }
}

pub(super) fn act_view(acted: &Acted) -> ExtensionActView {
    ExtensionActView {
        hook: acted.hook.label().to_owned(),
        id: acted.id.clone(),
        label: acted.label.clone(),
        digest: acted.digest.chars().take(8).collect(),
        mode: acted.mode.label().to_owned(),
        act: acted.act.label().to_owned(),
        why: acted.why.clone(),
        rules: acted.rules.iter().map(|rule| (rule.rule.clone(), rule.hits)).collect(),
    }
}

fn attempt_view(attempt: &Attempt) -> AttemptView {
    AttemptView {
        account_id: attempt.account.to_string(),
        account_name: attempt.account_name.to_string(),
        outcome: attempt.outcome.label().to_owned(),
        upstream_status: attempt.upstream_status,
        transport: attempt.transport.map(|transport| transport.label().to_owned()),
        started_ms: millis(attempt.started),
        first_event_ms: attempt.first_event.map(millis),
        ranking: u32::try_from(attempt.ranking).unwrap_or(u32::MAX),
    }
}

fn ranking_view(ranking: &Ranking, active: &str) -> RankingView {
    let (action, order) = match &ranking.decision.action {
        Action::Ranked(order) => ("ranked", order.as_slice()),
        Action::WaitMs(_) => ("wait", [].as_slice()),
        Action::Refuse(_) => ("refuse", [].as_slice()),
        Action::Delegate => ("delegate", [].as_slice()),
    };
    let place = |candidate: &Candidate| {
        order
            .iter()
            .position(|account| *account == candidate.account)
            .and_then(|at| u32::try_from(at + 1).ok())
    };
    let scores = ranking.decision.scores.iter().copied().chain(std::iter::repeat(f64::NAN));
    let mut candidates: Vec<CandidateView> = ranking
        .input
        .candidates
        .iter()
        .zip(scores)
        .map(|(candidate, score)| candidate_view(ranking, candidate, place(candidate), score))
        .collect();
    candidates.sort_by_key(|candidate| candidate.rank.unwrap_or(u32::MAX));
    RankingView {
        policy: policy(&ranking.policy, active),
        fallback: ranking.fallback.map(str::to_owned),
        action: action.to_owned(),
        reason: ranking.decision.reason.clone(),
        took_us: ranking.took.as_secs_f64() * 1e6,
        now: ranking.input.now.as_millis(),
        seed: ranking.input.seed.to_string(),
        seq: ranking.input.seq,
        candidates,
    }
}

fn candidate_view(ranking: &Ranking, candidate: &Candidate, rank: Option<u32>, score: f64) -> CandidateView {
    let profile = usize::try_from(candidate.account.0).ok().and_then(|at| ranking.roster.accounts.get(at));
    CandidateView {
        account_id: profile.map(|profile| profile.id.to_string()).unwrap_or_default(),
        account_name: profile.map(|profile| profile.label.clone()).unwrap_or_default(),
        health: candidate.health.label().to_owned(),
        rank,
        score: known(score),
        in_flight: candidate.in_flight,
        max_concurrency: candidate.max_concurrency,
        short_window_used: known(candidate.short_window_used),
        long_window_used: known(candidate.long_window_used),
        short_window_resets_in_ms: Some(candidate.short_window_resets_in_ms).filter(|ms| *ms > 0),
        long_window_resets_in_ms: Some(candidate.long_window_resets_in_ms).filter(|ms| *ms > 0),
        cooldown_ms: Some(candidate.cooldown_ms).filter(|ms| *ms > 0),
        ttft_ms: known(candidate.ttft_ewma_ms),
        error_rate: candidate.error_rate_ewma,
        session_affine: candidate.session_affine,
        why_not: why_not(ranking, candidate, profile),
    }
}

/// What its health does not tell: it cannot be reached, or the client's key does not reach it.
fn why_not(ranking: &Ranking, candidate: &Candidate, profile: Option<&AccountProfile>) -> Option<String> {
    let closed = ranking.closed.iter().find(|(account, _)| *account == candidate.account);
    let outside = || {
        let (scope, profile) = (ranking.scope.as_ref()?, profile?);
        let outside = !scope.holds(&profile.id, &profile.groups);
        outside.then(|| "not among the groups and accounts that the client's key may use".to_owned())
    };
    outside().or_else(|| closed.and_then(|(_, way)| why_closed(way)))
}

pub(super) fn policy(version: &PolicyVersion, active: &str) -> PolicyView {
    let id = version.id();
    PolicyView {
        active: id == active,
        id,
        name: version.name.clone(),
        language: version.language.label().to_owned(),
        digest: version.digest.clone(),
    }
}

const fn tokens(usage: TokenUsage) -> TokenTotals {
    TokenTotals {
        input: usage.input,
        input_cached: usage.input_cached,
        output: usage.output,
        reasoning: usage.reasoning,
    }
}

/// NaN is how the pure parts say unknown; here that is `null`.
fn known(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
