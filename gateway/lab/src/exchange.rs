//! The way of one request through the lab: read, identify, log, fault, answer.
//! Refuses to know what the routes answer; each brings a function for that.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::LengthLimitError;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

use crate::conn::ConnControl;
use crate::dialect::Dialect;
use crate::errors::{self, ErrorBody};
use crate::fault::{Fault, Route, Stall};
use crate::form;
use crate::lab::Lab;
use crate::log::RequestRecord;
use crate::routes::oauth;
use crate::state::StreamGuard;
use crate::stream::{Sender, plan};
use crate::tokens::AuthFailure;

/// Marks a response that must not be sent: the connection is reset instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abandon;

/// The encoding the body came in, kept because decompression removes the header.
#[derive(Debug, Clone)]
pub(crate) struct SentEncoding(pub(crate) HeaderValue);

/// A request that was read and identified.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) caller: Result<usize, AuthFailure>,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        let pairs = self.parts.uri.query()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The fields of the body, which is JSON or a form: Codex sends the one, most gateways the other.
    pub(crate) fn fields(&self) -> HashMap<String, String> {
        let is_json = self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json {
            return form::fields(&String::from_utf8_lossy(&self.body));
        }
        let Ok(Value::Object(object)) = serde_json::from_slice(&self.body) else { return HashMap::new() };
        let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
        object.into_iter().filter_map(text).collect()
    }
}

/// What a route answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

#[derive(Debug)]
pub(crate) enum AnswerBody {
    Whole(Bytes),
    /// A stream; one of an account counts as its turn.
    Turn {
        account: Option<usize>,
        dialect: Dialect,
        events: Vec<Bytes>,
        pause: Option<Duration>,
        response_id: String,
    },
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { status, headers, body: AnswerBody::Whole(Bytes::from(body.to_string())) }
    }

    pub(crate) fn error(body: &ErrorBody, now: i64) -> Self {
        let (parts, _) = body.respond(None, now).into_parts();
        let text = Bytes::from(body.render(now));
        Self { status: parts.status, headers: parts.headers, body: AnswerBody::Whole(text) }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// A route's answer to a request that nothing interfered with.
pub(crate) type Natural = fn(&Lab, &Arrived) -> Answer;

/// Carries one request through.
pub(crate) async fn exchange(lab: Lab, route: Route, request: Request, natural: Natural) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, lab.shared().config.max_body_bytes).await {
        Ok(body) => body,
        Err(error) => return unreadable(&lab, error),
    };
    let caller = identify(&lab, &parts);
    let arrived = Arrived { parts, body, caller };
    let account = match route {
        Route::Token => oauth::owner(&lab, &arrived),
        _ => arrived.caller.ok(),
    };
    let (seq, fault) = arrive(&lab, route, &arrived, account);
    let mut response = match preempt(&lab, fault.as_ref()).await {
        Some(response) => response,
        None => {
            let answer = natural(&lab, &arrived);
            let control = arrived.parts.extensions.get::<ConnControl>().cloned();
            send(&lab, answer, fault.as_ref(), control)
        }
    };
    finish(&lab, route, account, &mut response);
    answered(&lab, seq, &response);
    response
}

/// Notes a request and takes the fault that it runs into.
pub(crate) fn arrive(
    lab: &Lab,
    route: Route,
    arrived: &Arrived,
    account: Option<usize>,
) -> (Option<u64>, Option<Fault>) {
    let seq = record(lab, route, arrived, account);
    let fault = lab.shared().faults.take(route, account);
    count(lab, account, fault.is_some());
    if let (Some(seq), Some(fault)) = (seq, &fault) {
        lab.shared().log.update(seq, |record| record.fault = Some(fault.clone()));
    }
    (seq, fault)
}

/// Notes what a request was answered.
pub(crate) fn answered(lab: &Lab, seq: Option<u64>, response: &Response<Body>) {
    if response.extensions().get::<Abandon>().is_none() {
        answered_with(lab, seq, response.status());
    }
}

/// The same for an answer that is no response of its own.
pub(crate) fn answered_with(lab: &Lab, seq: Option<u64>, status: StatusCode) {
    if let Some(seq) = seq {
        lab.shared().log.update(seq, |record| record.status = Some(status.as_u16()));
    }
}

/// Whose token the request carries.
pub(crate) fn identify(lab: &Lab, parts: &Parts) -> Result<usize, AuthFailure> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(AuthFailure::Missing)?;
    let account = lab.shared().tokens.lock().verify(bearer, lab.clock().now())?;
    let workspace = lab.shared().accounts.get(account).map(|found| found.config.workspace_id.as_str());
    match parts.headers.get("chatgpt-account-id") {
        Some(sent) if Some(sent.as_bytes()) != workspace.map(str::as_bytes) => {
            Err(AuthFailure::WrongWorkspace)
        }
        _ => Ok(account),
    }
}

fn record(lab: &Lab, route: Route, arrived: &Arrived, account: Option<usize>) -> Option<u64> {
    let log = &lab.shared().log;
    if !log.is_on() {
        return None;
    }
    let mut headers = arrived.parts.headers.clone();
    if let Some(SentEncoding(encoding)) = arrived.parts.extensions.get() {
        headers.insert(header::CONTENT_ENCODING, encoding.clone());
    }
    let path = arrived.parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Some(log.push(RequestRecord {
        seq: 0,
        at_ms: lab.clock().now_ms(),
        method: arrived.parts.method.clone(),
        path,
        route,
        headers,
        body: arrived.body.clone(),
        account,
        fault: None,
        status: None,
    }))
}

fn count(lab: &Lab, account: Option<usize>, fault: bool) {
    let Some(account) = account else { return };
    lab.shared().live(account, |live| {
        live.stats.requests += 1;
        live.stats.faults += u64::from(fault);
    });
}

/// Faults that act before the route gets to work.
pub(crate) async fn preempt(lab: &Lab, fault: Option<&Fault>) -> Option<Response<Body>> {
    let now = lab.clock().now();
    match fault? {
        Fault::RefuseConnection => Some(abandoned()),
        Fault::Status { status, body } => Some(body.respond(*status, now)),
        Fault::Raw { status, body, headers } => Some(raw(*status, body, headers)),
        Fault::Unauthorized401 => Some(errors::TOKEN_EXPIRED.respond(None, now)),
        Fault::RateLimited429 { with_code, retry_after } => {
            let row =
                if *with_code { errors::RATE_LIMIT_EXCEEDED } else { errors::RATE_LIMITED_WITHOUT_CODE };
            let mut response = row.respond(None, now);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Some(response)
        }
        Fault::StallBeforeHeaders(Stall::Forever) => std::future::pending().await,
        Fault::StallBeforeHeaders(Stall::For(span)) => {
            tokio::time::sleep(*span).await;
            None
        }
        _ => None,
    }
}

pub(crate) fn send(
    lab: &Lab,
    answer: Answer,
    fault: Option<&Fault>,
    control: Option<ConnControl>,
) -> Response<Body> {
    if fault == Some(&Fault::DropAnswer) {
        return abandoned();
    }
    let body = match answer.body {
        AnswerBody::Turn { account, dialect, events, pause, response_id } => {
            let steps = plan(events, pause, fault, &response_id, dialect);
            let guard = account.map_or_else(StreamGuard::uncounted, |one| StreamGuard::turn(lab, one));
            Sender::body(steps, control, guard)
        }
        AnswerBody::Whole(bytes) if fault.is_some() => {
            let steps = plan(vec![bytes], None, fault, "", Dialect::Responses);
            Sender::body(steps, control, StreamGuard::uncounted())
        }
        AnswerBody::Whole(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// The headers that go with every answer, good or bad.
pub(crate) fn finish(lab: &Lab, route: Route, account: Option<usize>, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(lab.shared().next_request_id()) {
        headers.insert("x-request-id", id);
    }
    let Some(account) = account.filter(|_| route == Route::Responses) else { return };
    let mut limits = HeaderMap::new();
    lab.shared().live(account, |live| live.quota.write_headers(lab.clock().now(), &mut limits));
    for (name, value) in &limits {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}

fn abandoned() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.extensions_mut().insert(Abandon);
    response
}

fn raw(status: u16, body: &str, fields: &[(String, String)]) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn unreadable(lab: &Lab, error: axum::Error) -> Response<Body> {
    let now = lab.clock().now();
    if error.into_inner().is::<LengthLimitError>() {
        return errors::PAYLOAD_TOO_LARGE.respond(None, now);
    }
    // A body that does not decompress, or a client that left.
    raw(
        400,
        r#"{"detail":"Could not read the request body"}"#,
        &[("content-type".into(), "application/json".into())],
    )
}
