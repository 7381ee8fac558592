//! Components and questions for the tests: the shipped one, and hostile ones made from text.

use std::path::Path;
use std::sync::Arc;

use gateway_core::hooks::RequestContext;
use gateway_domain::{AccountId, Dialect, ModelName, RequestId, Timestamp};
use gateway_scheduler::{AccountProfile, AccountRef, Candidate, RankInput, RequestInfo, Roster, Surface};
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
        encode(self.module(), "scheduler")
    }
}

/// What can be varied about the hostile filter.
#[derive(Clone, Copy)]
pub(super) struct HostileFilter {
    pub(super) imports: &'static str,
    pub(super) view: &'static str,
    pub(super) init: &'static str,
    pub(super) deterministic: &'static str,
    pub(super) otherwise: &'static str,
}

/// Passes everything unless a seed asks for harm.
pub(super) const PASSING: HostileFilter = HostileFilter {
    imports: "",
    view: "\\01",
    init: "",
    deterministic: "\\01",
    otherwise: "(i32.const 256)",
};

impl HostileFilter {
    pub(super) fn component(&self) -> Vec<u8> {
        let text = include_str!("filter.wat")
            .replace("%IMPORTS%", self.imports)
            .replace("%VIEW%", self.view)
            .replace("%INIT%", self.init)
            .replace("%DETERMINISTIC%", self.deterministic)
            .replace("%OTHERWISE%", self.otherwise);
        encode(wat::parse_str(text).unwrap(), "prompt-filter")
    }
}

fn encode(mut module: Vec<u8>, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// The facts about a request whose seed asks for harm.
pub(super) fn context(seed: u64) -> Arc<RequestContext> {
    let (_, input) = ask(seed, 1);
    Arc::new(RequestContext {
        info: input.info.clone(),
        now: input.now,
        seed,
        dialect: Dialect::OpenAiChat,
        reasoning_effort: None,
        max_output_tokens: Some(100),
        headers: vec![("x-team".to_owned(), "red".to_owned())],
    })
}

/// Two healthy accounts and a seed, which is what the hostile scheduler looks at.
pub(crate) fn ask(seed: u64, generation: u64) -> (Arc<Roster>, Arc<RankInput>) {
    let profile = |account| AccountProfile {
        account: AccountRef(account),
        id: AccountId::parse("acc_test").unwrap(),
        label: "test".to_owned(),
        provider: "codex".to_owned(),
        plan: "pro".to_owned(),
        weight: 1.0,
        max_concurrency: 4,
        groups: vec!["work".to_owned()],
        tags: Vec::new(),
    };
    let candidate = |account: u32| Candidate {
        max_concurrency: 4,
        short_window_used: 0.25 * f64::from(account + 1),
        ..Candidate::new(AccountRef(account))
    };
    let input = RankInput {
        info: RequestInfo {
            request_id: RequestId::parse("req_test").unwrap(),
            client: "local".to_owned(),
            session: None,
            model: ModelName::parse("gpt-5").unwrap(),
            surface: Surface::Api,
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
