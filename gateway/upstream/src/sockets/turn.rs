//! One turn over a socket: a parked one that knows the conversation, or a fresh one. Tries again by itself only where the
//! upstream did nothing with it; everything else is the core's to decide.

use std::time::Instant;

use gateway_core::ports::{TurnClient, UpstreamRequest, UpstreamResponse};
use gateway_domain::{Dispatch, Failure, FailureKind, Retry};
use gateway_protocol::responses::{GoingOn, RefusedFrame, SocketBody};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::Sockets;
use super::connect::{self, Identity, Opened, for_upgrade};
use super::live::{Head, Live, NoHead, Telling, body};
use crate::address::Address;
use crate::clients::{Clients, broken_off, no_answer};
use crate::headers;
use crate::providers::{bad_credential, malformed};

/// Sockets tried for one turn.
const MAX_TRIES: usize = 3;
/// A turn with more items than this says all of them each time: comparing them would take too long.
const MAX_COMPARED_BYTES: usize = 2 * 1024 * 1024;
/// What the upstream says about the socket, not about the turn; it did nothing (facts: codex2api 1.6, clients 2.4).
const ABOUT_THE_SOCKET: &[&str] = &["websocket_connection_limit_reached", "previous_response_not_found"];

/// What came of a turn.
pub(crate) enum OverSocket {
    /// An answer.
    Answered(UpstreamResponse),
    /// It has to go by HTTP; nothing was done with it.
    UseHttp,
}

/// How a socket came to be.
enum Got {
    Socket(Box<Live>, HeaderMap),
    Refused(UpstreamResponse),
    NotOffered,
}

/// A turn, ready for any socket.
struct Turn<'a> {
    read: SocketBody<'a>,
    identity: Identity,
    upgrade: HeaderMap,
    lite: Option<String>,
    others: [u8; 32],
}

/// Sends a turn over a socket.
pub(crate) async fn over_socket(
    clients: &Clients,
    sockets: &Sockets,
    address: &Address,
    request: &UpstreamRequest,
    client: &TurnClient,
) -> Result<OverSocket, Failure> {
    if !sockets.is_offered_at(address, Instant::now()) {
        return Ok(OverSocket::UseHttp);
    }
    let mut upgrade = headers::for_turn(request).map_err(bad_credential)?;
    let lite = for_upgrade(&mut upgrade);
    let identity = Identity::new(client, request, address, &upgrade);
    let lite = lite.and_then(|value| value.to_str().ok().map(str::to_owned));
    let read = SocketBody::read(&request.body).map_err(|error| malformed(&error.to_string()))?;
    let others = others(&read);
    let turn = Turn { read, identity, upgrade, lite, others };
    let mut fresh = false;
    for _ in 0..MAX_TRIES {
        let (mut live, headers) = match get(clients, sockets, address, request, &turn, fresh).await? {
            Got::Socket(live, headers) => (live, headers),
            Got::Refused(answer) => return Ok(OverSocket::Answered(answer)),
            Got::NotOffered => {
                sockets.note_not_offered(address, Instant::now());
                return Ok(OverSocket::UseHttp);
            }
        };
        let was_used = live.used;
        match ask(&mut live, &turn).await? {
            Ok((Head::Events(events), telling)) => {
                let body = body(*live, events, telling, sockets.parked.clone());
                return Ok(OverSocket::Answered(UpstreamResponse {
                    body,
                    ..connect::over_socket(200, headers, bytes::Bytes::new())
                }));
            }
            Ok((Head::Refused(refused), _)) if was_used && is_about_the_socket(&refused) => fresh = true,
            Ok((Head::Refused(refused), _)) => return Ok(OverSocket::Answered(refusal(refused, headers))),
            Err(NoHead::NotSent) if was_used => fresh = true,
            Err(NoHead::TooLarge) => {
                sockets.note_too_large(request.body.len());
                return Ok(OverSocket::UseHttp);
            }
            Err(why) => return Err(no_head(why, was_used)),
        }
    }
    Ok(OverSocket::UseHttp)
}

/// A parked socket, or a fresh one.
async fn get(
    clients: &Clients,
    sockets: &Sockets,
    address: &Address,
    request: &UpstreamRequest,
    turn: &Turn<'_>,
    fresh: bool,
) -> Result<Got, Failure> {
    if !fresh {
        let items = turn.comparable();
        let knows = |told: &super::live::Told| {
            items.is_some_and(|items| told.known_of(items, &turn.others).is_some())
        };
        if let Some(live) = sockets.parked.take(&turn.identity, knows).await {
            return Ok(Got::Socket(Box::new(live), HeaderMap::new()));
        }
    }
    Ok(match connect::open(clients, &request.to.way, address, turn.upgrade.clone()).await? {
        Opened::Socket(stream, headers) => {
            let identity = turn.identity.clone();
            let live = Live { stream, identity, born: Instant::now(), told: None, used: false };
            Got::Socket(Box::new(live), headers)
        }
        Opened::Refused(answer) => Got::Refused(answer),
        Opened::NotOffered => Got::NotOffered,
    })
}

type Asked = Result<(Head, Option<Telling>), NoHead>;

/// Says the turn on a socket: only what is new where the socket knows the rest.
async fn ask(live: &mut Live, turn: &Turn<'_>) -> Result<Asked, Failure> {
    let told = live.told.take();
    let going_on = turn.comparable().zip(told.as_ref()).and_then(|(items, told)| {
        Some(GoingOn { response: &told.response, known: told.known_of(items, &turn.others)? })
    });
    let telling = turn.comparable().map(|items| Telling::new(items, turn.others));
    let frame = turn.read.frame(going_on, turn.lite.as_deref());
    let frame = String::from_utf8(frame).map_err(|_| malformed("the body is no text"))?;
    Ok(live.ask(frame).await.map(|head| (head, telling)))
}

impl Turn<'_> {
    /// The items, if they are few enough to be compared.
    fn comparable(&self) -> Option<&str> {
        Some(self.read.items()).filter(|items| items.len() <= MAX_COMPARED_BYTES)
    }
}

/// Everything but the items, as a digest.
fn others(read: &SocketBody<'_>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, value) in read.frame_members() {
        for part in [name, "\0", value, "\0"] {
            digest.update(part.as_bytes());
        }
    }
    digest.finalize().into()
}

fn is_about_the_socket(refused: &RefusedFrame) -> bool {
    refused.code.as_deref().is_some_and(|code| ABOUT_THE_SOCKET.contains(&code))
}

/// An error frame as the HTTP answer that it stands for.
fn refusal(refused: RefusedFrame, mut headers: HeaderMap) -> UpstreamResponse {
    for (name, value) in refused.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    connect::over_socket(refused.status, headers, refused.body)
}

fn no_head(why: NoHead, was_used: bool) -> Failure {
    match why {
        NoHead::Silent => no_answer(),
        NoHead::Malformed => {
            malformed("the upstream sent a frame that is no event").retry(Retry::OtherAccount)
        }
        NoHead::NotSent => Failure::upstream(FailureKind::Unreachable, "the upstream closed the socket")
            .retry(Retry::OtherAccount)
            .dispatched(Dispatch::NotSent),
        // A socket that was kept may have ended of age: that says nothing about its account.
        NoHead::Broken | NoHead::TooLarge => {
            broken_off(false).retry(if was_used { Retry::SameAccount } else { Retry::OtherAccount })
        }
    }
}
