//! Sending it: one account after another until the first event is there, never after it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use gateway_domain::{AccountId, AccountKind, Dialect, Dispatch, Failure, FailureKind, Retry};
use gateway_protocol::codex::{classify_answer, dead_token_code, quota_from_header_list, quota_from_headers};
use gateway_protocol::keep_alive;
use gateway_protocol::responses::CallerKind;
use gateway_protocol::turn::{AnswerContext, ToolNames};
use gateway_scheduler::AccountRef;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::Route;
use super::call;
use super::call_outgoing::CallReading;
use super::call_reader::CallReader;
use super::decode::{Asked, Decoded};
use super::event_reader::{EventReader, OwnEvents};
use super::filtering::Filtering;
use super::first_look::{FirstLook, Opening, first_look, whole};
use super::outgoing::{Outgoing, Reading, outgoing};
use super::reader::Reader;
use super::relay::{Reply, collect, stream};
use super::schedule::{Scheduled, schedule};
use super::sealed::{self, Along, Maker};
use super::settle::Settlement;
use super::turn_reader::{TurnReader, TurnReading};
use crate::Gateway;
use crate::keeper::{AccessToken, NoToken};
use crate::ports::{Continues, ResponseBody, Transport, TurnClient, UpstreamRequest, UpstreamResponse};

/// Accounts tried for one request.
pub const MAX_ACCOUNTS_TRIED: usize = 3;
/// Of an error answer this much is read.
pub const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;
/// And for this long.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);

/// An answer whose first event is there: nothing is retried any more.
pub(crate) struct Forwarded {
    pub(crate) headers: HeaderMap,
    pub(crate) opening: Opening,
    pub(crate) form: AnswerForm,
    /// What the client hears while the stream is silent.
    pub(crate) keep_alive: Bytes,
    /// What happens to it on its way to the client.
    pub(crate) filtering: Option<Box<Filtering>>,
}

/// In which form an answer comes, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// Events, for a client that reads them.
    Events,
    /// Events, for a client that wants one object.
    Folded,
    /// One object.
    Object,
    /// The answer of a call, with the status and the type that the upstream gave it.
    Passed(u16),
}

fn answer_form(decoded: &Decoded, reading: Reading, response: &UpstreamResponse) -> AnswerForm {
    let kind = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match reading {
        Reading::Whole => AnswerForm::Object,
        // What it is, the upstream says: not every server streams what it was asked to stream.
        Reading::Call(CallReading::Passed | CallReading::Transcript)
            if !kind.trim_start().starts_with("text/event-stream") =>
        {
            AnswerForm::Passed(response.status.as_u16())
        }
        Reading::Call(CallReading::Passed | CallReading::Transcript) => AnswerForm::Events,
        _ if decoded.wants_stream => AnswerForm::Events,
        _ => AnswerForm::Folded,
    }
}

/// Schedules and sends until an account answers.
pub(crate) async fn forward(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    settlement: &mut Settlement,
) -> Result<Forwarded, Failure> {
    let mut tried: Vec<AccountRef> = Vec::new();
    let mut last: Option<Failure> = None;
    let give_up = Instant::now() + gateway.burst_wait;
    loop {
        let scheduled = match schedule(gateway, decoded, &tried, settlement).await {
            Ok(scheduled) => scheduled,
            // What an account said is worth more than that nobody else is left. When both say the same, the pool
            // knows better than the last account when the first one is back.
            Err(nobody) => {
                if let Some(wait) =
                    burst(last.as_ref(), &nobody).filter(|wait| Instant::now() + *wait <= give_up)
                {
                    tokio::time::sleep(wait).await;
                    tried.clear();
                    continue;
                }
                return Err(last.filter(|last| last.kind != nobody.kind).unwrap_or(nobody));
            }
        };
        tried.push(scheduled.lease.account());
        match attempt(gateway, decoded, scheduled, settlement).await {
            Ok(forwarded) => return Ok(forwarded),
            Err(failure) => {
                settlement.attempt_failed(&failure);
                let may_move = failure.retry != Retry::Never
                    && tried.len() < MAX_ACCOUNTS_TRIED
                    && (failure.dispatch != Dispatch::Ambiguous || leaves_nothing_behind(decoded));
                if !may_move {
                    return Err(failure);
                }
                last = Some(failure);
            }
        }
    }
}

/// How long to wait when everybody is only out of breath: a burst limit is over in seconds, and many clients cannot wait
/// by themselves. A usage limit is nothing to wait for.
fn burst(last: Option<&Failure>, nobody: &Failure) -> Option<Duration> {
    let out_of_breath = |kind| matches!(kind, FailureKind::RateLimited | FailureKind::Overloaded);
    let only_that = last.is_none_or(|last| out_of_breath(last.kind));
    nobody.retry_after.filter(|_| only_that && nobody.kind == FailureKind::AllCooling)
}

/// Whether a turn may be sent again although it may already be worked on: it must not be in two places when it adds to
/// a stored conversation, runs on by itself, or lets the upstream call somebody's server. A plain turn costs tokens at
/// worst.
fn leaves_nothing_behind(decoded: &Decoded) -> bool {
    let lasting = match &decoded.asked {
        Asked::Responses { lasting, .. } => *lasting,
        Asked::Call { call, .. } => return call.may_be_repeated(),
        Asked::Turn { .. } => return true,
    };
    !lasting && memchr::memmem::find(&decoded.body, br#""mcp""#).is_none()
}

/// Hands the answer over in the form that the caller asked for.
pub(crate) async fn reply(mut forwarded: Forwarded, settlement: Settlement) -> Result<Reply, Failure> {
    settlement.gateway().show_pool_limits(&mut forwarded.headers);
    if forwarded.form == AnswerForm::Events {
        Ok(stream(forwarded, settlement))
    } else {
        collect(forwarded, settlement).await
    }
}

/// One try on one account; a refused token is renewed once.
async fn attempt(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    scheduled: Scheduled,
    settlement: &mut Settlement,
) -> Result<Forwarded, Failure> {
    let account = scheduled.account.clone();
    let continues = sealed::continues(gateway, decoded, scheduled.lease.account(), scheduled.affine);
    settlement.attempt_started(scheduled);
    let token = gateway.keeper.token(&account, gateway.now()).await;
    let token = token.map_err(|error| no_token(gateway, &account, error))?;
    let mut go = Going { continues, along: Along::NotForeign };
    let mut sent = send(gateway, decoded, &account, go, &token, settlement).await;
    if sent.as_ref().is_err_and(|failure| broke_of_age(failure) && leaves_nothing_behind(decoded)) {
        sent = send(gateway, decoded, &account, go, &token, settlement).await;
    }
    if sent.as_ref().is_err_and(|failure| sealed::cannot_read(failure, decoded)) {
        // It was sealed where nobody here knows: the rest of the conversation is whole without it.
        go.along = Along::OnlyOwn;
        sent = send(gateway, decoded, &account, go, &token, settlement).await;
    }
    let failure = match sent {
        Err(failure) if failure.kind == FailureKind::AccountUnauthorized => failure,
        other => return other,
    };
    if let Some(code) = dead_code(&failure) {
        gateway.bury_account(&account, token.version, code).await;
        return Err(failure);
    }
    if failure.retry != Retry::SameAccount {
        return Err(failure);
    }
    let renewed = gateway.keeper.renew(&account, token.version).await;
    let renewed = renewed.map_err(|error| no_token(gateway, &account, error))?;
    send(gateway, decoded, &account, go, &renewed, settlement).await.map_err(|failure| {
        // Fresh and still refused: another account may do better.
        if failure.retry == Retry::SameAccount { failure.retry(Retry::OtherAccount) } else { failure }
    })
}

/// What of the client's state goes along to an account.
#[derive(Debug, Clone, Copy)]
struct Going {
    continues: Continues,
    along: Along,
}

/// A connection that was kept from the turn before ended under this one: the account has nothing to do with it.
fn broke_of_age(failure: &Failure) -> bool {
    failure.kind == FailureKind::StreamCut && failure.retry == Retry::SameAccount
}

fn dead_code(failure: &Failure) -> Option<&str> {
    failure
        .answer
        .as_ref()?
        .code
        .as_deref()
        .filter(|code| dead_token_code(code) || *code == "deactivated_workspace")
}

fn no_token(gateway: &Gateway, account: &AccountId, error: NoToken) -> Failure {
    if let NoToken::SignInNeeded { code } = &error {
        gateway.sign_in_needed(account, code);
    }
    Failure::gateway(FailureKind::AccountUnauthorized, error.to_string()).retry(Retry::OtherAccount)
}

/// The account left the pool, or its proxy is off: it is not sent any other way.
fn no_way() -> Failure {
    Failure::gateway(FailureKind::Unreachable, "the account's egress proxy is off or gone")
        .retry(Retry::OtherAccount)
}

/// Sends once and waits for the first event.
async fn send(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    account: &AccountId,
    go: Going,
    token: &AccessToken,
    settlement: &mut Settlement,
) -> Result<Forwarded, Failure> {
    let to = gateway.destination(account).ok_or_else(no_way)?;
    let mut hops = decoded.hops.clone();
    if to.kind == AccountKind::Gateway {
        hops.0.push(gateway.instance().to_owned());
    }
    let Outgoing { endpoint, mut body, dialect, reading, names, mut notes } = outgoing(decoded, &to)?;
    let account = settlement.account_ref();
    if let Some(account) = account.filter(|_| sealed::can_be_sealed(dialect))
        && let Some(readable) = sealed::without_foreign(gateway, decoded, &body, account, go.along)
    {
        body = readable;
        notes.push(sealed::LEFT_REASONING.into());
    }
    settlement.worded(notes);
    let client = TurnClient { label: decoded.caller.shared_label(), transport: decoded.transport };
    let request = UpstreamRequest {
        to,
        endpoint,
        headers: decoded.headers.clone(),
        caller: decoded.kind,
        continues: go.continues,
        body,
        backend: match &decoded.asked {
            Asked::Call { backend, .. } => backend.clone(),
            Asked::Responses { .. } | Asked::Turn { .. } => None,
        },
        access_token: token.token.clone(),
        hops,
    };
    let way = request.to.clone();
    let response = gateway.upstream.respond_to(request, client).await;
    let mut response = response.inspect_err(|failure| gateway.not_sent(&way.way, failure))?;
    settlement.upstream_answered(response.status.as_u16(), response.transport);
    observe_quota(gateway, settlement, &response.headers);
    if !response.status.is_success() {
        return Err(call::judged(decoded, error_answer(gateway, response).await));
    }
    let form = answer_form(decoded, reading, &response);
    if reading == Reading::Call(CallReading::Transcript) {
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    let maker = Maker::new(gateway, decoded, account);
    maker.headers(&response.headers);
    let reader = reader_of(gateway, decoded, (dialect, reading, names), maker);
    let look = match form {
        AnswerForm::Object | AnswerForm::Passed(_) => whole(reader, response.body, settlement).await,
        AnswerForm::Events | AnswerForm::Folded => first_look(reader, response.body, settlement).await,
    };
    match look {
        FirstLook::Go(opening) => Ok(Forwarded {
            headers: response.headers,
            opening: *opening,
            form,
            keep_alive: keep_alive(decoded.route.dialect(), decoded.kind),
            filtering: None,
        }),
        FirstLook::Failed(failure) => Err(failure),
    }
}

/// What reads along with an answer.
fn reader_of(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    (from, reading, names): (Dialect, Reading, ToolNames),
    maker: Maker,
) -> Reader {
    let wants_stream = decoded.wants_stream;
    match reading {
        Reading::Responses => {
            let own_events = own_events(gateway, decoded);
            Reader::Events(Box::new(EventReader::new(gateway, own_events, wants_stream, maker)))
        }
        Reading::Along | Reading::Translated | Reading::Whole => {
            let to = decoded.route.dialect();
            let context = answer_context(gateway, decoded);
            let reading = TurnReading { from, to, wants_stream, context, names };
            Reader::Turn(Box::new(TurnReader::new(gateway, maker, reading)))
        }
        Reading::Call(reading) => Reader::Call(Box::new(CallReader::new(gateway, decoded, reading, maker))),
    }
}

/// The public dialect has no events of the backend's own. Codex reads them all the same on a socket, where a turn has no
/// headers that could tell its quota. Where more than one account stands behind the gateway, the limits of one are
/// nobody's to see.
fn own_events(gateway: &Gateway, decoded: &Decoded) -> OwnEvents {
    let is_codex_socket = decoded.transport == Transport::WebSocket && decoded.kind == CallerKind::Codex;
    match decoded.route {
        Route::Responses if !is_codex_socket => OwnEvents::Hidden,
        _ if gateway.accounts().len() > 1 => OwnEvents::WithoutLimits,
        _ => OwnEvents::Shown,
    }
}

/// What an answer's writer must know of the request.
pub(crate) fn answer_context(gateway: &Gateway, decoded: &Decoded) -> AnswerContext {
    AnswerContext {
        model: decoded.reported.clone().unwrap_or_else(|| decoded.model.as_str().to_owned()),
        fallback_id: decoded.id.as_str().to_owned(),
        now: u64::try_from(gateway.now().as_secs()).unwrap_or(0),
        include_usage: match &decoded.asked {
            Asked::Responses { .. } | Asked::Call { .. } => true,
            Asked::Turn { request, .. } => request.include_usage,
        },
    }
}

/// Rate-limit headers count on every status: a refusal carries the freshest numbers.
fn observe_quota(gateway: &Gateway, settlement: &Settlement, headers: &HeaderMap) {
    let now = gateway.now();
    let told = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    // Windows of single features have names of their own.
    let quota = quota_from_header_list(told.filter(|(name, _)| name.starts_with("x-")), now);
    if let Some(account) = settlement.account_ref() {
        gateway.pool.lock().observe_quota(account, &quota, now);
    }
}

async fn error_answer(gateway: &Gateway, response: UpstreamResponse) -> Failure {
    let now = gateway.now();
    let header = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
    let quota = quota_from_headers(header, now);
    let retry_after = header("retry-after").map(str::to_owned);
    let body = read_some(response.body).await;
    classify_answer(response.status.as_u16(), &body, retry_after.as_deref(), &quota, now)
}

/// As much of an error body as arrives in time; half of one still says something.
async fn read_some(mut body: ResponseBody) -> Bytes {
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(Ok(chunk)) = body.next().await {
            let room = MAX_ERROR_BODY_BYTES - read.len();
            read.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if read.len() == MAX_ERROR_BODY_BYTES {
                break;
            }
        }
    };
    // On a time-out what was read so far is what there is.
    drop(tokio::time::timeout(ERROR_BODY_TIME, reading).await);
    read.freeze()
}
