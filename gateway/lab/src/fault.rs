//! What can be made to go wrong, and the book of rules that says when.
//! Refuses to act: the exchange and the stream carry a fault out once the book has handed it over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::errors::ErrorBody;

/// One thing that goes wrong. In JSON: `"drop_completed"`, `{"cut_after_events": 3}`, `{"status": {"body": "token_expired"}}`.
///
/// The faults that shape a body work on every route; an answer that is not a stream counts as one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is reset before any answer.
    RefuseConnection,
    /// The request is carried out, then the connection is reset before any answer.
    /// On the token route this is the rotated token that nobody received.
    DropAnswer,
    /// A row of the error table.
    Status {
        /// Another status than the row's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The row, by name in JSON.
        body: ErrorBody,
    },
    /// An answer that is in no table.
    Raw {
        /// Its status.
        status: u16,
        /// Its body.
        body: String,
        /// Its headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// 401 `token_expired`, although the token is good.
    Unauthorized401,
    /// A 429 that is not about the windows.
    RateLimited429 {
        /// With `rate_limit_exceeded`, or with a body that has no code.
        with_code: bool,
        /// Seconds for the `retry-after` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Nothing comes back for a while, or ever.
    StallBeforeHeaders(Stall),
    /// The stream stops after this many events and the connection stays open.
    StallAfterEvents(usize),
    /// The connection is reset in the middle of the event after this many.
    CutAfterEvents(usize),
    /// The stream ends cleanly after this many events, without a terminal one.
    CleanEofAfterEvents(usize),
    /// After this many events comes one whose data is not JSON; then the stream goes on.
    MalformedEventAfter(usize),
    /// After this many events comes one of a type nobody knows; then the stream goes on.
    UnknownEventAfter(usize),
    /// A delta whose text ends inside a character comes before the first real one.
    TruncatedUtf8,
    /// The same bytes in pieces of this size, each in its own write.
    Dribble(usize),
    /// A pause before every event.
    SlowEvents(#[serde(with = "millis")] Duration),
    /// `response.failed` after this many events, then a clean end; the other dialects' own error event.
    FailedEvent {
        /// For example a row of [`crate::FAILED_EVENTS`].
        code: String,
        /// What it says.
        message: String,
        /// How many events come before.
        #[serde(default)]
        after_events: usize,
    },
    /// A raw `error` event after this many events, then a clean end, as the dialect writes it.
    ErrorEvent {
        /// The status inside the event.
        status: u16,
        /// Its code.
        code: String,
        /// What it says.
        message: String,
        /// How many events come before.
        #[serde(default)]
        after_events: usize,
    },
    /// `response.incomplete` instead of `response.completed`; in the other dialects an answer cut at its length.
    IncompleteEvent {
        /// `max_output_tokens` or `content_filter`.
        reason: String,
    },
    /// Everything but the terminal event, then a clean end.
    DropCompleted,
    /// A WebSocket is closed with this code after this many events; over HTTP the answer just ends there.
    CloseSocket {
        /// The code: 1000 for no reason, 1009 for a frame that is too large, 1011 for an accident.
        code: u16,
        /// How many events come before.
        #[serde(default)]
        after_events: usize,
    },
}

impl Fault {
    /// The named row of the error table with its own status.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ErrorBody::named(name).map(Self::from)
    }

    /// One row of [`crate::FAILED_EVENTS`] as the first event of the stream.
    #[must_use]
    pub fn failed((code, message): (&str, &str)) -> Self {
        Self::FailedEvent { code: code.to_owned(), message: message.to_owned(), after_events: 0 }
    }
}

impl From<ErrorBody> for Fault {
    fn from(body: ErrorBody) -> Self {
        Self::Status { status: None, body }
    }
}

/// How long nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stall {
    /// Until the other side gives up.
    Forever,
    /// Then the request is answered as usual.
    For(#[serde(with = "millis")] Duration),
}

/// The endpoints a rule can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// All of them.
    #[default]
    Any,
    /// `POST /oauth/token`.
    Token,
    /// `POST /backend-api/codex/responses`.
    Responses,
    /// `GET /backend-api/codex/responses`, the upgrade itself; turns on the socket are [`Route::Responses`].
    Socket,
    /// `GET /backend-api/codex/models`.
    Models,
    /// `GET /backend-api/wham/usage`.
    Usage,
    /// `POST /backend-api/wham/rate-limit-reset-credits/consume`.
    Redeem,
    /// `GET /backend-api/wham/accounts/check`.
    AccountsCheck,
    /// `GET /backend-api/wham/settings/user`.
    Settings,
    /// `GET /oauth/authorize`.
    Authorize,
    /// `POST /api/accounts/deviceauth/usercode`.
    DeviceCode,
    /// `POST /api/accounts/deviceauth/token`.
    DeviceToken,
    /// `POST /v1/responses`, with a key.
    ApiResponses,
    /// `POST /v1/chat/completions`.
    ApiChat,
    /// `POST /v1/messages`.
    ApiMessages,
    /// `POST /v1/messages/count_tokens`.
    ApiCountTokens,
    /// `GET /v1/models`.
    ApiModels,
    /// `POST /v1/responses/compact`.
    ApiCompact,
    /// `POST /v1/embeddings`.
    ApiEmbeddings,
    /// `POST /v1/audio/transcriptions`.
    ApiTranscriptions,
    /// `POST /v1/images/generations` and `/v1/images/edits`.
    ApiImages,
    /// `POST /backend-api/transcribe`.
    Transcribe,
    /// `POST /backend-api/files` and what follows it.
    Files,
    /// `POST /backend-api/codex/images/generations`.
    CodexImages,
    /// The control routes of the backend.
    Control,
    /// Paths the lab does not know.
    Other,
}

/// When a fault happens: for whom, where, after how many misses and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Only this account; `None` also hits requests of no account.
    #[serde(default)]
    pub account: Option<usize>,
    /// Only this endpoint.
    #[serde(default)]
    pub route: Route,
    /// How often; `None` means always.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many matching requests pass untouched first.
    #[serde(default)]
    pub skip: u32,
    /// What happens.
    pub fault: Fault,
}

impl FaultRule {
    /// This fault on every request everywhere, until narrowed down.
    #[must_use]
    pub fn new(fault: impl Into<Fault>) -> Self {
        Self { account: None, route: Route::Any, times: None, skip: 0, fault: fault.into() }
    }

    /// Only on this endpoint.
    #[must_use]
    pub fn on(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// Only for this account.
    #[must_use]
    pub fn account(self, account: usize) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Only this often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only after this many matching requests.
    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    fn matches(&self, route: Route, account: Option<usize>) -> bool {
        let here = self.route == Route::Any || self.route == route;
        here && (self.account.is_none() || self.account == account)
    }
}

/// Names a rule in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(u64);

/// A rule and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleState {
    /// Its name.
    pub id: RuleId,
    /// The rule as scripted.
    pub rule: FaultRule,
    /// Matching requests so far.
    pub seen: u32,
    /// How often the fault happened.
    pub fired: u32,
}

/// The rules, in the order they were scripted; the first that applies wins.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    rules: Mutex<Vec<RuleState>>,
    next_id: AtomicUsize,
    /// Read before the lock, so that an empty book costs nothing.
    len: AtomicUsize,
}

impl FaultBook {
    pub(crate) fn add(&self, rule: FaultRule) -> RuleId {
        let id = RuleId(self.next_id.fetch_add(1, Ordering::Relaxed) as u64);
        let mut rules = self.rules.lock();
        rules.push(RuleState { id, rule, seen: 0, fired: 0 });
        self.len.store(rules.len(), Ordering::Release);
        id
    }

    pub(crate) fn remove(&self, id: RuleId) {
        let mut rules = self.rules.lock();
        rules.retain(|state| state.id != id);
        self.len.store(rules.len(), Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().clear();
        self.len.store(0, Ordering::Release);
    }

    pub(crate) fn states(&self) -> Vec<RuleState> {
        self.rules.lock().clone()
    }

    /// The fault for this request, if any; counts it.
    pub(crate) fn take(&self, route: Route, account: Option<usize>) -> Option<Fault> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        for state in self.rules.lock().iter_mut() {
            if !state.rule.matches(route, account) || state.rule.times.is_some_and(|n| state.fired >= n) {
                continue;
            }
            state.seen += 1;
            if state.seen > state.rule.skip {
                state.fired += 1;
                return Some(state.rule.fault.clone());
            }
        }
        None
    }
}

mod millis {
    //! Durations as whole milliseconds, which is what one types into `curl`.

    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        u64::deserialize(input).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_in_order_with_skip_and_times() {
        let book = FaultBook::default();
        assert_eq!(book.take(Route::Responses, Some(0)), None);
        let first =
            book.add(FaultRule::new(Fault::Unauthorized401).on(Route::Responses).account(0).skip(1).times(2));
        book.add(FaultRule::new(Fault::DropCompleted));
        assert_eq!(book.take(Route::Responses, Some(0)), Some(Fault::DropCompleted), "the first is skipped");
        assert_eq!(book.take(Route::Responses, Some(1)), Some(Fault::DropCompleted));
        assert_eq!(book.take(Route::Responses, Some(0)), Some(Fault::Unauthorized401));
        assert_eq!(book.take(Route::Responses, Some(0)), Some(Fault::Unauthorized401));
        assert_eq!(book.take(Route::Responses, Some(0)), Some(Fault::DropCompleted));
        let state = book.states().into_iter().find(|s| s.id == first).unwrap();
        assert_eq!((state.seen, state.fired), (3, 2));
        book.remove(first);
        assert_eq!(book.states().len(), 1);
        book.clear();
        assert_eq!(book.take(Route::Responses, None), None);
    }

    #[test]
    fn rules_are_written_as_json() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"account":1,"route":"responses","times":2,"fault":{"status":{"body":"token_expired"}}}"#,
        )
        .unwrap();
        let expected = FaultRule::new(Fault::named("token_expired").unwrap()).on(Route::Responses);
        assert_eq!(rule, expected.account(1).times(2));
        for text in [
            r#"{"fault":"refuse_connection"}"#,
            r#"{"fault":{"cut_after_events":3}}"#,
            r#"{"fault":{"slow_events":20}}"#,
            r#"{"fault":{"stall_before_headers":"forever"}}"#,
            r#"{"fault":{"stall_before_headers":{"for":250}}}"#,
            r#"{"fault":{"rate_limited429":{"with_code":true}}}"#,
        ] {
            let rule: FaultRule = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let again = serde_json::from_value(serde_json::to_value(&rule).unwrap()).unwrap();
            assert_eq!(rule, again);
        }
        let wrong = serde_json::from_str::<FaultRule>(r#"{"fault":{"status":{"body":"no such"}}}"#);
        assert!(wrong.unwrap_err().to_string().contains("no error body is called"));
    }
}
