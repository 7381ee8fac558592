//! A look at an account's upstream that spends nothing: is it there, is the key good, which dialects and models.
//!
//! An endpoint is looked for by posting nothing to it. A server that has the endpoint refuses the missing body (400, 415,
//! 422 …) before any model hears of it; one that has not says 404, 405 or 501. The same is posted to a path that cannot
//! exist: what that path answers as well proves nothing, so a server that says the same to everything counts as unknown
//! and its dialects have to be declared.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use gateway_core::ports::{Destination, Endpoint, Inspection};
use gateway_domain::{AccountKind, Dialect, Failure, FailureKind, Secret};
use gateway_protocol::models::Catalogue;
use http::StatusCode;

use crate::address::Address;
use crate::providers::{Providers, malformed};
use crate::sites::Site;
use crate::{codex, gateway};

/// The client version that a look asks the catalogue with.
const CLIENT_VERSION: &str = "0.169.0";
/// Model names kept of one list.
const MAX_MODELS: usize = 10_000;
/// A path that no server has.
const NOWHERE: &str = "switchyard-looks-for-nothing-here";

/// The endpoint that gives a dialect away.
const SIGNS: [(Endpoint, Dialect); 3] = [
    (Endpoint::Responses, Dialect::OpenAiResponses),
    (Endpoint::ChatCompletions, Dialect::OpenAiChat),
    (Endpoint::Messages, Dialect::AnthropicMessages),
];

pub(crate) async fn inspect(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Result<Inspection, Failure> {
    let look = Look { providers, site, to, key };
    match to.kind {
        AccountKind::Codex => look.backend().await,
        AccountKind::OpenAi => look.known([Dialect::OpenAiResponses, Dialect::OpenAiChat].into()).await,
        AccountKind::Anthropic => look.known([Dialect::AnthropicMessages].into()).await,
        AccountKind::OpenAiCompatible => {
            let complaint = "the address answers, but neither lists models nor speaks a known dialect; \
                             check the base URL";
            look.unknown(complaint).await
        }
        AccountKind::Gateway => look.child().await,
    }
}

/// A look at one upstream with one key.
struct Look<'a> {
    providers: &'a Providers,
    site: &'a Site,
    to: &'a Arc<Destination>,
    key: &'a Secret,
}

impl Look<'_> {
    /// The Codex backend: its quota proves the token, its catalogue names the models.
    async fn backend(&self) -> Result<Inspection, Failure> {
        let begun = Instant::now();
        let usage = self.site.base.at(codex::USAGE).map_err(unreadable)?;
        self.told(&usage).await?;
        let latency = begun.elapsed();
        let address = self.site.models.with_query("client_version", CLIENT_VERSION).map_err(unreadable)?;
        let catalogue = Catalogue::read(self.told(&address).await?).map_err(unreadable)?;
        let models = catalogue.slugs().to_vec();
        Ok(Inspection { dialects: [Dialect::OpenAiResponses].into(), models, latency })
    }

    /// A provider whose dialects are known: its list of models proves the key.
    async fn known(&self, dialects: BTreeSet<Dialect>) -> Result<Inspection, Failure> {
        let (models, latency) = self.listed().await?;
        let models =
            models.ok_or_else(|| malformed("the address does not list models; check the base URL"))?;
        Ok(Inspection { dialects, models, latency })
    }

    /// Anything else: asked for its models, and knocked at. It may speak a dialect and list nothing; what does neither
    /// gets the `complaint`.
    async fn unknown(&self, complaint: &str) -> Result<Inspection, Failure> {
        let (models, latency) = self.listed().await?;
        let dialects = self.dialects().await?;
        if models.is_none() && dialects.is_empty() {
            return Err(malformed(complaint));
        }
        Ok(Inspection { dialects, models: models.unwrap_or_default(), latency })
    }

    /// A child gateway: its status says whether it translates.
    async fn child(&self) -> Result<Inspection, Failure> {
        let begun = Instant::now();
        let status = self.site.base.at(gateway::STATUS).map_err(unreadable)?;
        let (code, body) = self.providers.ask(self.to, self.key, &status).await?;
        let latency = begun.elapsed();
        if code.is_success() && gateway::is_codexlb(&body) {
            let dialects = [Dialect::OpenAiResponses].into();
            return Ok(Inspection { dialects, models: self.codex_models().await, latency });
        }
        let found = self.unknown("the address answers, but not like a gateway; check the base URL").await?;
        Ok(Inspection { latency, ..found })
    }

    /// codexlb passes the backend's own list on.
    async fn codex_models(&self) -> Vec<String> {
        let address = self.site.base.at(gateway::CODEX_MODELS);
        let address = address.and_then(|address| address.with_query("client_version", CLIENT_VERSION));
        let Ok(address) = address else { return Vec::new() };
        // A child whose accounts all rest cannot say; that is no reason to doubt it.
        let Ok(body) = self.told(&address).await else { return Vec::new() };
        Catalogue::read(body).map(|catalogue| catalogue.slugs().to_vec()).unwrap_or_default()
    }

    /// The models that are listed; `None` when the server has no list.
    async fn listed(&self) -> Result<(Option<Vec<String>>, Duration), Failure> {
        let begun = Instant::now();
        let (status, body) = self.providers.ask(self.to, self.key, &self.site.models).await?;
        let latency = begun.elapsed();
        if status.is_success() {
            return Ok((model_names(&body), latency));
        }
        match status.as_u16() {
            404 | 405 | 501 => Ok((None, latency)),
            _ => Err(self.providers.refused(status, &body)),
        }
    }

    /// Knocks at each endpoint and at one that cannot be.
    async fn dialects(&self) -> Result<BTreeSet<Dialect>, Failure> {
        let nowhere = self.site.base.at(NOWHERE).map_err(unreadable)?;
        let signs = SIGNS.iter().filter_map(|(endpoint, _)| self.site.endpoint(*endpoint));
        let doors: Vec<&Address> = signs.chain([&nowhere]).collect();
        let knocks = doors.into_iter().map(|door| self.providers.knock(self.to, self.key, door));
        let mut statuses: Vec<_> = join_all(knocks).await.into_iter().collect::<Result<_, _>>()?;
        let nothing = statuses.pop().unwrap_or(StatusCode::NOT_FOUND);
        // Refused everywhere: the key is not good, and nothing can be told.
        if statuses.iter().all(|status| matches!(status.as_u16(), 401 | 403)) {
            return Err(Failure::upstream(FailureKind::AccountUnauthorized, "the upstream refused the key"));
        }
        let spoken = SIGNS.iter().zip(statuses).filter(|(_, status)| is_there(*status, nothing));
        Ok(spoken.map(|((_, dialect), _)| *dialect).collect())
    }

    async fn told(&self, address: &Address) -> Result<Bytes, Failure> {
        self.providers.told(self.to, self.key, address).await
    }
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    malformed(&error.to_string())
}

/// Reads `{"data":[{"id"}]}` of OpenAI and Anthropic, and `{"models":[{"id"|"name"|"slug"}]}` of others.
fn model_names(body: &Bytes) -> Option<Vec<String>> {
    let list: serde_json::Value = serde_json::from_slice(body).ok()?;
    let entries = list.get("data").or_else(|| list.get("models")).unwrap_or(&list).as_array()?;
    let name = |entry: &serde_json::Value| {
        let fields = ["id", "slug", "name", "model"];
        fields.iter().find_map(|field| entry.get(*field)?.as_str()).map(str::to_owned)
    };
    Some(entries.iter().filter_map(name).take(MAX_MODELS).collect())
}

/// Whether a status of an empty request says that the endpoint is there.
fn is_there(status: StatusCode, nothing: StatusCode) -> bool {
    !matches!(status.as_u16(), 404 | 405 | 501) && status != nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_proves_an_endpoint_only_when_nowhere_answers_otherwise() {
        for (status, nothing, expected) in [
            (400, 404, true),
            (422, 404, true),
            (415, 405, true),
            (401, 404, true),
            (500, 404, true),
            (404, 404, false),
            (405, 404, false),
            (501, 200, false),
            (400, 400, false),
            (200, 200, false),
            (401, 401, false),
        ] {
            let (status, nothing) =
                (StatusCode::from_u16(status).unwrap(), StatusCode::from_u16(nothing).unwrap());
            assert_eq!(is_there(status, nothing), expected, "{status} {nothing}");
        }
    }

    #[test]
    fn model_lists_of_every_shape_are_read() {
        for (body, expected) in [
            (r#"{"object":"list","data":[{"id":"a"},{"id":"b","name":"B"}]}"#, Some(vec!["a", "b"])),
            (r#"{"models":[{"name":"llama3:8b","model":"llama3:8b"}]}"#, Some(vec!["llama3:8b"])),
            (r#"[{"id":"bare"}]"#, Some(vec!["bare"])),
            (r#"{"data":[]}"#, Some(vec![])),
            (r#"{"data":{}}"#, None),
            ("<html>", None),
            ("{}", None),
        ] {
            let found = model_names(&Bytes::from(body));
            assert_eq!(
                found.as_deref().map(|names| names.iter().map(String::as_str).collect()),
                expected,
                "{body}"
            );
        }
    }
}
