//! The shipped redactor: what leaves, what comes back, and what is written down about it.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    AtEnd, Edit, Emission, Failing, FilterVerdict, FilteredStream, Flow, Mode, Outgoing, PromptBody,
    PromptFilter as _, ResponseFilter, Role, StreamEvent, TextDelta, TextPart, Viewed,
};
use gateway_domain::Timestamp;

use super::fixtures::{context, shipped};
use crate::{Hook, Limits, Package, Plugin, PluginHost, Step};

fn package(bytes: &[u8]) -> Package<'_> {
    Package {
        manifest: Some(include_str!("../../../../plugins/redactor/plugin.toml")),
        ..Package::shipped("redactor", bytes)
    }
}

fn redactor(config_json: &str) -> Plugin {
    let host = PluginHost::new().unwrap();
    let bytes = shipped("redactor");
    let patient = package(&bytes).manifest.unwrap().replace("deadline_ms = 25", "deadline_ms = 5000");
    host.admit(Package { config_json, manifest: Some(&patient), ..package(&bytes) }).unwrap()
}

#[derive(Debug)]
struct Piece(&'static str);

impl Viewed for Piece {
    fn view(&self) -> StreamEvent<'_> {
        StreamEvent::Text(TextDelta { choice: 0, text: self.0 })
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn text(flow: &Flow<Piece>) -> String {
    assert!(flow.failure.is_none(), "{:?}", flow.failure);
    let piece = |one: &Outgoing<Piece>| match one {
        Outgoing::Original(piece) => piece.0.to_owned(),
        Outgoing::Emission(Emission::Text { text, .. }) => text.clone(),
        Outgoing::Emission(other) => panic!("{other:?}"),
    };
    flow.send.iter().map(piece).collect()
}

#[test]
fn an_address_leaves_as_a_placeholder_and_comes_back_to_the_client() {
    let plugin = Arc::new(redactor(""));
    assert!(
        plugin.has(Hook::FilterRequest) && plugin.has(Hook::FilterResponse) && !plugin.has(Hook::Schedule)
    );
    let parts = [
        TextPart {
            part: 4,
            message: 0,
            role: Role::User,
            text: "Write to jo@example.com, cc jo@example.com".into(),
        },
        TextPart { part: 5, message: 1, role: Role::Assistant, text: "nothing here".into() },
    ];
    let outcome =
        plugin.filter_request(&context(0), PromptBody::Parts { parts: &parts, messages: 2 }).unwrap();
    let hidden = "Write to [[EMAIL_1]], cc [[EMAIL_1]]".to_owned();
    assert_eq!(outcome.verdict, FilterVerdict::Edits(vec![Edit::ReplaceText { part: 4, text: hidden }]));
    let hits: Vec<_> = outcome.hits.iter().map(|hit| (hit.rule.as_str(), hit.part)).collect();
    assert_eq!(hits, [("pii.email", Some(4))]);

    let filter = Arc::clone(&plugin) as Arc<dyn ResponseFilter>;
    let mut stream: FilteredStream<Piece> =
        FilteredStream::new(filter, context(0), outcome.carry, Failing::Closed, Mode::Enforce);
    let now = Timestamp::from_millis(0);
    let mut received = String::new();
    for pieces in [vec![Piece("Dear [[EM"), Piece("AIL_1")], vec![Piece("]], h")], vec![Piece("i [[")]] {
        received += &text(&stream.offer(pieces, AtEnd::No, now));
    }
    assert_eq!(received, "Dear jo@example.com, hi ");
    received += &text(&stream.offer(Vec::new(), AtEnd::Yes, now));
    assert_eq!(received, "Dear jo@example.com, hi [[");
}

#[test]
fn a_clean_prompt_passes_without_a_copy() {
    let parts = [TextPart { part: 0, message: 0, role: Role::User, text: "What is a monad?".into() }];
    let body = PromptBody::Parts { parts: &parts, messages: 1 };
    let outcome = redactor("").filter_request(&context(0), body).unwrap();
    assert_eq!((outcome.verdict, outcome.carry.len()), (FilterVerdict::Pass, 0));
}

#[test]
fn its_configuration_is_checked_before_it_is_adopted() {
    let plugin = redactor(r#"{"kinds":["card"]}"#);
    let parts = [TextPart { part: 0, message: 0, role: Role::User, text: "jo@example.com".into() }];
    let body = PromptBody::Parts { parts: &parts, messages: 1 };
    assert_eq!(plugin.filter_request(&context(0), body).unwrap().verdict, FilterVerdict::Pass);
    assert_eq!(plugin.check_config(r#"{"restore":false}"#), Ok(()));
    let error = plugin.check_config(r#"{"kinds":["dna"]}"#).unwrap_err().to_string();
    assert!(error.contains("`/kinds/0` must be one of"), "{error}");

    let host =
        PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_secs(1)));
    let bytes = shipped("redactor");
    let error = host.admit(Package { config_json: r#"{"restore":"yes"}"#, ..package(&bytes) }).unwrap_err();
    assert_eq!(error.step, Step::Config, "{error}");
}
