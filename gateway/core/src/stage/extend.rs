//! Mappings and request filters: what is asked, before anybody is chosen to answer it. Nothing attached costs one look.
//!
//! A mapping turns the asked model into one target or several; the first that has something to say decides. Filters
//! follow in their order, each on what the one before left. Then the body is read again, if it is another one.

use std::sync::Arc;

use bytes::Bytes;
use gateway_domain::{Dispatch, Failure, FailureKind, ModelName, Retry};
use gateway_protocol::texts::{Wishes, retarget};

use super::Route;
use super::acting;
use super::decode::{Decoded, Wanted};
use super::filtering::Filtering;
use super::forward::{Forwarded, forward};
use super::prompting::{Judged, Prompt};
use super::settle::Settlement;
use crate::Gateway;
use crate::decisions::Act;
use crate::extensions::{Attached, Chains};
use crate::hooks::{Mapping, Mode, RequestContext, Resolution, Target, check_resolution};

/// Headers that extensions are shown: what a client says about itself, never credentials or cookies.
const SHOWN_HEADERS: [&str; 8] = [
    "user-agent",
    "originator",
    "anthropic-beta",
    "openai-beta",
    "x-app",
    "x-stainless-lang",
    "x-client-request-id",
    "x-switchyard-tag",
];

/// A request after mappings and filters.
pub(crate) struct Extended {
    pub(crate) decoded: Decoded,
    /// What a filter answers itself.
    pub(crate) answer: Option<String>,
    /// What else the model stands for, when nobody can serve the first.
    others: Vec<Target>,
    /// The request that those are made of: after the filters, before the first target.
    base: Option<Box<Decoded>>,
    /// What happens to the answer.
    filtering: Option<Box<Filtering>>,
}

/// Asks mappings and filters.
///
/// # Errors
/// One of them refuses, or failed where that closes the way.
pub(crate) async fn extend(
    gateway: &Arc<Gateway>,
    decoded: Decoded,
    settlement: &Settlement,
) -> Result<Extended, Failure> {
    match gateway.chains() {
        Some(chains) if chains.touch_requests() && has_text(decoded.route) => {
            // On the heap: every turn would carry its room along, and most have nobody to ask.
            Box::pin(asked(gateway, &chains, decoded, settlement)).await
        }
        _ => Ok(Extended { decoded, answer: None, others: Vec::new(), base: None, filtering: None }),
    }
}

/// Whether a request holds a text that a filter could read.
const fn has_text(route: Route) -> bool {
    match route {
        Route::Call(call) => call.text().is_some(),
        _ => true,
    }
}

async fn asked(
    gateway: &Arc<Gateway>,
    chains: &Chains,
    mut decoded: Decoded,
    settlement: &Settlement,
) -> Result<Extended, Failure> {
    let (route, client) = (decoded.route.label(), decoded.caller.label().to_owned());
    let model = decoded.model.as_str().to_owned();
    let choose = |chain: &[Attached]| acting::chosen(chain, route, &client, &model);
    // A call that is no turn is asked for under its own model, and its answer is no conversation.
    let is_turn = !matches!(decoded.route, Route::Call(_));
    let of_turns = |chain: &[Attached]| if is_turn { choose(chain) } else { Vec::new() };
    let (mappings, requests, responses) =
        (of_turns(&chains.mappings), choose(&chains.requests), of_turns(&chains.responses));
    if mappings.is_empty() && requests.is_empty() && responses.is_empty() {
        return Ok(Extended { decoded, answer: None, others: Vec::new(), base: None, filtering: None });
    }
    let decision = settlement.decision();
    let context = Arc::new(context(gateway, &decoded));
    let resolution = resolve(&mappings, &context, settlement)?;
    let mut prompt = Prompt::new(&decoded);
    let mut carries: Vec<(Attached, Vec<u8>)> = Vec::new();
    for attached in requests {
        match prompt.judge(&attached, &context, decision)? {
            Judged::GoesOn(carry) => carries.push((attached, carry)),
            Judged::Answered(text) => {
                return Ok(Extended {
                    decoded,
                    answer: Some(text),
                    others: Vec::new(),
                    base: None,
                    filtering: None,
                });
            }
        }
    }
    let (mut targets, report) = match resolution {
        Some(Resolution { mapping, report_as }) => {
            let targets = if let Mapping::Targets(targets) = mapping { targets } else { Vec::new() };
            (targets, Some(report_as.unwrap_or_else(|| model.clone())))
        }
        None => (Vec::new(), None),
    };
    let others = if targets.is_empty() { Vec::new() } else { targets.split_off(1) };
    let mut base = None;
    if prompt.is_changed() || report.is_some() {
        decoded = prompt.into_request(decoded).await?;
        decoded.reported.clone_from(&report);
    }
    if let Some(target) = targets.first() {
        let first = aimed(&decoded, target).await?;
        settlement.aimed(&target.model);
        let before = std::mem::replace(&mut decoded, first);
        base = (!others.is_empty()).then(|| Box::new(before));
    }
    let filters: Vec<_> = responses
        .into_iter()
        .map(|one| {
            let carry = carries.iter().find(|(other, _)| acting::same(other, &one));
            let carry = carry.map(|(_, carry)| carry.clone()).unwrap_or_default();
            (one, carry)
        })
        .collect();
    let filtering = (!filters.is_empty() || report.is_some()).then(|| {
        Box::new(Filtering::new(decoded.route.dialect(), report, filters, &context, decision.clone()))
    });
    Ok(Extended { decoded, answer: None, others, base, filtering })
}

/// The first mapping that has something to say.
fn resolve(
    mappings: &[Attached],
    context: &Arc<RequestContext>,
    settlement: &Settlement,
) -> Result<Option<Resolution>, Failure> {
    let decision = settlement.decision();
    for attached in mappings {
        let Some(mapper) = &attached.extension.mapper else { continue };
        let answer = acting::run(attached.extension.may_block, || mapper.resolve(context));
        let resolution = match answer.and_then(check_resolution) {
            Ok(resolution) if resolution == Resolution::UNCHANGED => continue,
            Ok(resolution) => resolution,
            Err(error) => match acting::failed(decision, attached, &error) {
                Some(failure) => return Err(failure),
                None => continue,
            },
        };
        if attached.at.mode == Mode::Monitor {
            acting::note(decision, attached, Act::Passed, &[]);
            continue;
        }
        if let Mapping::Refuse(rejection) = &resolution.mapping {
            acting::note(decision, attached, Act::Refused, &[]);
            return Err(acting::refused(rejection));
        }
        acting::note(decision, attached, Act::Changed, &[]);
        return Ok(Some(resolution));
    }
    Ok(None)
}

/// The request for one target of a mapping.
async fn aimed(decoded: &Decoded, target: &Target) -> Result<Decoded, Failure> {
    let dialect = decoded.route.dialect();
    let effort = target.reasoning_effort.as_deref();
    let body = retarget(dialect, &decoded.body, &target.model, effort).map(Bytes::from);
    let body = body.unwrap_or_else(|| decoded.body.clone());
    // An alias may be any name; what goes upstream must be one.
    ModelName::parse(&target.model).map_err(|error| {
        Failure::extension(
            FailureKind::ExtensionRefused,
            format!("the mapping names `{}`: {error}", target.model),
        )
    })?;
    let mut aimed = decoded.reread(body).await?;
    aimed.wanted = Wanted { provider: target.provider.clone(), group: target.group.clone() };
    Ok(aimed)
}

/// Schedules and sends; when nobody can serve what the model stands for first, what it stands for next.
pub(crate) async fn forward_extended(
    gateway: &Arc<Gateway>,
    extended: &mut Extended,
    settlement: &mut Settlement,
) -> Result<Forwarded, Failure> {
    let mut answer = forward(gateway, &extended.decoded, settlement).await;
    if answer.is_err() && !extended.others.is_empty() {
        answer = Box::pin(forward_to_others(gateway, extended, answer, settlement)).await;
    }
    let mut forwarded = answer?;
    forwarded.filtering = extended.filtering.take();
    Ok(forwarded)
}

/// The other targets in their order, while the one before leaves that open.
async fn forward_to_others(
    gateway: &Arc<Gateway>,
    extended: &Extended,
    first: Result<Forwarded, Failure>,
    settlement: &mut Settlement,
) -> Result<Forwarded, Failure> {
    let mut answer = first;
    for target in &extended.others {
        let (Err(failure), Some(base)) = (&answer, &extended.base) else { break };
        if !next_may_do(failure) {
            break;
        }
        let aimed = aimed(base, target).await?;
        settlement.aimed(&target.model);
        answer = forward(gateway, &aimed, settlement).await;
    }
    answer
}

/// Whether another model, perhaps of another provider, can do better. Never when something may have been done already.
fn next_may_do(failure: &Failure) -> bool {
    let nobody = matches!(
        failure.kind,
        FailureKind::NoAccount
            | FailureKind::AllCooling
            | FailureKind::Saturated
            | FailureKind::ModelNotSupported
            | FailureKind::UnknownModel
            | FailureKind::QuotaExhausted
            | FailureKind::RateLimited
    );
    (nobody || failure.retry != Retry::Never) && failure.dispatch != Dispatch::Ambiguous
}

fn context(gateway: &Gateway, decoded: &Decoded) -> RequestContext {
    let Wishes { effort, max_output_tokens } = Wishes::read(decoded.route.dialect(), &decoded.body);
    let shown = SHOWN_HEADERS.iter().filter_map(|name| {
        let value = decoded.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    RequestContext {
        info: decoded.info(0),
        now: gateway.now(),
        seed: gateway.next_seed(),
        dialect: decoded.route.dialect(),
        reasoning_effort: effort,
        max_output_tokens,
        headers: shown.collect(),
    }
}
