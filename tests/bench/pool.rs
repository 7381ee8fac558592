//! What a large pool costs: choosing one account of many, and storing and listing them. In this process; the choice with
//! everything an account can have (windows, ties, models of its own), the storage with secrets as long as real ones.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gateway_core::ports::NewAccount;
use gateway_domain::{
    AccountId, AccountIdentity, AccountKind, AccountSettings, Credentials, ModelName, QuotaSnapshot,
    RequestId, Secret, SessionKey, Timestamp, TokenUsage, Window,
};
use gateway_scheduler::{
    AccountRef, Action, Ask, Availability, BuiltIn, Ending, Enrolment, Member, MemberSettings, Pool,
    RankingPolicy, RequestInfo, Surface, validate,
};
use gateway_store::{KeyRing, StoreOptions};
use serde::Serialize;

use crate::measure::{median, micros};
use crate::report::say;

/// Accounts that are chosen among.
pub(crate) const CHOICES: [u32; 3] = [50, 500, 10_000];
/// Accounts that are imported at once.
pub(crate) const IMPORTED: usize = 5_000;
/// Accounts that are listed.
pub(crate) const LISTED: usize = 2 * IMPORTED;
/// Choices in a batch; the median of the batches is told.
const BATCH: u32 = 64;
const BATCHES: usize = 100;
/// Conversations that come back, each to its owner.
const CONVERSATIONS: u32 = 64;

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Accounts, and microseconds for one choice: question, ranking, check, place taken and given back.
    pub(crate) choice_us: Vec<(u32, f64)>,
    /// Seconds to import [`IMPORTED`] accounts.
    pub(crate) import_s: f64,
    /// Milliseconds to list [`LISTED`] accounts.
    pub(crate) list_ms: f64,
}

/// Measures all of it.
pub(crate) async fn run() -> Result<Findings> {
    say("large pools");
    let mut choice_us = Vec::new();
    for accounts in CHOICES {
        choice_us.push((accounts, choice(accounts)?));
    }
    let (import_s, list_ms) = storage().await?;
    Ok(Findings { choice_us, import_s, list_ms })
}

fn choice(accounts: u32) -> Result<f64> {
    let now = Timestamp::from_secs(1_000);
    let mut pool = lived_in(accounts, now)?;
    let (builtin, model) = (BuiltIn::default(), ModelName::parse("gpt-5.5")?);
    let roster = pool.roster().clone();
    let mut turn = 0;
    let mut once = |pool: &mut Pool| -> Result<()> {
        turn = (turn + 1) % CONVERSATIONS;
        let asked = pool.ask(Ask::new(request(turn, &model)?, 7), now);
        let decision = validate(&asked.input, builtin.rank(&roster, &asked.input)?)?;
        let Action::Ranked(order) = decision.action else { anyhow::bail!("nobody was ranked") };
        let lease = order.iter().find_map(|one| pool.take(*one, &asked.standing, now));
        let usage = TokenUsage { input: 9_000, input_cached: 8_000, output: 10, reasoning: 0 };
        let ending = Ending::Served { first_event_ms: Some(5.0), usage: Some(usage) };
        pool.release(lease.context("no place was free")?, ending, &model, now);
        Ok(())
    };
    for _ in 0..2 * CONVERSATIONS {
        once(&mut pool)?;
    }
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..BATCH {
            once(&mut pool)?;
        }
        batches.push(micros(begun.elapsed()) / f64::from(BATCH));
    }
    black_box(&pool);
    Ok(median(batches))
}

fn request(conversation: u32, model: &ModelName) -> Result<RequestInfo> {
    Ok(RequestInfo {
        request_id: RequestId::parse("req_bench")?,
        client: "local".to_owned(),
        session: Some(SessionKey::parse(&format!("s{conversation}"))?),
        model: model.clone(),
        surface: Surface::Api,
        streaming: true,
        body_bytes: 9_000,
        attempt: 0,
    })
}

fn lived_in(accounts: u32, now: Timestamp) -> Result<Pool> {
    let mut pool = Pool::default();
    for n in 0..accounts {
        let member = Member {
            id: AccountId::parse(&format!("acc_{n}"))?,
            label: format!("a{n}"),
            provider: "codex".to_owned(),
            plan: "plus".to_owned(),
            availability: Availability::Active,
            quota: None,
        };
        let settings = MemberSettings {
            groups: [format!("g{}", n % 7)].into(),
            allowed_models: ["gpt-5*".to_owned(), format!("o{}", n % 5)].into(),
            max_concurrency: Some(4 + n % 8),
            ..MemberSettings::default()
        };
        pool.put_all([Enrolment { member, settings }]);
        let used = f64::from(n * 37 % 100) / 110.0;
        let resets_at = Some(now.plus(Duration::from_secs(9_000)));
        let window = |seconds| Some(Window { seconds, used, resets_at });
        let quota =
            QuotaSnapshot { short: window(18_000), long: window(604_800), ..QuotaSnapshot::default() };
        pool.observe_quota(AccountRef(n), &quota, now);
    }
    Ok(pool)
}

async fn storage() -> Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let keys = KeyRing::load_or_create(&folder.path().join("key"))?;
    let file = folder.path().join("gateway.db");
    let file = file.to_str().context("the folder's name is no text")?;
    let store = gateway_store::open(file, keys, &StoreOptions::default()).await?;
    let accounts = store.accounts();
    let mut imports = Vec::new();
    for first in [0, IMPORTED] {
        let batch = (first..first + IMPORTED).map(account).collect();
        let begun = Instant::now();
        let imported = accounts.import_many(batch).await?;
        imports.push(begun.elapsed().as_secs_f64());
        ensure!(imported.iter().all(Result::is_ok), "not every account was imported");
    }
    let begun = Instant::now();
    let listed = accounts.list().await?;
    let list_ms = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(listed.len() == LISTED, "{} accounts were listed", listed.len());
    store.close().await;
    Ok((imports.into_iter().fold(0.0, f64::max), list_ms))
}

fn account(number: usize) -> (NewAccount, Credentials) {
    let account = NewAccount {
        id: AccountId::generate(),
        kind: AccountKind::Codex,
        name: format!("user-{number}"),
        identity: AccountIdentity {
            workspace_id: Some("workspace".to_owned()),
            user_id: Some(format!("user-{number}")),
            email: Some(format!("user-{number}@example.org")),
        },
        plan: Some("plus".to_owned()),
        settings: AccountSettings { groups: ["team".to_owned()].into(), ..AccountSettings::default() },
        created_at: Timestamp::from_secs(0),
    };
    let token = |kind: &str, length: usize| Secret::new(format!("{kind}-{number}-{}", "x".repeat(length)));
    let credentials = Credentials {
        access_token: token("access", 1_800),
        refresh_token: Some(token("refresh", 200)),
        id_token: Some(token("identity", 1_500)),
        expires_at: None,
        refreshed_at: Timestamp::from_secs(0),
    };
    (account, credentials)
}
