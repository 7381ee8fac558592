//! Which of the client's headers go along to the Codex backend. A Codex client's own headers pass; for anybody else
//! the gateway speaks for itself. Nothing is disguised.

use gateway_core::ports::{Continues, UpstreamRequest};
use gateway_protocol::responses::CallerKind;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Between the client and us, or ours to set.
const DROPPED: &[&str] = &[
    "authorization",
    "x-api-key",
    "cookie",
    "host",
    "content-length",
    "content-encoding",
    "accept-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "chatgpt-account-id",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "via",
];
/// The same, by their beginnings.
const DROPPED_PREFIXES: &[&str] = &["proxy-", "x-forwarded-", "cf-", "sec-", "x-switchyard-"];

const ACCOUNT_ID: HeaderName = HeaderName::from_static("chatgpt-account-id");
const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
/// An opaque value that the upstream bound to the account which answered last.
const TURN_STATE: HeaderName = HeaderName::from_static("x-codex-turn-state");

/// How the gateway names itself.
const OUR_NAME: &str = "switchyard";
const OUR_USER_AGENT: &str = concat!("switchyard/", env!("CARGO_PKG_VERSION"));

/// A credential that cannot be a header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account's token or workspace id cannot be sent in a header; import the account again")]
pub struct BadCredential;

/// The headers of one turn.
pub(crate) fn for_turn(request: &mut UpstreamRequest) -> Result<HeaderMap, BadCredential> {
    let mut headers = match request.caller {
        CallerKind::Codex => passed_on(std::mem::take(&mut request.headers), request.continues),
        CallerKind::Foreign => {
            let mut ours = HeaderMap::with_capacity(8);
            ours.insert(USER_AGENT, HeaderValue::from_static(OUR_USER_AGENT));
            ours.insert(ORIGINATOR, HeaderValue::from_static(OUR_NAME));
            ours
        }
    };
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    credentials(&mut headers, request.access_token.expose(), request.workspace_id.as_deref())?;
    Ok(headers)
}

/// The headers of a small question that is ours, not a client's.
pub(crate) fn for_question(
    access_token: &str,
    workspace_id: Option<&str>,
) -> Result<HeaderMap, BadCredential> {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(OUR_USER_AGENT));
    credentials(&mut headers, access_token, workspace_id)?;
    Ok(headers)
}

fn credentials(
    headers: &mut HeaderMap,
    token: &str,
    workspace_id: Option<&str>,
) -> Result<(), BadCredential> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| BadCredential)?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    if let Some(workspace_id) = workspace_id {
        headers.insert(ACCOUNT_ID, HeaderValue::try_from(workspace_id).map_err(|_| BadCredential)?);
    }
    Ok(())
}

fn passed_on(mut headers: HeaderMap, continues: Continues) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    let is_ours = |name: &HeaderName| {
        let name = name.as_str();
        DROPPED.contains(&name) || DROPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in named.into_iter().chain(ours) {
        headers.remove(name);
    }
    if continues == Continues::Anew {
        headers.remove(TURN_STATE);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Secret;

    fn sent(caller: CallerKind, continues: Continues, headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let mut request = UpstreamRequest {
            headers,
            caller,
            continues,
            body: bytes::Bytes::new(),
            access_token: Secret::from("token-1"),
            workspace_id: Some("ws-1".into()),
        };
        for_turn(&mut request).unwrap()
    }

    const CLIENT: &[(&str, &str)] = &[
        ("authorization", "Bearer sk-sy-secret"),
        ("x-codex-turn-state", "blob"),
        ("x-codex-window-id", "t:0"),
        ("originator", "codex_exec"),
        ("user-agent", "codex_exec/0.169.0"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("cookie", "a=b"),
        ("accept-encoding", "gzip"),
        ("chatgpt-account-id", "the-clients-own"),
        ("x-stainless-os", "Linux"),
    ];

    #[test]
    fn codex_headers_pass_and_credentials_are_the_accounts() {
        let headers = sent(CallerKind::Codex, Continues::Here, CLIENT);
        assert_eq!(headers["authorization"], "Bearer token-1");
        assert_eq!(headers["chatgpt-account-id"], "ws-1");
        assert_eq!(headers["originator"], "codex_exec");
        assert_eq!(headers["x-codex-turn-state"], "blob");
        for gone in ["cookie", "x-hop", "connection", "x-forwarded-for", "accept-encoding"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn turn_state_stays_with_the_account_that_made_it() {
        let headers = sent(CallerKind::Codex, Continues::Anew, CLIENT);
        assert!(!headers.contains_key("x-codex-turn-state"));
        assert_eq!(headers["x-codex-window-id"], "t:0");
    }

    #[test]
    fn other_clients_are_spoken_for_honestly() {
        let headers = sent(CallerKind::Foreign, Continues::Here, CLIENT);
        assert_eq!(headers["originator"], "switchyard");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("switchyard/"));
        assert!(!headers.contains_key("x-stainless-os"));
        assert!(!headers.contains_key("x-codex-window-id"));
    }
}
