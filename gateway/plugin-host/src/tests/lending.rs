//! Grants, signatures, configuration and the manifest: who gets in, and with what.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::hooks::{PromptBody, PromptFilter as _};
use gateway_domain::Secret;
use parking_lot::Mutex;

use super::fixtures::{HostileFilter, PASSING, context};
use crate::{
    AdmissionError, Capability, Destination, Grants, Isolation, Outbound, OutboundError, OutboundRequest,
    OutboundResponse, Package, Plugin, PluginHost, SigningKey, Step, Trust, TrustedKey, Vouching,
};

/// Logs three bytes of its memory with every prompt.
const LOGGING: HostileFilter = HostileFilter {
    imports: r#"(import "switchyard:plugin/logging@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
    otherwise: "(call $log (i32.const 2) (i32.const 16) (i32.const 7)) (i32.const 256)",
    ..PASSING
};

/// Counts under a key all instances share, and carries as many bytes as it counted.
const COUNTING: HostileFilter = HostileFilter {
    imports: r#"(import "switchyard:plugin/kv@0.1.0" "increment"
                  (func $increment (param i32 i32 i64 i32 i32 i32)))"#,
    otherwise: "(call $increment (i32.const 16) (i32.const 7) (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 320))
                (i32.store (i32.const 288) (i32.const 1024))
                (i32.store (i32.const 292) (i32.load (i32.const 328)))
                (i32.const 256)",
    ..PASSING
};

/// Asks for the secret named `hostile` and carries as many bytes as it has.
const PRYING: HostileFilter = HostileFilter {
    imports: r#"(import "switchyard:plugin/secrets@0.1.0" "get" (func $secret (param i32 i32 i32)))"#,
    otherwise: "(call $secret (i32.const 16) (i32.const 7) (i32.const 320))
                (i32.store (i32.const 288) (i32.const 1024))
                (i32.store (i32.const 292) (i32.load (i32.const 328)))
                (i32.const 256)",
    ..PASSING
};

const MANIFEST: &str = r#"
name = "hostile"
version = "1.0.0"
hooks = ["filter-request", "filter-response"]
grants = ["logging", "kv", "secrets"]
"#;

fn granting(capabilities: &[Capability]) -> Grants {
    Grants {
        capabilities: capabilities.iter().copied().collect(),
        secrets: BTreeMap::from([("hostile".to_owned(), Secret::from("12345"))]),
        ..Grants::default()
    }
}

fn admit(
    host: &PluginHost,
    bytes: &[u8],
    change: impl FnOnce(&mut Package<'_>),
) -> Result<Plugin, AdmissionError> {
    let mut package = Package { manifest: Some(MANIFEST), ..Package::found("hostile", bytes) };
    change(&mut package);
    host.admit(package)
}

#[track_caller]
fn assert_refused(result: Result<Plugin, AdmissionError>, step: Step, because: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.step, step, "{error}");
    assert!(error.message.contains(because), "{error}");
}

fn carried(filter: &Plugin) -> usize {
    filter.filter_request(&context(0), PromptBody::Absent).unwrap().carry.len()
}

#[test]
fn a_capability_must_be_asked_for_granted_and_trusted() {
    let host = PluginHost::new().unwrap();
    let bytes = PRYING.component();
    let grant = |package: &mut Package<'_>| package.grants = granting(&[Capability::Secrets]);
    assert_refused(
        admit(&host, &bytes, |package| {
            grant(package);
            package.manifest = None;
        }),
        Step::Imports,
        "its manifest does not ask for",
    );
    assert_refused(admit(&host, &bytes, |_| {}), Step::Imports, "was not granted");
    assert_refused(admit(&host, &bytes, grant), Step::Imports, "only a signed plugin");
    let raised = admit(&host, &bytes, |package| {
        grant(package);
        package.vouching = Vouching::Operator;
    });
    let raised = raised.unwrap();
    assert_eq!((raised.trust(), raised.capabilities()), (Trust::Raised, &[Capability::Secrets][..]));
    assert_eq!(carried(&raised), 5, "it reads the secret it was granted by name");
}

#[test]
fn what_is_granted_is_shared_by_all_instances_and_seen_by_the_operator() {
    let host = PluginHost::new().unwrap();
    let admitted =
        admit(&host, &LOGGING.component(), |package| package.grants = granting(&[Capability::Logging]));
    let logging = admitted.unwrap();
    assert_eq!(logging.log().0, [], "what is rehearsed is not logged");
    carried(&logging);
    assert_eq!(logging.log().0[0].message, "hostile");

    let kv = |package: &mut Package<'_>| package.grants = granting(&[Capability::Kv]);
    assert_refused(admit(&host, &COUNTING.component(), kv), Step::Probe, "deterministic");
    let honest = HostileFilter { deterministic: "\\00", ..COUNTING };
    let counting = admit(&host, &honest.component(), kv).unwrap();
    assert_eq!(counting.isolation(), Isolation::Fresh, "unsigned, so each call has an instance of its own");
    assert_eq!((carried(&counting), carried(&counting)), (1, 2), "and they share one store");
}

#[test]
fn a_signature_must_fit_the_component_and_the_manifest() {
    let (key, _) = SigningKey::generate().unwrap();
    let host = PluginHost::new().unwrap().trusting(vec![TrustedKey::parse(&key.public()).unwrap()]);
    let bytes = PRYING.component();
    let signature = key.sign(&bytes, MANIFEST);
    let signed = host.admit(Package {
        manifest: Some(MANIFEST),
        signature: Some(&signature),
        grants: granting(&[Capability::Secrets]),
        ..Package::found("hostile", &bytes)
    });
    assert_eq!(signed.unwrap().trust(), Trust::Signed);

    let greedier = MANIFEST.replace("\"kv\"", "\"kv\", \"http-out\"");
    let tampered = host.admit(Package {
        manifest: Some(&greedier),
        signature: Some(&signature),
        // Not even the operator's word helps a signature that does not fit.
        vouching: Vouching::Operator,
        ..Package::found("hostile", &bytes)
    });
    assert_refused(tampered, Step::Signature, "changed after it was signed");
    let stranger = SigningKey::generate().unwrap().0.sign(&bytes, MANIFEST);
    let unknown = host.admit(Package {
        manifest: Some(MANIFEST),
        signature: Some(&stranger),
        ..Package::found("hostile", &bytes)
    });
    assert_refused(unknown, Step::Signature, "not among the operator's keys");
}

#[test]
fn the_manifest_must_agree_with_the_component() {
    let host = PluginHost::new().unwrap();
    let bytes = PASSING.component();
    for (from, to, step, because) in [
        ("\"hostile\"", "\"other\"", Step::Read, "that of `other`"),
        ("\"1.0.0\"", "\"2.0.0\"", Step::Describe, "`1.0.0`, but `2.0.0` in its manifest"),
        ("\"filter-request\", ", "", Step::Describe, "other hooks"),
        ("name", "nom", Step::Read, "nom"),
        (
            "grants",
            "digest = \"0000000000000000000000000000000000000000000000000000000000000000\"\ngrants",
            Step::Digest,
            "pins 0000",
        ),
    ] {
        let manifest = MANIFEST.replacen(from, to, 1);
        let refused = host.admit(Package { manifest: Some(&manifest), ..Package::found("hostile", &bytes) });
        assert_refused(refused, step, because);
    }
}

#[test]
fn steps_are_listed_in_their_order() {
    assert!(Step::ALL.is_sorted());
    assert_eq!(
        Step::ALL.map(Step::label).join(" "),
        "read digest signature parse contract imports compile \
        instantiate describe config init probe"
    );
}

struct Recording(Mutex<Vec<String>>);

impl Outbound for Recording {
    fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        self.0.lock().push(request.url);
        Ok(OutboundResponse { status: 200, headers: Vec::new(), body: vec![0; 3] })
    }
}

/// Sends a GET to the URL in its memory and carries as many bytes as its answer's tag says: 0 is an answer.
const CALLING: HostileFilter = HostileFilter {
    imports: r#"(import "switchyard:plugin/http-out@0.1.0" "send"
                  (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
                (data (i32.const 832) "GEThttps://api.example.com/v1")"#,
    otherwise:
        "(call $send (i32.const 832) (i32.const 3) (i32.const 835) (i32.const 26) (i32.const 0) (i32.const 0)
                  (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 320))
                (i32.store (i32.const 288) (i32.const 1024))
                (i32.store (i32.const 292) (i32.load8_u (i32.const 320)))
                (i32.const 256)",
    ..PASSING
};

#[test]
fn requests_leave_only_for_listed_destinations_and_not_while_rehearsing() {
    let way_out = Arc::new(Recording(Mutex::default()));
    let host = PluginHost::new().unwrap().with_way_out(Arc::clone(&way_out) as Arc<dyn Outbound>);
    let manifest = MANIFEST.replace("\"kv\"", "\"http-out\"");
    let bytes = CALLING.component();
    let load = |destination: &str| {
        let grants = Grants {
            capabilities: [Capability::HttpOut].into(),
            destinations: vec![Destination::parse(destination).unwrap()],
            ..Grants::default()
        };
        host.admit(Package {
            manifest: Some(&manifest),
            grants,
            vouching: Vouching::Operator,
            ..Package::found("hostile", &bytes)
        })
        .unwrap()
    };
    let elsewhere = load("https://other.example.com");
    assert_eq!((carried(&elsewhere), way_out.0.lock().len()), (1, 0));
    let allowed = load("https://api.example.com/v1");
    assert_eq!(way_out.0.lock().len(), 0, "nothing left while it was admitted");
    assert_eq!(carried(&allowed), 0);
    assert_eq!(*way_out.0.lock(), ["https://api.example.com/v1"]);
}
