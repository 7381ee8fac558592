//! What does not get in, and what it is told.

use super::fixtures::{Hostile, SLEEPING, shipped};
use crate::{AdmissionError, PluginHost, Step};

fn refused(bytes: &[u8], config: &str) -> AdmissionError {
    PluginHost::new().unwrap().load("candidate", bytes, config).unwrap_err()
}

#[track_caller]
fn assert_refused(bytes: &[u8], step: Step, because: &str) {
    let error = refused(bytes, "");
    assert_eq!((error.step, error.plugin.as_str()), (step, "candidate"), "{error}");
    assert!(error.message.contains(because), "{error}");
}

#[test]
fn a_core_module_is_sent_to_the_component_encoder() {
    assert_refused(&SLEEPING.module(), Step::Parse, "turn it into a component");
}

#[test]
fn what_is_not_webassembly_is_not_read_further() {
    assert_refused(b"", Step::Parse, "not WebAssembly");
    assert_refused(b"#!/bin/sh", Step::Parse, "not WebAssembly");
    assert_refused(&vec![0; 16 * 1024 * 1024 + 1], Step::Read, "more than the 16384 KiB");
}

#[test]
fn a_truncated_component_is_refused_wherever_it_was_cut() {
    let host = PluginHost::new().unwrap();
    let whole = SLEEPING.component();
    let (mut tried, mut cut_inside, mut harmless) = (0, 0, 0);
    for cut in (9..whole.len()).step_by(5) {
        tried += 1;
        match host.load("cut", &whole[..cut], "") {
            Err(error) if error.step == Step::Parse => cut_inside += 1,
            // Cut between two sections it is whole in itself, but something is missing.
            Err(error) => assert!(error.step < Step::Init, "{cut}: {error}"),
            // Behind the last export stand only the names.
            Ok(_) => harmless += 1,
        }
    }
    assert!(harmless <= 2 && cut_inside > tried * 9 / 10, "{harmless} and {cut_inside} of {tried}");
}

/// A component that names the exports of a scheduler but has nothing in them.
fn hollow(inside: &str) -> Vec<u8> {
    let text = format!(
        r#"(component {inside} (instance $nothing)
             (export "switchyard:plugin/lifecycle@0.1.0" (instance $nothing))
             (export "switchyard:plugin/scheduling@0.1.0" (instance $nothing)))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_forbidden_import_is_named() {
    let reaching_out = hollow(
        r#"(import "wasi:cli/environment@0.2.0" (instance (export "get" (func)))) (import "open-file" (func))"#,
    );
    assert_refused(&reaching_out, Step::Imports, "`wasi:cli/environment@0.2.0`, which no plugin has");
    assert_refused(&reaching_out, Step::Imports, "`open-file`");
}

#[test]
fn imports_of_what_is_nested_inside_are_its_own_business() {
    let nested = hollow(r#"(component (import "inner" (func))) (core module (import "x" "y" (func)))"#);
    assert_refused(&nested, Step::Instantiate, "describe");
}

#[test]
fn parts_that_call_each_other_are_compiled_and_judged_like_any_other() {
    // What is generated between two parts uses features that guests themselves are not given.
    let two_parts = hollow(
        r#"(component $maker
            (core module $code (func (export "f") (param i32) (result i32) local.get 0))
            (core instance $run (instantiate $code))
            (func (export "f") (param "x" u32) (result u32) (canon lift (core func $run "f"))))
        (component $user
            (import "f" (func $f (param "x" u32) (result u32)))
            (core func $lowered (canon lower (func $f)))
            (core module $code
                (import "" "f" (func $f (param i32) (result i32)))
                (func (export "g") (param i32) (result i32) local.get 0 call $f))
            (core instance $run (instantiate $code (with "" (instance (export "f" (func $lowered))))))
            (func (export "g") (param "x" u32) (result u32) (canon lift (core func $run "g"))))
        (instance $made (instantiate $maker))
        (instance $used (instantiate $user (with "f" (func $made "f"))))"#,
    );
    assert_refused(&two_parts, Step::Instantiate, "describe");
}

#[test]
fn exports_must_be_those_of_a_contract_that_is_spoken() {
    let nothing = wat::parse_str("(component)").unwrap();
    assert_refused(&nothing, Step::Contract, "does not export `switchyard:plugin/lifecycle`");
    let hookless = wat::parse_str(
        r#"(component (instance $n) (export "switchyard:plugin/lifecycle@0.1.0" (instance $n)))"#,
    );
    assert_refused(&hookless.unwrap(), Step::Contract, "no hook");
    assert_refused(&hollow_of("0.2.0"), Step::Contract, "0.2.0; this gateway speaks 0.1.x");
    assert_refused(&hollow_of("0.1.7"), Step::Instantiate, "describe");
}

fn hollow_of(version: &str) -> Vec<u8> {
    let text = format!(
        r#"(component (instance $n) (export "switchyard:plugin/lifecycle@{version}" (instance $n))
             (export "switchyard:plugin/scheduling@{version}" (instance $n)))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn features_that_are_not_lent_do_not_compile() {
    assert_refused(&hollow("(core module (memory 1) (memory 1))"), Step::Compile, "multi");
}

#[test]
fn hooks_must_be_ones_it_exports() {
    let boastful = Hostile { hooks: "\\03", ..SLEEPING };
    assert_refused(&boastful.component(), Step::Describe, "map-model but does not export `model-mapping`");
    let idle = Hostile { hooks: "\\00", ..SLEEPING };
    assert_refused(&idle.component(), Step::Describe, "no hook");
}

#[test]
fn a_loop_or_a_trap_while_setting_up_ends_the_admission() {
    let looping = Hostile { init: "(loop $forever (br $forever))", ..SLEEPING };
    assert_refused(&looping.component(), Step::Init, "time limit");
    let trapping = Hostile { init: "(unreachable)", ..SLEEPING };
    assert_refused(&trapping.component(), Step::Init, "unreachable");
}

#[test]
fn the_probe_finds_what_would_fail_on_the_first_request() {
    let looping = Hostile { otherwise: "(loop $forever (br $forever)) (unreachable)", ..SLEEPING };
    assert_refused(&looping.component(), Step::Probe, "time limit");
    let inventing = Hostile {
        otherwise: "(i32.store (i32.const 260) (i32.const 512)) \
        (i32.store (i32.const 264) (i32.const 1)) (i32.const 256)",
        ..SLEEPING
    };
    assert_refused(&inventing.component(), Step::Probe, "account 99, which is no candidate");
}

#[test]
fn a_plugin_that_remembers_requests_is_not_deterministic() {
    let counting = Hostile { otherwise: "(call $wait_ms (global.get $asked))", ..SLEEPING };
    assert_refused(&counting.component(), Step::Probe, "deterministic");
}

#[test]
fn configuration_it_does_not_know_is_refused_by_its_schema() {
    let error = refused(&shipped("headroom"), r#"{"speed":11}"#);
    assert_eq!(error.step, Step::Config);
    assert!(error.message.contains("`/speed` is not known"), "{error}");
}

#[test]
fn damaged_components_are_refused_or_work_but_never_take_the_process_down() {
    let host = PluginHost::new().unwrap();
    let whole = SLEEPING.component();
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for _ in 0..400 {
        let mut damaged = whole.clone();
        for _ in 0..=next(3) {
            let at = 8 + next(whole.len() - 8);
            damaged[at] ^= 1 << next(8);
        }
        refused += usize::from(host.load("damaged", &damaged, "").is_err());
    }
    assert!(refused > 100, "only {refused} of 400 were refused");
}
