//! Starting a window again that has reset and that nobody uses, with one tiny turn, so that it has partly passed when
//! work begins. Only for accounts whose operator asked for it; at most one turn for each window.
//!
//! Refuses: accounts that cool down, that serve somebody right now, or whose longer window is used up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gateway_domain::{
    AccountId, AccountKind, AccountSettings, Dispatch, Failure, FailureKind, ModelName, QuotaSnapshot,
    RequestId, Timestamp, TokenUsage, Window,
};
use gateway_protocol::codex::{
    classify_answer, classify_error_object, quota_from_event, quota_from_header_list,
};
use gateway_protocol::responses::{CallerKind, EventKind, classify_event, read_terminal};
use gateway_protocol::sse::{EventLines, SseFramer};
use gateway_scheduler::{AccountRef, Availability, Slot};
use serde_json::json;
use tokio::time::Instant;

use super::{Rounds, quota};
use crate::Gateway;
use crate::ports::{Continues, Endpoint, Hops, ResponseBody, SettlementRecord, UpstreamRequest};

/// How often windows are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// Turns at once.
const AT_ONCE: usize = 4;
/// The longest a turn may take.
const TURN_TIME: Duration = Duration::from_secs(120);
/// The most of an answer that is read.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// A window that nobody started ends this close to its full length from now, whenever one asks.
const TOLERANCE: Duration = Duration::from_secs(60);
/// A turn that never left is tried again after this.
const AGAIN: Duration = Duration::from_secs(600);
/// How these turns are called in the ledger.
const CLIENT: &str = "warm-up";

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, EVERY);
    let mut not_before: HashMap<AccountId, Timestamp> = HashMap::new();
    while rounds.next().await.is_some() {
        let now = gateway.now();
        not_before.retain(|_, until| now < *until);
        let due: Vec<_> =
            candidates(&gateway).into_iter().filter(|(id, _)| !not_before.contains_key(id)).collect();
        let warming = futures_util::stream::iter(due)
            .map(|(id, account)| {
                let gateway = &gateway;
                async move { warm(gateway, &id, account).await.map(|until| (id, until)) }
            })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect::<Vec<_>>();
        match rounds.unless_stopped(warming).await {
            None => return,
            Some(warmed) => not_before.extend(warmed),
        }
    }
}

/// Accounts with a window to start.
fn candidates(gateway: &Gateway) -> Vec<(AccountId, AccountRef)> {
    let accounts = gateway.accounts();
    let wanted: Vec<&AccountId> = accounts
        .values()
        .filter(|account| account.settings.warm_up && account.kind == AccountKind::Codex)
        .map(|account| &account.id)
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let now = gateway.now();
    gateway.with_pool(|pool| {
        let slots = wanted.iter().filter_map(|id| pool.slot(pool.find(id)?));
        slots
            .filter(|slot| resting_window(slot, now).is_some())
            .map(|slot| (slot.profile.id.clone(), slot.profile.account))
            .collect()
    })
}

fn resting_window(slot: &Slot, now: Timestamp) -> Option<Window> {
    let free = slot.availability == Availability::Active
        && slot.in_flight == 0
        && slot.cooldowns_at(now).next().is_none();
    if free { to_start(&slot.quota, now) } else { None }
}

/// The window that a turn would start: the shortest that there is, unless the other one is used up.
fn to_start(quota: &QuotaSnapshot, now: Timestamp) -> Option<Window> {
    let window = quota.short.or(quota.long)?;
    let blocked = quota.long.is_some_and(|long| long.used_at(now) >= 1.0);
    (!blocked && is_unstarted(&window, now)).then_some(window)
}

/// Whether a window's end moves along with the clock: it has passed, or nobody has begun a new one.
fn is_unstarted(window: &Window, now: Timestamp) -> bool {
    let Some(resets_at) = window.resets_at else { return window.used <= 0.0 };
    if resets_at <= now {
        return true;
    }
    let left = Duration::from_millis(now.millis_until(resets_at));
    window.used <= 0.0 && left + TOLERANCE >= Duration::from_secs(window.seconds)
}

/// Starts an account's window; answers until when it is left alone. Its numbers are asked for first, because another
/// process may have been quicker.
async fn warm(gateway: &Gateway, id: &AccountId, account: AccountRef) -> Option<Timestamp> {
    if !quota::ask(gateway, id, account).await {
        return Some(gateway.now().plus(TOLERANCE));
    }
    let now = gateway.now();
    let window = gateway.with_pool(|pool| resting_window(pool.slot(account)?, now))?;
    let settings = gateway.accounts().get(id)?.settings.clone();
    let model = smallest_model(gateway.catalogue().slugs(), &settings)?;
    let started = Instant::now();
    let turn = tokio::time::timeout(TURN_TIME, turn(gateway, id, account, &model)).await;
    let late = || Err(Failure::upstream(FailureKind::UpstreamTimeout, "the warm-up took too long"));
    let ended = turn.unwrap_or_else(|_| late());
    gateway.pool.lock().tested(account, ended.as_ref().map(|_| None), &model, gateway.now());
    settle(gateway, id, &model, now, started.elapsed(), ended.as_ref().copied());
    let unsent = ended.is_err_and(|failure| failure.dispatch == Dispatch::NotSent);
    Some(now.plus(if unsent { AGAIN } else { Duration::from_secs(window.seconds) }))
}

/// A small model that the account may use.
fn smallest_model(slugs: &[String], settings: &AccountSettings) -> Option<ModelName> {
    let allowed = || slugs.iter().filter(|slug| settings.allows(slug));
    let small = allowed().find(|slug| slug.contains("mini")).or_else(|| allowed().next())?;
    ModelName::parse(small).ok()
}

fn body(model: &ModelName) -> Bytes {
    let question = json!({
        "model": model.as_str(),
        "instructions": "Reply with OK only.",
        "input": [{
            "type": "message",
            "role": "user",
            "content": [{ "type": "input_text", "text": "Say OK." }],
        }],
        "stream": true,
        "store": false,
    });
    Bytes::from(question.to_string())
}

async fn turn(
    gateway: &Gateway,
    id: &AccountId,
    account: AccountRef,
    model: &ModelName,
) -> Result<Option<TokenUsage>, Failure> {
    let nothing = |why: &str| Failure::gateway(FailureKind::NoAccount, why).dispatched(Dispatch::NotSent);
    let to = gateway.destination(id).ok_or_else(|| nothing("the account has no way out"))?;
    let token = gateway.keeper.token(id, gateway.now()).await;
    let token = token.map_err(|_| nothing("the account has no token"))?;
    let request = UpstreamRequest {
        to,
        endpoint: Endpoint::Responses,
        headers: Arc::default(),
        caller: CallerKind::Foreign,
        continues: Continues::Anew,
        body: body(model),
        backend: None,
        access_token: token.token,
        hops: Hops::default(),
    };
    let response = gateway.upstream.respond(request).await?;
    let headers =
        response.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let told = quota_from_header_list(headers, gateway.now());
    gateway.pool.lock().observe_quota(account, &told, gateway.now());
    if !response.status.is_success() {
        let body = read_some(response.body).await;
        return Err(classify_answer(response.status.as_u16(), &body, None, &told, gateway.now()));
    }
    read_events(gateway, account, response.body).await
}

async fn read_some(mut body: ResponseBody) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        read.extend_from_slice(&chunk);
        if read.len() > MAX_ANSWER_BYTES {
            break;
        }
    }
    read
}

/// Reads the answer to its end: a turn that is dropped half-way may not count.
async fn read_events(
    gateway: &Gateway,
    account: AccountRef,
    mut body: ResponseBody,
) -> Result<Option<TokenUsage>, Failure> {
    let malformed = |why: String| Failure::upstream(FailureKind::Malformed, why);
    let mut framer = SseFramer::default();
    let (mut ended, mut quota, mut read) = (None, None, 0_usize);
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        read += chunk.len();
        let pushed = framer.push(chunk, |event| match classify_event(event) {
            EventKind::Completed | EventKind::Incomplete => ended = Some(Ok(read_terminal(event).usage)),
            EventKind::Failed | EventKind::Error => ended = Some(Err(failure_of(gateway, event))),
            EventKind::Quota => {
                quota = payload(event).and_then(|payload| quota_from_event(&payload, gateway.now()))
            }
            _ => {}
        });
        pushed.map_err(|error| malformed(error.to_string()))?;
        if let Some(told) = quota.take() {
            gateway.pool.lock().observe_quota(account, &told, gateway.now());
        }
        if let Some(ended) = ended.take() {
            return ended;
        }
        if read > MAX_ANSWER_BYTES {
            return Err(malformed("the answer to a warm-up is far too long".to_owned()));
        }
    }
    Err(Failure::upstream(FailureKind::StreamCut, "the upstream ended the stream early"))
}

fn payload(event: &[u8]) -> Option<Vec<u8>> {
    EventLines::read(event).data.map(<[u8]>::to_vec)
}

fn failure_of(gateway: &Gateway, event: &[u8]) -> Failure {
    let error = read_terminal(event).error.map_or("{}", |error| error.get());
    classify_error_object(error, gateway.now())
}

/// Writes the turn down like any other.
fn settle(
    gateway: &Gateway,
    id: &AccountId,
    model: &ModelName,
    at: Timestamp,
    took: Duration,
    ended: Result<Option<TokenUsage>, &Failure>,
) {
    let outcome = ended.err().map_or("completed", |failure| failure.kind.label());
    tracing::info!(account.id = %id, outcome, "a window that had reset was started again");
    let record = SettlementRecord {
        request: RequestId::generate(),
        at,
        client: CLIENT.into(),
        model: model.shared(),
        account: Some(id.clone()),
        outcome: outcome.into(),
        status: ended.err().map_or(200, |failure| gateway.observer.status_of(failure)),
        usage: ended.ok().flatten(),
        first_event_ms: None,
        duration_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
        attempts: 1,
    };
    if gateway.settlements.try_send(record).is_err() {
        gateway.observer.settlement_dropped();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn window(seconds: u64, used: f64, resets_in: i64) -> Window {
        let resets_at = Some(Timestamp::from_secs(NOW.as_secs() + resets_in));
        Window { seconds, used, resets_at }
    }

    #[test]
    fn which_window_is_started() {
        let short = |used, resets_in| Some(window(18_000, used, resets_in));
        let long = |used, resets_in| Some(window(604_800, used, resets_in));
        let unknown = Some(Window { seconds: 18_000, used: 0.0, resets_at: None });
        for (name, quota, expect) in [
            ("nothing is known", (None, None), None),
            ("it has reset", (short(1.0, -5), None), Some(18_000)),
            ("nobody began it", (short(0.0, 17_990), long(0.3, 1_000)), Some(18_000)),
            ("somebody began it", (short(0.0, 17_000), None), None),
            ("it is in use", (short(0.1, 17_990), None), None),
            ("its end is not told", (unknown, None), Some(18_000)),
            ("the longer one is used up", (short(0.0, 18_000), long(1.0, 1_000)), None),
            ("the longer one has reset too", (short(0.0, 18_000), long(1.0, -1)), Some(18_000)),
            ("only a long one", (None, long(0.9, -1)), Some(604_800)),
        ] {
            let quota = QuotaSnapshot { short: quota.0, long: quota.1, ..QuotaSnapshot::default() };
            assert_eq!(to_start(&quota, NOW).map(|window| window.seconds), expect, "{name}");
        }
    }

    #[test]
    fn a_small_model_that_the_account_may_use() {
        let slugs = ["gpt-9", "gpt-9-mini", "gpt-8-mini"].map(str::to_owned);
        let mut settings = AccountSettings::default();
        assert_eq!(smallest_model(&slugs, &settings).unwrap().as_str(), "gpt-9-mini");
        settings.allowed_models = ["gpt-9".to_owned()].into();
        assert_eq!(smallest_model(&slugs, &settings).unwrap().as_str(), "gpt-9");
        settings.allowed_models = ["other".to_owned()].into();
        assert!(smallest_model(&slugs, &settings).is_none());
    }
}
