//! A plugin that is not Rust: the same admission, the same trait, no import.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{Mapping, ModelMapper as _, RequestContext};
use gateway_domain::{ModelName, Timestamp};

use super::fixtures::context;
use crate::{Limits, Package, PluginHost};

const MANIFEST: &str = include_str!("../../../../plugins/night-shift/plugin.toml");

fn component() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/javascript/night-shift.wasm");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask test first", path.display()))
}

fn asking_at(hour: i64, model: &str) -> Arc<RequestContext> {
    let mut context = RequestContext::clone(&context(0));
    context.info.model = ModelName::parse(model).unwrap();
    context.now = Timestamp::from_millis(1_750_000_000_000 / 86_400_000 * 86_400_000 + hour * 3_600_000);
    Arc::new(context)
}

#[test]
fn a_plugin_in_javascript_is_admitted_and_maps_models_by_the_hour() {
    let host =
        PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_secs(5)));
    let bytes = component();
    let patient = MANIFEST.replace("deadline_ms = 25", "deadline_ms = 5000");
    let config_json = r#"{"from":22,"until":6,"models":{"gpt-5":"gpt-5-mini"}}"#;
    let plugin = host
        .admit(Package { config_json, manifest: Some(&patient), ..Package::shipped("night-shift", &bytes) })
        .unwrap();
    for (hour, model, expected) in [
        (23, "gpt-5", Some("gpt-5-mini")),
        (0, "gpt-5", Some("gpt-5-mini")),
        (5, "gpt-5", Some("gpt-5-mini")),
        (6, "gpt-5", None),
        (12, "gpt-5", None),
        (23, "o3", None),
        (23, "toString", None),
    ] {
        let resolution = plugin.resolve(&asking_at(hour, model)).unwrap();
        let found = match &resolution.mapping {
            Mapping::Unchanged => None,
            Mapping::Targets(targets) => Some(targets[0].model.as_str()),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{model} at {hour}");
    }
    let error = plugin.check_config(r#"{"from":3,"until":3}"#).unwrap_err().to_string();
    assert!(error.contains("from and until must differ"), "{error}");
}
