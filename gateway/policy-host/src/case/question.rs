//! A question by labels, and the input it stands for. What is left out is ordinary: healthy, idle, four requests at
//! once, weight 1, windows unknown.

use std::sync::Arc;

use gateway_domain::{AccountId, ModelName, RequestId, SessionKey, Timestamp};
use gateway_scheduler::{
    AccountProfile, AccountRef, Action, Candidate, Health, Preference, RankDecision, RankInput, RequestInfo,
    Roster, Surface,
};
use rhai::{Dynamic, Map};

use super::{Fields, action_word};

/// The clock of a question that does not set it.
const NOW_MS: i64 = 1_750_000_000_000;
/// Requests at once of an account that does not say.
const MAX_CONCURRENCY: u32 = 4;

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) roster: Arc<Roster>,
    pub(crate) input: Arc<RankInput>,
}

impl Question {
    /// `accounts`, and optionally `request` and `tried` (labels).
    pub(crate) fn from_map(map: &Map) -> Result<Self, String> {
        let mut fields = Fields::of(map, "the question");
        let accounts = fields.get("accounts").map(|accounts| accounts.clone().into_array());
        let accounts = accounts.and_then(Result::ok).ok_or("a question needs a list of accounts")?;
        let tried = fields.texts("tried")?.unwrap_or_default();
        let request = fields.map("request")?.unwrap_or_default();
        fields.finish()?;

        let (mut profiles, mut candidates) = (Vec::new(), Vec::new());
        for (handle, account) in (0_u32..).map(AccountRef).zip(accounts) {
            let (profile, candidate) = account_of(handle, account)?;
            profiles.push(profile);
            candidates.push(candidate);
        }
        let handle = |label: &String| {
            let found = profiles.iter().find(|profile| profile.label == *label);
            found
                .map(|profile| profile.account)
                .ok_or_else(|| format!("tried names {label}, which is no account"))
        };
        let tried: Vec<AccountRef> = tried.iter().map(handle).collect::<Result<_, _>>()?;
        let input = input_of(&request, candidates, tried)?;
        Ok(Self { roster: Arc::new(Roster { generation: 1, accounts: profiles }), input: Arc::new(input) })
    }

    pub(crate) fn label(&self, account: AccountRef) -> &str {
        let profile = self.roster.accounts.iter().find(|profile| profile.account == account);
        profile.map(|profile| profile.label.as_str()).unwrap_or_default()
    }

    /// The labels of a ranking, or the word for another action.
    pub(crate) fn order(&self, decision: &RankDecision) -> Vec<String> {
        match &decision.action {
            Action::Ranked(accounts) => {
                accounts.iter().map(|account| self.label(*account).to_owned()).collect()
            }
            other => vec![action_word(other)],
        }
    }
}

fn input_of(request: &Map, candidates: Vec<Candidate>, tried: Vec<AccountRef>) -> Result<RankInput, String> {
    let mut fields = Fields::of(request, "the request");
    let wrong = |what: &str, error: &dyn std::fmt::Display| format!("{what} of the request: {error}");
    let session = fields.text("session")?.filter(|session| !session.is_empty());
    let info = RequestInfo {
        request_id: RequestId::parse("req_case").map_err(|error| error.to_string())?,
        client: fields.text("client")?.unwrap_or_else(|| "local".to_owned()),
        session: session
            .map(|session| SessionKey::parse(&session))
            .transpose()
            .map_err(|error| wrong("session", &error))?,
        model: ModelName::parse(&fields.text("model")?.unwrap_or_else(|| "gpt-5".to_owned()))
            .map_err(|error| wrong("model", &error))?,
        surface: match fields.text("surface")?.as_deref() {
            None | Some("api") => Surface::Api,
            Some("cli") => Surface::Cli,
            Some(other) => return Err(format!("surface of the request is api or cli, not {other}")),
        },
        streaming: fields.truth("streaming")?.unwrap_or(true),
        body_bytes: fields.count("body_bytes")?.unwrap_or(2048),
        attempt: u32::try_from(tried.len()).unwrap_or(u32::MAX),
    };
    let input = RankInput {
        info,
        now: Timestamp::from_millis(fields.count::<i64>("now_ms")?.unwrap_or(NOW_MS)),
        seed: fields.count("seed")?.unwrap_or(1),
        seq: fields.count("seq")?.unwrap_or(1),
        generation: 1,
        candidates,
        tried,
    };
    fields.finish()?;
    Ok(input)
}

fn account_of(account: AccountRef, map: Dynamic) -> Result<(AccountProfile, Candidate), String> {
    let map = map.try_cast::<Map>().ok_or("an account is an object like { \"label\": \"a\" }")?;
    let mut fields = Fields::of(&map, "an account");
    let label = fields.text("label")?.ok_or("an account needs a label")?;
    let profile = AccountProfile {
        account,
        id: AccountId::parse(&format!("acc_{label}")).map_err(|error| format!("label {label}: {error}"))?,
        provider: fields.text("provider")?.unwrap_or_else(|| "codex".to_owned()),
        plan: fields.text("plan")?.unwrap_or_default(),
        weight: fields.number("weight")?.unwrap_or(1.0),
        max_concurrency: fields.count("max_concurrency")?.unwrap_or(MAX_CONCURRENCY),
        groups: fields.texts("groups")?.unwrap_or_default(),
        tags: fields.texts("tags")?.unwrap_or_default(),
        label,
    };
    let candidate = candidate_of(&mut fields, &profile)?;
    fields.finish()?;
    Ok((profile, candidate))
}

fn candidate_of(fields: &mut Fields<'_>, profile: &AccountProfile) -> Result<Candidate, String> {
    let ordinary = Candidate::new(profile.account);
    Ok(Candidate {
        health: health(fields.text("health")?.as_deref())?,
        in_flight: fields.count("in_flight")?.unwrap_or(0),
        max_concurrency: profile.max_concurrency,
        short_window_used: fields.number("short_window_used")?.unwrap_or(f64::NAN),
        long_window_used: fields.number("long_window_used")?.unwrap_or(f64::NAN),
        short_window_resets_in_ms: fields.count("short_window_resets_in_ms")?.unwrap_or(0),
        long_window_resets_in_ms: fields.count("long_window_resets_in_ms")?.unwrap_or(0),
        cooldown_ms: fields.count("cooldown_ms")?.unwrap_or(0),
        ttft_ewma_ms: fields.number("ttft_ewma_ms")?.unwrap_or(f64::NAN),
        error_rate_ewma: fields.number("error_rate_ewma")?.unwrap_or(0.0),
        session_affine: fields.truth("session_affine")?.unwrap_or(false),
        idle_ms: fields.count("idle_ms")?.unwrap_or(ordinary.idle_ms),
        last_picked_seq: fields.count("last_picked_seq")?.unwrap_or(0),
        weight: profile.weight,
        priority: fields.number("priority")?.unwrap_or(0.0),
        preference: preference(fields.text("preference")?.as_deref())?,
        health_score: fields.number("health_score")?.unwrap_or(ordinary.health_score),
        capacity: fields.number("capacity")?.unwrap_or(f64::NAN),
        cost: fields.number("cost")?.unwrap_or(f64::NAN),
        move_price: fields.number("move_price")?.unwrap_or(0.0),
        pinned: fields.truth("pinned")?.unwrap_or(false),
        ..ordinary
    })
}

fn health(word: Option<&str>) -> Result<Health, String> {
    let all = [Health::Healthy, Health::Degraded, Health::Probing, Health::Cooling, Health::Blocked];
    let word = word.unwrap_or("healthy");
    all.into_iter()
        .find(|health| health.label() == word)
        .ok_or_else(|| format!("health is {}, not {word}", all.map(Health::label).join(", ")))
}

fn preference(word: Option<&str>) -> Result<Preference, String> {
    match word.unwrap_or("normal") {
        "preserve" => Ok(Preference::Preserve),
        "normal" => Ok(Preference::Normal),
        "burn-first" => Ok(Preference::BurnFirst),
        other => Err(format!("preference is preserve, normal, burn-first, not {other}")),
    }
}
