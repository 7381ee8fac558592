//! The shipped mapping and the shipped observer, through the same admission and the same traits as everything else.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    CatalogEntry, HookError, Mapping, ModelMapper as _, RequestContext, UsageObserver as _, UsageOutcome,
    UsageRecord,
};
use gateway_domain::{ModelName, RequestId, Timestamp, TokenUsage};
use gateway_scheduler::RankingPolicy as _;

use super::fixtures::{ask, context, shipped};
use crate::{AdmissionError, Capability, Grants, Hook, Limits, Package, Plugin, PluginHost, Step};

/// Deadlines are the subject elsewhere; a busy machine must not decide here.
fn host() -> PluginHost {
    PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_secs(5)))
}

fn aliases(config_json: &str) -> Result<Plugin, AdmissionError> {
    host().load("aliases", &shipped("aliases"), config_json)
}

fn asking_for(model: &str) -> Arc<RequestContext> {
    let mut context = RequestContext::clone(&context(0));
    context.info.model = ModelName::parse(model).unwrap();
    Arc::new(context)
}

const RULES: &str = r#"{"effort_suffix":true,"rules":[
    {"model":"fast","targets":[{"model":"gpt-5-mini","effort":"low","group":"work"},{"model":"gpt-5"}],
     "report_as":"fast-1"}]}"#;

#[test]
fn an_alias_becomes_models_in_order() {
    let plugin = aliases(RULES).unwrap();
    let resolution = plugin.resolve(&asking_for("fast")).unwrap();
    assert_eq!(resolution.report_as.as_deref(), Some("fast-1"));
    let Mapping::Targets(targets) = resolution.mapping else { panic!("{:?}", resolution.mapping) };
    assert_eq!(
        targets.iter().map(|target| target.model.as_str()).collect::<Vec<_>>(),
        ["gpt-5-mini", "gpt-5"]
    );
    assert_eq!(
        (targets[0].group.as_deref(), targets[0].reasoning_effort.as_deref()),
        (Some("work"), Some("low"))
    );
    assert_eq!(plugin.resolve(&asking_for("gpt-5")).unwrap().mapping, Mapping::Unchanged);

    let entry = CatalogEntry {
        id: "gpt-5".to_owned(),
        provider: "codex".to_owned(),
        context_window: Some(400_000),
        max_output_tokens: None,
    };
    let listed = plugin.publish(std::slice::from_ref(&entry)).unwrap();
    assert_eq!(listed, [entry.clone(), CatalogEntry { id: "fast".to_owned(), ..entry }]);
}

#[test]
fn its_own_complaint_is_told_beside_that_of_its_schema() {
    let error = aliases(r#"{"rules":[{"model":"a*b*","targets":[{"model":"c"}]}]}"#).unwrap_err();
    assert_eq!(error.step, Step::Init);
    assert!(error.message.contains("/rules/0/model: one * is enough"), "{error}");
    let error = aliases(r#"{"rules":[{"model":"a","targets":[]}]}"#).unwrap_err();
    assert_eq!(error.step, Step::Config);
    assert!(error.message.contains("`/rules/0/targets` must have 1 entries"), "{error}");
}

#[test]
fn a_hook_it_was_not_admitted_for_is_an_error_and_no_answer() {
    let plugin = aliases("").unwrap();
    assert!(plugin.has(Hook::MapModel) && !plugin.has(Hook::Schedule));
    let (roster, input) = ask(0, 1);
    let error = plugin.rank(&roster, &input).unwrap_err();
    assert_eq!(error, HookError::Failed("it does not export the hook schedule".to_owned()));
}

#[test]
fn an_observer_counts_what_it_is_shown_once_it_may() {
    let bytes = shipped("usage-counters");
    let manifest = include_str!("../../../../plugins/usage-counters/plugin.toml");
    let package = || Package { manifest: Some(manifest), ..Package::shipped("usage-counters", &bytes) };
    let error = host().admit(package()).unwrap_err();
    assert!(
        error.step == Step::Imports && error.message.contains("`metrics`, which was not granted"),
        "{error}"
    );

    let grants = Grants { capabilities: [Capability::Metrics].into(), ..Grants::default() };
    let plugin = host().admit(Package { grants, ..package() }).unwrap();
    assert!(plugin.counters().is_empty(), "the rehearsal is not counted");
    let record = UsageRecord {
        request_id: RequestId::parse("req_1").unwrap(),
        client: "local".to_owned(),
        account: "one".to_owned(),
        provider: "openai-compatible".to_owned(),
        model: "gpt-5".to_owned(),
        outcome: UsageOutcome::Failed,
        failure: "overloaded".to_owned(),
        http_status: 503,
        usage: TokenUsage { input: 10, input_cached: 4, output: 2, reasoning: 1 },
        ttft_ms: None,
        duration_ms: 5,
        finished_at: Timestamp::from_millis(1),
    };
    plugin.on_usage(&[record.clone(), record]).unwrap();
    let counters = plugin.counters();
    let of = |name: &str| counters.get(name).copied().unwrap_or_default() as u64;
    assert_eq!((of("requests_failed_openai_compatible"), of("tokens_input_openai_compatible")), (2, 20));
    assert_eq!((plugin.tally(Hook::ObserveUsage).calls, plugin.tally(Hook::ObserveUsage).failures), (1, 0));
}
