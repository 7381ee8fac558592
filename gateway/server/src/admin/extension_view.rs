//! Extensions in the shapes of the API. Refuses: secrets, which are named and never shown.

use std::collections::BTreeMap;

use gateway_api::{
    BreakerView, DecidedView, ExtensionChecked, ExtensionDetail, ExtensionHitView, ExtensionRefusedView,
    ExtensionView, HookCallsView, HookFailureView, LendingView, LogLineView, PlaceView, ReleaseView,
};
use gateway_core::Gateway;
use gateway_core::decisions::{Act, Decision};
use gateway_core::extensions::{
    ExtensionInfo, ExtensionRelease, ExtensionReport, Lending, Placement, Rejected, Trial,
};
use gateway_core::hooks::{Attachment, BreakerState, Health, Hook};
use gateway_scheduler::{PolicyLanguage, PolicyVersion};
use serde_json::Value;

use super::policies::step;
use super::view::act_view;

/// Every extension: what is attached, what only ranks, and files that were not taken. May block.
pub(super) fn rows(gateway: &Gateway) -> Vec<ExtensionView> {
    let mut refused: BTreeMap<String, Rejected> =
        gateway.extensions().rejected().into_iter().map(|one| (one.id.clone(), one)).collect();
    let mut rows = Vec::new();
    for info in gateway.extensions().list() {
        let report = gateway.extensions().report(&info.id);
        let mut row = of_info(info, report);
        row.refused = refused.remove(&row.id).map(refusal);
        rows.push(row);
    }
    for version in policies_only(gateway) {
        let report = gateway.extensions().report(&version.id());
        let decides = gateway.policy().version().id() == version.id();
        let mut row = of_policy(&version, decides, report);
        row.refused = refused.remove(&row.id).map(refusal);
        rows.push(row);
    }
    rows.extend(refused.into_values().map(of_rejected));
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

/// One in full; `None` when there is none. May block.
pub(super) fn detail(gateway: &Gateway, id: &str, most_hits: usize) -> Option<ExtensionDetail> {
    let extension = rows(gateway).into_iter().find(|row| row.id == id)?;
    let extensions = gateway.extensions();
    let (report, form) = (extensions.report(id), extensions.form(id));
    let json = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let health = report.as_ref().and_then(|report| report.health.as_ref());
    let lines = report.iter().flat_map(|report| &report.log);
    Some(ExtensionDetail {
        extension,
        decided: decided(&extensions.placement(id)),
        config: report.as_ref().map_or(Value::Null, |report| json(&report.config_json)),
        config_schema: json(&form.schema_json),
        config_defaults: json(&form.defaults_json),
        versions: extensions.versions(id).into_iter().map(release).collect(),
        failures: health.map(failures).unwrap_or_default(),
        log: lines
            .map(|line| LogLineView {
                number: line.number,
                level: line.level.to_owned(),
                message: line.message.clone(),
            })
            .collect(),
        log_left_out: report.as_ref().map_or(0, |report| report.log_left_out),
        counters: report.as_ref().map(|report| report.counters.clone()).unwrap_or_default(),
        hits: hits(gateway, Some(id), most_hits),
    })
}

/// Whether an id is that of an extension that ranks and does nothing else.
pub(super) fn is_policy_only(gateway: &Gateway, id: &str) -> bool {
    policies_only(gateway).iter().any(|version| version.id() == id)
}

fn policies_only(gateway: &Gateway) -> Vec<PolicyVersion> {
    let all = gateway.policies().all();
    let ours = all.iter().map(|policy| policy.version());
    let ours = ours.filter(|version| version.language != PolicyLanguage::BuiltIn);
    ours.filter(|version| gateway.extensions().find(&version.id()).is_none()).cloned().collect()
}

/// What extensions did lately: everything but letting through without a hit.
pub(super) fn hits(gateway: &Gateway, id: Option<&str>, limit: usize) -> Vec<ExtensionHitView> {
    let wanted = |one: &gateway_core::decisions::Acted| {
        id.is_none_or(|id| one.id == id) && (one.act != Act::Passed || !one.rules.is_empty())
    };
    // Looked at in place: most decisions hold nothing of the kind, and each is a large thing to copy.
    let acted = |decision: &Decision| decision.update(|state| state.extensions.iter().any(wanted));
    let decisions = gateway.decisions().newest(limit, acted);
    let hits = decisions.iter().flat_map(|decision| {
        let (client, acts) = decision.update(|state| {
            let acts: Vec<_> = state.extensions.iter().filter(|one| wanted(one)).map(act_view).collect();
            (state.client.to_string(), acts)
        });
        acts.into_iter().map(move |act| ExtensionHitView {
            request_id: decision.id.to_string(),
            at: decision.at.as_millis(),
            client: client.clone(),
            act,
        })
    });
    hits.take(limit).collect()
}

/// One version.
pub(super) fn release(release: ExtensionRelease) -> ReleaseView {
    let ExtensionRelease { release, digest, serving } = release;
    ReleaseView { release, digest, serving }
}

/// A dry admission.
pub(super) fn trial(id: String, trial: Trial, source: &str) -> ExtensionChecked {
    let Trial { checked, release, hooks, report, form } = trial;
    ExtensionChecked {
        passed: checked.passed(),
        id,
        release,
        digest: checked.digest.clone(),
        hooks: hooks.iter().map(|hook| hook.label().to_owned()).collect(),
        trust: report.as_ref().map(|report| report.trust.to_owned()),
        isolation: report.as_ref().map(|report| report.isolation.to_owned()),
        asks: report.as_ref().map(|report| lending(&report.asks)).unwrap_or_default(),
        config_schema: serde_json::from_str(&form.schema_json).unwrap_or(Value::Null),
        steps: checked.steps.iter().map(|(name, outcome)| step(name, outcome, source)).collect(),
    }
}

fn of_info(info: ExtensionInfo, report: Option<ExtensionReport>) -> ExtensionView {
    let mut row = of_version(&info.version, report);
    row.hooks = info.hooks.iter().map(|hook| hook.label().to_owned()).collect();
    row.enabled = info.enabled;
    row.places = info.attachments.iter().filter(|at| at.hook != Hook::Schedule).map(place).collect();
    row.release = info.release;
    row.summary = info.summary;
    row
}

fn of_policy(version: &PolicyVersion, decides: bool, report: Option<ExtensionReport>) -> ExtensionView {
    let mut row = of_version(version, report);
    row.hooks = vec![Hook::Schedule.label().to_owned()];
    row.enabled = decides;
    row
}

fn of_version(version: &PolicyVersion, report: Option<ExtensionReport>) -> ExtensionView {
    let known = report.as_ref();
    let health = known.and_then(|report| report.health.as_ref());
    ExtensionView {
        id: version.id(),
        name: version.name.clone(),
        language: version.language.label().to_owned(),
        origin: known.map(|report| report.origin.label().to_owned()).unwrap_or_default(),
        release: known.map(|report| report.release.clone()).unwrap_or_default(),
        digest: version.digest.clone(),
        summary: known.map(|report| report.summary.clone()).unwrap_or_default(),
        hooks: Vec::new(),
        enabled: false,
        places: Vec::new(),
        trust: known.map(|report| report.trust.to_owned()).unwrap_or_default(),
        isolation: known.map(|report| report.isolation.to_owned()).unwrap_or_default(),
        breaker: health.map(breaker),
        calls: health.map(calls).unwrap_or_default(),
        asks: known.map(|report| lending(&report.asks)).unwrap_or_default(),
        lent: known.map(|report| report.lent.clone()).unwrap_or_default(),
        refused: None,
    }
}

/// A file of which no version was ever taken.
fn of_rejected(rejected: Rejected) -> ExtensionView {
    let (language, name) = rejected.id.split_once(':').unwrap_or_default();
    ExtensionView {
        id: rejected.id.clone(),
        name: name.to_owned(),
        language: language.to_owned(),
        origin: gateway_core::extensions::Origin::Folder.label().to_owned(),
        release: String::new(),
        digest: String::new(),
        summary: String::new(),
        hooks: Vec::new(),
        enabled: false,
        places: Vec::new(),
        trust: String::new(),
        isolation: String::new(),
        breaker: None,
        calls: Vec::new(),
        asks: LendingView::default(),
        lent: std::collections::BTreeSet::new(),
        refused: Some(refusal(rejected)),
    }
}

fn refusal(rejected: Rejected) -> ExtensionRefusedView {
    ExtensionRefusedView { step: rejected.step, message: rejected.message }
}

fn place(at: &Attachment) -> PlaceView {
    PlaceView {
        hook: at.hook.label().to_owned(),
        order: at.order,
        mode: at.mode.label().to_owned(),
        on_failure: at.failing.label().to_owned(),
        routes: at.routes.clone(),
        groups: at.groups.clone(),
        clients: at.clients.clone(),
        models: at.models.clone(),
    }
}

fn breaker(health: &Health) -> BreakerView {
    let (state, pause_ms) = match health.breaker {
        BreakerState::Closed => ("closed", None),
        BreakerState::Open { pause_ms } => ("open", Some(pause_ms)),
        BreakerState::Trying => ("trying", None),
    };
    BreakerView { state: state.to_owned(), failing: health.failing, pause_ms }
}

fn calls(health: &Health) -> Vec<HookCallsView> {
    let view = |(hook, tally): &(Hook, gateway_core::hooks::HookTally)| HookCallsView {
        hook: hook.label().to_owned(),
        calls: tally.calls,
        failures: tally.failures,
        mean_us: (*hook != Hook::Schedule && tally.calls > 0)
            .then(|| tally.micros as f64 / tally.calls as f64),
    };
    health.calls.iter().map(view).collect()
}

fn failures(health: &Health) -> Vec<HookFailureView> {
    let view = |failure: &gateway_core::hooks::HookFailure| HookFailureView {
        number: failure.number,
        hook: failure.hook.label().to_owned(),
        kind: failure.error.label().to_owned(),
        message: failure.error.to_string(),
    };
    health.failures.iter().map(view).collect()
}

fn lending(lending: &Lending) -> LendingView {
    LendingView {
        grants: lending.grants.clone(),
        secrets: lending.secrets.clone(),
        http_out: lending.http_out.clone(),
    }
}

fn decided(placement: &Placement) -> DecidedView {
    DecidedView {
        enabled: placement.enabled,
        order: placement.order,
        mode: placement.mode.map(|mode| mode.label().to_owned()),
        on_failure: placement.on_failure.map(|failing| failing.label().to_owned()),
        routes: placement.routes.clone(),
        groups: placement.groups.clone(),
        clients: placement.clients.clone(),
        models: placement.models.clone(),
        config: placement.config.clone(),
        lent: LendingView {
            grants: placement.grants.iter().cloned().collect(),
            secrets: placement.secrets.keys().cloned().collect(),
            http_out: placement.http_out.clone(),
        },
        raised: placement.raised,
    }
}
