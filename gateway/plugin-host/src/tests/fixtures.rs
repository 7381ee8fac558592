//! Components and questions for the tests: the shipped one, and hostile ones made from text.

use std::path::Path;
use std::sync::Arc;

use gateway_domain::{AccountId, ModelName, RequestId, Timestamp};
use gateway_scheduler::{AccountProfile, AccountRef, Candidate, Health, RankInput, RequestInfo, Roster};
use wit_component::{ComponentEncoder, StringEncoding};

/// The component as `cargo xtask build` left it.
pub(super) fn shipped(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist").join(format!("{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask build first", path.display()))
}

/// What can be varied about the hostile scheduler.
pub(super) struct Hostile {
    pub(super) hooks: &'static str,
    pub(super) init: &'static str,
    pub(super) otherwise: &'static str,
}

/// Well-behaved unless a seed asks for harm.
pub(super) const SLEEPING: Hostile = Hostile { hooks: "\\01", init: "", otherwise: "(call $delegate)" };

impl Hostile {
    pub(super) fn module(&self) -> Vec<u8> {
        let text = include_str!("hostile.wat")
            .replace("%HOOKS%", self.hooks)
            .replace("%INIT%", self.init)
            .replace("%OTHERWISE%", self.otherwise);
        wat::parse_str(text).unwrap()
    }

    pub(super) fn component(&self) -> Vec<u8> {
        let mut module = self.module();
        let mut resolve = wit_parser::Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (package, _) = resolve.push_dir(wit).unwrap();
        let world = resolve.select_world(&[package], Some("scheduler")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
    }
}

/// Two healthy accounts and a seed, which is what the hostile scheduler looks at.
pub(super) fn ask(seed: u64, generation: u64) -> (Arc<Roster>, Arc<RankInput>) {
    let profile = |account| AccountProfile {
        account: AccountRef(account),
        id: AccountId::parse("acc_test").unwrap(),
        label: "test".to_owned(),
        provider: "codex".to_owned(),
        plan: "pro".to_owned(),
        weight: 1.0,
        max_concurrency: 4,
    };
    let candidate = |account: u32| Candidate {
        account: AccountRef(account),
        health: Health::Healthy,
        in_flight: 0,
        max_concurrency: 4,
        short_window_used: 0.25 * f64::from(account + 1),
        long_window_used: f64::NAN,
        short_window_resets_in_ms: 0,
        long_window_resets_in_ms: 0,
        cooldown_ms: 0,
        ttft_ewma_ms: f64::NAN,
        error_rate_ewma: 0.0,
        session_affine: false,
        idle_ms: u64::MAX,
        last_picked_seq: 0,
        weight: 1.0,
    };
    let input = RankInput {
        info: RequestInfo {
            request_id: RequestId::parse("req_test").unwrap(),
            client: "local".to_owned(),
            session: None,
            model: ModelName::parse("gpt-5").unwrap(),
            streaming: false,
            body_bytes: 0,
            attempt: 0,
        },
        now: Timestamp::from_millis(1),
        seed,
        seq: 1,
        generation,
        candidates: vec![candidate(0), candidate(1)],
        tried: Vec::new(),
    };
    let roster = Roster { generation, accounts: vec![profile(0), profile(1)] };
    (Arc::new(roster), Arc::new(input))
}
