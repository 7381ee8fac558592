//! A child gateway, Switchyard or codexlb: where it has its endpoints, what it is told about the way so far, and how its
//! status becomes a quota.

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::ports::{Destination, Endpoint, Hops};
use gateway_domain::{Failure, FailureKind, QuotaSnapshot, Secret, Timestamp};
use gateway_protocol::codex::{quota_from_status, quota_from_usage};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::address::Base;
use crate::providers::Providers;
use crate::sites::Site;

pub(crate) const MODELS: &str = "v1/models";
/// The catalogue as Codex reads it.
pub(crate) const CODEX_MODELS: &str = "backend-api/codex/models";
pub(crate) const STATUS: &str = "status";
/// Where a child has the paths of the ChatGPT backend.
pub(crate) const BACKEND: &str = "backend-api/";
/// For children that speak to Codex but have no status.
const USAGE: &str = "backend-api/wham/usage";

/// The gateways that a request passed, oldest first, ours last.
pub(crate) const HOPS: HeaderName = HeaderName::from_static("x-switchyard-hops");

/// The child's root: people paste what they gave Codex or an SDK.
pub(crate) fn base(base: Base) -> Base {
    base.without_end(&["/v1", "/backend-api/codex", "/backend-api"])
}

/// The public paths. codexlb rewrites them to the backend's by itself.
pub(crate) const fn path(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::Backend => return None,
        Endpoint::Responses => "v1/responses",
        Endpoint::Compact => "v1/responses/compact",
        Endpoint::ChatCompletions => "v1/chat/completions",
        Endpoint::Messages => "v1/messages",
        Endpoint::CountTokens => "v1/messages/count_tokens",
        Endpoint::ImageGenerations => "v1/images/generations",
        Endpoint::ImageEdits => "v1/images/edits",
        Endpoint::Transcriptions => "v1/audio/transcriptions",
        Endpoint::Embeddings => "v1/embeddings",
    })
}

/// Tells the child which gateways came before it.
pub(crate) fn tell_hops(hops: &Hops, headers: &mut HeaderMap) {
    // An id that cannot be a header value was not made by a gateway; without it a loop is still ended by the others.
    if !hops.0.is_empty()
        && let Ok(value) = HeaderValue::try_from(hops.0.join(","))
    {
        headers.insert(HOPS, value);
    }
}

/// Takes away what a child says about the one account it used: that is not the child's quota, which its status tells.
pub(crate) fn without_inner_limits(headers: &mut HeaderMap) {
    let is_inner = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("x-codex-primary-") || name.starts_with("x-codex-secondary-")
    };
    let inner: Vec<HeaderName> = headers.keys().filter(is_inner).cloned().collect();
    for name in inner {
        headers.remove(name);
    }
}

/// The child's quota: from its status, else from the usage it shows to Codex; unknown when it has neither.
pub(crate) async fn quota(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
    now: Timestamp,
) -> Result<QuotaSnapshot, Failure> {
    let sources: [(Result<_, _>, Reader); 2] =
        [(site.base.at(STATUS), quota_from_status), (site.base.at(USAGE), quota_from_usage)];
    for (address, read) in sources {
        let address =
            address.map_err(|error| Failure::gateway(FailureKind::Unreachable, error.to_string()))?;
        let (status, body) = providers.ask(to, key, &address).await?;
        if status.is_success()
            && let Some(quota) = read(&body, now)
        {
            return Ok(quota);
        }
        // A page or a "not found" says that there is no such thing here; a refusal is worth hearing.
        if !status.is_success() && !matches!(status.as_u16(), 404 | 405) {
            return Err(providers.refused(status, &body));
        }
    }
    Ok(QuotaSnapshot::default())
}

type Reader = fn(&[u8], Timestamp) -> Option<QuotaSnapshot>;

/// Whether a body is codexlb's status: it passes requests on untranslated, so it speaks one dialect only.
pub(crate) fn is_codexlb(status: &Bytes) -> bool {
    let value: serde_json::Value = serde_json::from_slice(status).unwrap_or_default();
    value.get("proxy_name").is_some() && value.get("runtime_auth").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_told_in_order_and_only_when_they_can_be() {
        let told = |hops: &[&str]| {
            let mut headers = HeaderMap::new();
            tell_hops(&Hops(hops.iter().map(|hop| (*hop).to_owned()).collect()), &mut headers);
            headers.get(HOPS).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(told(&["a", "b"]).as_deref(), Some("a,b"));
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["a\nb"]), None);
    }

    #[test]
    fn the_inner_accounts_limits_do_not_pass_for_the_childs() {
        let mut headers = HeaderMap::new();
        for name in ["x-codex-primary-used-percent", "x-codex-secondary-reset-at", "x-codex-turn-state"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        without_inner_limits(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-codex-turn-state"]);
    }
}
