//! The conformance kit: shipped plugins pass it, and each way of failing is told with the hook and what was done.

use std::path::Path;

use super::fixtures::{Hostile, HostileFilter, PASSING, SLEEPING, shipped};
use crate::{
    Grants, Hook, Limits, Manifest, Outside, Package, Plugin, PluginHost, Probe, conformance, measure,
};

fn admit(name: &str, bytes: &[u8], manifest: Option<&str>) -> Plugin {
    let capabilities = manifest.map(|text| Manifest::parse(text).unwrap().wants).unwrap_or_default();
    let grants = Grants { capabilities, ..Grants::default() };
    let host = PluginHost::new().unwrap().with_limits(Limits::default());
    host.admit(Package { manifest, grants, ..Package::found(name, bytes) }).unwrap()
}

fn manifest_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(name).join("plugin.toml");
    std::fs::read_to_string(path).unwrap()
}

fn failed(probes: &[Probe]) -> Vec<(&'static str, String)> {
    probes.iter().filter_map(|probe| Some((probe.about, probe.problem.clone()?))).collect()
}

#[test]
fn shipped_plugins_conform() {
    for name in ["headroom", "aliases", "redactor", "usage-counters"] {
        let manifest = manifest_of(name);
        let plugin = admit(name, &shipped(name), Some(&manifest));
        let probes = conformance(&plugin).unwrap();
        assert_eq!(failed(&probes), [], "{name}");
        for hook in &plugin.metadata().hooks {
            assert!(probes.iter().any(|probe| probe.hook == *hook), "{name}: {}", hook.label());
        }
        assert!(plugin.failures().is_empty(), "the kit leaves no trace on what serves");
    }
}

#[test]
fn a_plugin_that_cannot_bear_a_request_is_told_apart() {
    // Whatever is asked beyond the admission, it traps.
    let filter = HostileFilter { otherwise: "(unreachable)", ..PASSING };
    let host = PluginHost::new().unwrap();
    let refused = host.admit(Package::found("trap", &filter.component())).unwrap_err();
    assert_eq!(refused.step, crate::Step::Probe, "what fails always is not even admitted");

    // This one bears what the admission asks and traps at the largest seed there is.
    let odd = "(if (result i32) (i64.eq (local.get $seed) (i64.const -1)) (then (unreachable)) (else (call $delegate)))";
    let hostile = Hostile { otherwise: odd, ..SLEEPING };
    let plugin = admit("odd", &hostile.component(), None);
    let failed = failed(&conformance(&plugin).unwrap());
    let [(about, problem)] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(*about, "numbers at their edges");
    assert!(problem.contains("unreachable"), "{problem}");
    let sound = admit("sound", &SLEEPING.component(), None);
    assert!(conformance(&sound).unwrap().iter().all(|probe| probe.problem.is_none()));
}

#[test]
fn every_hook_is_measured() {
    let limits = Limits::default().with_deadline(std::time::Duration::from_secs(5));
    let bytes = shipped("redactor");
    let host = PluginHost::new().unwrap().with_limits(limits);
    let plugin =
        host.admit(Package { vouching: crate::Vouching::Operator, ..Package::found("redactor", &bytes) });
    let timings = measure(&plugin.unwrap()).unwrap();
    for hook in [Hook::FilterRequest, Hook::FilterResponse] {
        assert!(timings.iter().any(|one| one.hook == hook && one.rounds > 0 && one.p99 >= one.median));
    }
}

#[test]
fn the_outside_is_read_without_running() {
    let bytes = shipped("headroom");
    let outside = Outside::of(&bytes).unwrap();
    assert_eq!(outside.digest.len(), 64);
    assert!(outside.exports.iter().any(|name| name.starts_with("switchyard:plugin/scheduling@0.1")));
    assert!(Outside::of(b"\0asm").is_err());
    let (key, _) = crate::SigningKey::generate().unwrap();
    let signature = key.sign(&bytes, "");
    assert_eq!(crate::signer_of(&signature).map(str::len), Some(16));
    assert_eq!(crate::signer_of("rsa abc"), None);
}
