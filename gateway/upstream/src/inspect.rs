//! A look at an account's upstream that spends nothing: is it there, is the key good, which dialects and models.
//!
//! An endpoint is looked for by posting nothing to it. A server that has the endpoint refuses the missing body (400, 415,
//! 422 …) before any model hears of it; one that has not says 404, 405 or 501. The same is posted to a path that cannot
//! exist: what that path answers as well proves nothing, so a server that says the same to everything counts as unknown
//! and its dialects have to be declared.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

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
    match to.kind {
        AccountKind::Codex => backend(providers, site, to, key).await,
        AccountKind::OpenAi => {
            let (models, latency) = listed(providers, site, to, key).await?;
            let dialects = [Dialect::OpenAiResponses, Dialect::OpenAiChat].into();
            Ok(Inspection { dialects, models: known(models)?, latency })
        }
        AccountKind::Anthropic => {
            let (models, latency) = listed(providers, site, to, key).await?;
            Ok(Inspection { dialects: [Dialect::AnthropicMessages].into(), models: known(models)?, latency })
        }
        AccountKind::OpenAiCompatible => compatible(providers, site, to, key).await,
        AccountKind::Gateway => child(providers, site, to, key).await,
    }
}

/// The Codex backend: its quota proves the token, its catalogue names the models.
async fn backend(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Result<Inspection, Failure> {
    let begun = Instant::now();
    let usage = site.base.at(codex::USAGE).map_err(|error| malformed(&error.to_string()))?;
    providers.told(to, key, &usage).await?;
    let latency = begun.elapsed();
    let address = site.models.with_query("client_version", CLIENT_VERSION);
    let address = address.map_err(|error| malformed(&error.to_string()))?;
    let catalogue = Catalogue::read(providers.told(to, key, &address).await?)
        .map_err(|error| malformed(&error.to_string()))?;
    let models = catalogue.slugs().to_vec();
    Ok(Inspection { dialects: [Dialect::OpenAiResponses].into(), models, latency })
}

/// Anything that resembles OpenAI: asked for its models, and knocked at.
async fn compatible(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Result<Inspection, Failure> {
    let (models, latency) = listed(providers, site, to, key).await?;
    let dialects = dialects(providers, site, to, key).await?;
    // A server may speak a dialect and list nothing; one that does neither is no such server.
    if models.is_none() && dialects.is_empty() {
        return Err(malformed(
            "the address answers, but neither lists models nor speaks a known dialect; check the base URL",
        ));
    }
    Ok(Inspection { dialects, models: models.unwrap_or_default(), latency })
}

/// A child gateway: its status says whether it translates.
async fn child(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Result<Inspection, Failure> {
    let begun = Instant::now();
    let status = site.base.at(gateway::STATUS).map_err(|error| malformed(&error.to_string()))?;
    let (code, body) = providers.ask(to, key, &status).await?;
    let latency = begun.elapsed();
    if code.is_success() && gateway::is_codexlb(&body) {
        let dialects = [Dialect::OpenAiResponses].into();
        return Ok(Inspection { dialects, models: codex_models(providers, site, to, key).await, latency });
    }
    let (models, _) = listed(providers, site, to, key).await?;
    let dialects = dialects(providers, site, to, key).await?;
    if models.is_none() && dialects.is_empty() {
        return Err(malformed("the address answers, but not like a gateway; check the base URL"));
    }
    Ok(Inspection { dialects, models: models.unwrap_or_default(), latency })
}

/// codexlb passes the backend's own list on.
async fn codex_models(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Vec<String> {
    let address = site
        .base
        .at(gateway::CODEX_MODELS)
        .and_then(|address| address.with_query("client_version", CLIENT_VERSION));
    let Ok(address) = address else { return Vec::new() };
    // A child whose accounts all rest cannot say; that is no reason to doubt it.
    let Ok(body) = providers.told(to, key, &address).await else { return Vec::new() };
    Catalogue::read(body).map(|catalogue| catalogue.slugs().to_vec()).unwrap_or_default()
}

/// The models that are listed; `None` when the server has no list.
async fn listed(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Result<(Option<Vec<String>>, std::time::Duration), Failure> {
    let begun = Instant::now();
    let (status, body) = providers.ask(to, key, &site.models).await?;
    let latency = begun.elapsed();
    if status.is_success() {
        return Ok((model_names(&body), latency));
    }
    match status.as_u16() {
        404 | 405 | 501 => Ok((None, latency)),
        _ => Err(providers.refused(status, &body)),
    }
}

fn known(models: Option<Vec<String>>) -> Result<Vec<String>, Failure> {
    models.ok_or_else(|| malformed("the address does not list models; check the base URL"))
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

/// Knocks at each endpoint and at one that cannot be.
async fn dialects(
    providers: &Providers,
    site: &Site,
    to: &Arc<Destination>,
    key: &Secret,
) -> Result<BTreeSet<Dialect>, Failure> {
    let nowhere = site.base.at(NOWHERE).map_err(|error| malformed(&error.to_string()))?;
    let doors: Vec<&Address> =
        SIGNS.iter().filter_map(|(endpoint, _)| site.endpoint(*endpoint)).chain([&nowhere]).collect();
    let answers = join_all(doors.into_iter().map(|door| providers.knock(to, key, door))).await;
    let mut statuses = Vec::with_capacity(answers.len());
    for answer in answers {
        statuses.push(answer?);
    }
    let nothing = statuses.pop().unwrap_or(StatusCode::NOT_FOUND);
    // Refused everywhere: the key is not good, and nothing can be told.
    if statuses.iter().all(|status| matches!(status.as_u16(), 401 | 403)) {
        return Err(Failure::upstream(FailureKind::AccountUnauthorized, "the upstream refused the key"));
    }
    let spoken = SIGNS.iter().zip(statuses).filter(|(_, status)| is_there(*status, nothing));
    Ok(spoken.map(|((_, dialect), _)| *dialect).collect())
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
