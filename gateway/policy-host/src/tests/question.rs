//! Questions from JSON: the shape of `policies/cases/*/*.json`, and of the tests here.

use std::sync::Arc;

use gateway_domain::{AccountId, ModelName, RequestId, SessionKey, Timestamp};
use gateway_scheduler::{
    AccountProfile, AccountRef, Action, Candidate, Health, RankDecision, RankInput, RequestInfo, Roster,
};
use serde::Deserialize;

/// One question; what is left out is ordinary.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    #[serde(default)]
    request: Request,
    accounts: Vec<Account>,
    /// Labels.
    #[serde(default)]
    tried: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    model: String,
    client: String,
    session: Option<String>,
    seq: u64,
    seed: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self { model: "gpt-5".to_owned(), client: "local".to_owned(), session: None, seq: 1, seed: 1 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Account {
    label: String,
    plan: String,
    provider: String,
    health: String,
    in_flight: u32,
    max_concurrency: u32,
    /// Left out is unknown.
    short_window_used: Option<f64>,
    long_window_used: Option<f64>,
    ttft_ewma_ms: Option<f64>,
    error_rate_ewma: f64,
    session_affine: bool,
    last_picked_seq: u64,
    weight: f64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            label: String::new(),
            plan: String::new(),
            provider: "codex".to_owned(),
            health: "healthy".to_owned(),
            in_flight: 0,
            max_concurrency: 4,
            short_window_used: None,
            long_window_used: None,
            ttft_ewma_ms: None,
            error_rate_ewma: 0.0,
            session_affine: false,
            last_picked_seq: 0,
            weight: 1.0,
        }
    }
}

impl Account {
    fn health(&self) -> Health {
        let all = [Health::Healthy, Health::Degraded, Health::Probing, Health::Cooling, Health::Blocked];
        let found = all.into_iter().find(|health| health.label() == self.health);
        found.unwrap_or_else(|| panic!("no health is called {}", self.health))
    }

    fn profile(&self, account: AccountRef) -> AccountProfile {
        AccountProfile {
            account,
            id: AccountId::parse(&format!("acc_{}", self.label)).unwrap(),
            label: self.label.clone(),
            provider: self.provider.clone(),
            plan: self.plan.clone(),
            weight: self.weight,
            max_concurrency: self.max_concurrency,
        }
    }

    fn candidate(&self, account: AccountRef) -> Candidate {
        Candidate {
            account,
            health: self.health(),
            in_flight: self.in_flight,
            max_concurrency: self.max_concurrency,
            short_window_used: self.short_window_used.unwrap_or(f64::NAN),
            long_window_used: self.long_window_used.unwrap_or(f64::NAN),
            short_window_resets_in_ms: 0,
            long_window_resets_in_ms: 0,
            cooldown_ms: 0,
            ttft_ewma_ms: self.ttft_ewma_ms.unwrap_or(f64::NAN),
            error_rate_ewma: self.error_rate_ewma,
            session_affine: self.session_affine,
            idle_ms: u64::MAX,
            last_picked_seq: self.last_picked_seq,
            weight: self.weight,
        }
    }
}

impl Question {
    pub(super) fn parts(&self) -> (Arc<Roster>, Arc<RankInput>) {
        let refs = || (0..).map(AccountRef).zip(&self.accounts);
        let handle = |label: &String| {
            refs()
                .find(|(_, account)| account.label == *label)
                .unwrap_or_else(|| panic!("nobody is {label}"))
                .0
        };
        let roster = Roster {
            generation: 1,
            accounts: refs().map(|(account, facts)| facts.profile(account)).collect(),
        };
        let input = RankInput {
            info: RequestInfo {
                request_id: RequestId::parse("req_case").unwrap(),
                client: self.request.client.clone(),
                session: self.request.session.as_deref().map(|session| SessionKey::parse(session).unwrap()),
                model: ModelName::parse(&self.request.model).unwrap(),
                streaming: true,
                body_bytes: 2048,
                attempt: u32::try_from(self.tried.len()).unwrap(),
            },
            now: Timestamp::from_millis(1_750_000_000_000),
            seed: self.request.seed,
            seq: self.request.seq,
            generation: 1,
            candidates: refs().map(|(account, facts)| facts.candidate(account)).collect(),
            tried: self.tried.iter().map(handle).collect(),
        };
        (Arc::new(roster), Arc::new(input))
    }

    /// The labels of a ranking, or the word for another action.
    pub(super) fn order(&self, decision: &RankDecision) -> Vec<String> {
        match &decision.action {
            Action::Ranked(accounts) => {
                accounts.iter().map(|account| self.accounts[account.0 as usize].label.clone()).collect()
            }
            Action::WaitMs(ms) => vec![format!("wait {ms}")],
            Action::Refuse(rejection) => vec![format!("refuse {} {}", rejection.http_status, rejection.code)],
            Action::Delegate => vec!["delegate".to_owned()],
        }
    }
}
