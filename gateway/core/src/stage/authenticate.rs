//! Who is calling. Keys are looked up by their hash; a caller on this machine needs none.

use std::sync::{Arc, LazyLock};

use gateway_domain::{Failure, FailureKind, KeyScope, RequestId};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::{Peer, Received, Route};
use crate::ports::Transport;
use crate::{Keys, KnownKey};

/// How every key that we hand out begins.
pub const KEY_PREFIX: &str = "sk-sy-";

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody on this machine without one of our keys.
    Local,
    /// The holder of a key.
    Key {
        /// The key's label.
        label: Arc<str>,
        /// The part of the pool that it may use; `None`: all of it.
        scope: Option<Arc<KeyScope>>,
    },
}

impl Caller {
    /// The name used in decisions, settlements and logs.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::Key { label, .. } => label,
        }
    }

    /// The same name, for whoever keeps it.
    pub(crate) fn shared_label(&self) -> Arc<str> {
        static LOCAL: LazyLock<Arc<str>> = LazyLock::new(|| Caller::Local.label().into());
        match self {
            Self::Local => LOCAL.clone(),
            Self::Key { label, .. } => label.clone(),
        }
    }

    /// The part of the pool that it may use; `None`: all of it.
    pub(crate) const fn scope(&self) -> Option<&Arc<KeyScope>> {
        match self {
            Self::Local => None,
            Self::Key { scope, .. } => scope.as_ref(),
        }
    }
}

/// A request whose caller is known. Only [`authenticate`] makes one.
#[derive(Debug)]
pub struct Authenticated {
    pub(crate) caller: Caller,
    pub(crate) id: RequestId,
    pub(crate) route: Route,
    pub(crate) transport: Transport,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
    pub(crate) backend: Option<crate::ports::BackendPath>,
}

/// Finds out who is calling.
///
/// # Errors
/// `Unauthenticated`: a remote caller without a valid key, or anybody with one of our keys that is not valid.
pub fn authenticate(keys: &Keys, received: Received) -> Result<Authenticated, Failure> {
    let caller = identify(keys, received.peer, &received.headers)?;
    let Received { id, route, transport, headers, body, backend, .. } = received;
    Ok(Authenticated { caller, id, route, transport, headers, body, backend })
}

/// Finds out who is calling, for the small routes that carry no turn.
///
/// # Errors
/// As [`authenticate`].
pub fn identify(keys: &Keys, peer: Peer, headers: &HeaderMap) -> Result<Caller, Failure> {
    caller(keys, peer, bearer(headers).or_else(|| api_key(headers)))
}

fn caller(keys: &Keys, peer: Peer, key: Option<&str>) -> Result<Caller, Failure> {
    // Only what looks like one of ours is worth hashing; local tools send long tokens of their own.
    let ours = key.filter(|key| key.starts_with(KEY_PREFIX));
    let known = ours.and_then(|key| keys.find(&hash_client_key(key)));
    match (known, key, peer) {
        (Some(KnownKey { label, scope }), ..) => Ok(Caller::Key { label, scope }),
        // Local tools send whatever key they were configured with; only one of ours that is wrong is a mistake.
        (None, Some(key), Peer::Local) if !key.starts_with(KEY_PREFIX) => Ok(Caller::Local),
        (None, None, Peer::Local) => Ok(Caller::Local),
        (None, Some(_), _) => {
            Err(refused("this client key is not known; ask the gateway's operator for one"))
        }
        (None, None, Peer::Remote) => {
            Err(refused("a client key is needed: send `Authorization: Bearer sk-sy-…`"))
        }
    }
}

fn refused(message: &str) -> Failure {
    Failure::client(FailureKind::Unauthenticated, message)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

/// Where clients of the Anthropic API put their key.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-api-key")?.to_str().ok().map(str::trim).filter(|key| !key.is_empty())
}

/// What is kept of a key and looked up: its SHA-256. A key carries 256 random bits, so a slow hash adds nothing.
#[must_use]
pub fn hash_client_key(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let keys =
            Keys::new([(hash_client_key("sk-sy-good"), KnownKey { label: "ann".into(), scope: None })]);
        let ann = Ok(Caller::Key { label: "ann".into(), scope: None });
        let refused = |why: &str| Err(why.to_owned());
        for (peer, key, expect) in [
            (Peer::Local, None, Ok(Caller::Local)),
            (Peer::Local, Some("sk-anything"), Ok(Caller::Local)),
            (Peer::Local, Some("sk-sy-good"), ann.clone()),
            (Peer::Local, Some("sk-sy-bad"), refused("not known")),
            (Peer::Remote, Some("sk-sy-good"), ann),
            (Peer::Remote, Some("sk-sy-bad"), refused("not known")),
            (Peer::Remote, Some("sk-anything"), refused("not known")),
            (Peer::Remote, None, refused("is needed")),
        ] {
            match (caller(&keys, peer, key), expect) {
                (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{peer:?} {key:?}"),
                (Err(got), Err(why)) => assert!(got.message.contains(&why), "{peer:?} {key:?}: {got}"),
                (got, expect) => panic!("{peer:?} {key:?}: {got:?}, not {expect:?}"),
            }
        }
    }
}
