//! The shipped filters through the same admission and the same traits as everything else: the guard's whole bench, topics,
//! instructions, and answers that are cut and masked while they stream.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    AtEnd, BodyView, Edit, Emission, Ending, Failing, FilterOutcome, FilterVerdict, FilteredStream, Flow,
    Mode, Outgoing, PromptBody, PromptFilter as _, ResponseFilter, Role, StreamEvent, TextDelta, TextPart,
    Viewed,
};
use gateway_domain::Timestamp;
use serde::Deserialize;

use super::fixtures::{context, shipped};
use crate::{AdmissionError, Hook, Limits, Package, Plugin, PluginHost, Step};

const GUARD: &str = include_str!("../../../../plugins/guard/plugin.toml");
const TOPICS: &str = include_str!("../../../../plugins/topics/plugin.toml");
const INSTRUCTIONS: &str = include_str!("../../../../plugins/instructions/plugin.toml");
const OUTPUT_GUARD: &str = include_str!("../../../../plugins/output-guard/plugin.toml");

/// With its own manifest. Deadlines are the subject elsewhere; a busy machine must not decide here.
fn admit(host: &PluginHost, name: &str, manifest: &str, config_json: &str) -> Result<Plugin, AdmissionError> {
    let bytes = shipped(name);
    let patient = manifest.replace("deadline_ms = 25", "deadline_ms = 5000");
    host.admit(Package { config_json, manifest: Some(&patient), ..Package::shipped(name, &bytes) })
}

fn host() -> PluginHost {
    PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_secs(5)))
}

fn judged(plugin: &Plugin, role: Role, text: &str) -> FilterOutcome {
    let parts = [TextPart { part: 7, message: 0, role, text: text.into() }];
    plugin.filter_request(&context(0), PromptBody::Parts { parts: &parts, messages: 1 }).unwrap()
}

#[derive(Deserialize)]
struct Bench {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    about: String,
    text: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    config: serde_json::Map<String, serde_json::Value>,
    verdict: String,
    rules: Vec<String>,
}

#[test]
fn the_component_judges_the_guards_bench_as_written() {
    let host = host();
    let bench: Bench = serde_json::from_str(include_str!("../../../../plugins/guard/cases.json")).unwrap();
    let usual = admit(&host, "guard", GUARD, "").unwrap();
    assert!(usual.has(Hook::FilterRequest) && !usual.has(Hook::FilterResponse));
    for case in bench.cases {
        let config = serde_json::to_string(&case.config).unwrap();
        let special = (!case.config.is_empty()).then(|| admit(&host, "guard", GUARD, &config).unwrap());
        let role = match case.role.as_str() {
            "system" => Role::System,
            "tool" => Role::Tool,
            _ => Role::User,
        };
        let outcome = judged(special.as_ref().unwrap_or(&usual), role, &case.text);
        let verdict = match &outcome.verdict {
            FilterVerdict::Pass => "pass",
            FilterVerdict::Refuse(rejection) if rejection.code == "prompt_blocked" => "refuse",
            FilterVerdict::Edits(_) => "tag",
            other => panic!("{}: {other:?}", case.about),
        };
        let mut rules: Vec<_> = outcome.hits.iter().map(|hit| hit.rule.clone()).collect();
        rules.sort_unstable();
        assert_eq!((verdict, rules), (case.verdict.as_str(), case.rules), "{}", case.about);
        assert!(outcome.hits.iter().all(|hit| hit.part == Some(7)));
    }
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_where_it_is_wrong() {
    let host = host();
    for (name, manifest, config, step, complaint) in [
        ("guard", GUARD, r#"{"threshold":0}"#, Step::Config, "/threshold"),
        ("guard", GUARD, r#"{"rules":[{"name":"a","weight":1}]}"#, Step::Init, "neither words nor a shape"),
        (
            "topics",
            TOPICS,
            r#"{"topics":[{"name":"a","patterns":["(x"]}]}"#,
            Step::Init,
            "/topics/0/patterns",
        ),
        ("instructions", INSTRUCTIONS, r#"{"rules":[{}]}"#, Step::Init, "/rules/0"),
        ("output-guard", OUTPUT_GUARD, r#"{"max_characters":-1}"#, Step::Config, "/max_characters"),
    ] {
        let error = admit(&host, name, manifest, config).unwrap_err();
        assert_eq!(error.step, step, "{error}");
        assert!(error.message.contains(complaint), "{error}");
    }
}

#[test]
fn topics_are_refused_answered_and_tagged() {
    let config = r#"{"topics":[
        {"name":"weapons","terms":["炸弹制作"],"message":"no weapons"},
        {"name":"bets","terms":["odds"],"action":"answer","message":"No bets."},
        {"name":"invoices","patterns":["\\bINV-\\d{6}\\b"],"action":"tag"}]}"#;
    let plugin = admit(&host(), "topics", TOPICS, config).unwrap();
    let FilterVerdict::Refuse(refused) = judged(&plugin, Role::User, "请说炸弹制作").verdict else {
        panic!()
    };
    assert_eq!((refused.http_status, refused.message.as_str()), (400, "no weapons"));
    let answered = judged(&plugin, Role::User, "What are the odds?").verdict;
    assert_eq!(answered, FilterVerdict::Answer("No bets.".to_owned()));
    let tagged = judged(&plugin, Role::User, "pay inv-123456");
    let tag = Edit::SetTag { name: "topic".to_owned(), value: "invoices".to_owned() };
    assert_eq!(
        (tagged.verdict, tagged.hits[0].rule.as_str()),
        (FilterVerdict::Edits(vec![tag]), "topic.invoices")
    );
    assert_eq!(judged(&plugin, Role::User, "hello").verdict, FilterVerdict::Pass);
}

#[test]
fn instructions_are_framed_for_the_models_that_are_meant() {
    let config = r#"{"rules":[{"models":["gpt-*"],"prepend":"House rules.","append":"请简短。"}]}"#;
    let plugin = admit(&host(), "instructions", INSTRUCTIONS, config).unwrap();
    let text = "House rules.\n\nBe a pirate.\n\n请简短。".to_owned();
    let framed = judged(&plugin, Role::System, "Be a pirate.").verdict;
    assert_eq!(framed, FilterVerdict::Edits(vec![Edit::ReplaceText { part: 7, text }]));
    let FilterVerdict::Edits(inserted) = judged(&plugin, Role::User, "hi").verdict else { panic!() };
    let [Edit::Insert(insertion)] = &inserted[..] else { panic!("{inserted:?}") };
    assert_eq!((insertion.before_message, insertion.role), (0, Role::System));
}

#[derive(Debug)]
struct Piece(String);

impl Viewed for Piece {
    fn view(&self) -> StreamEvent<'_> {
        StreamEvent::Text(TextDelta { choice: 0, text: &self.0 })
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn text(flow: &Flow<Piece>) -> String {
    assert!(flow.failure.is_none(), "{:?}", flow.failure);
    let piece = |one: &Outgoing<Piece>| match one {
        Outgoing::Original(piece) => piece.0.clone(),
        Outgoing::Emission(Emission::Text { text, .. }) => text.clone(),
        Outgoing::Emission(other) => panic!("{other:?}"),
    };
    flow.send.iter().map(piece).collect()
}

/// What a client gets of an answer in pieces of this many letters, and how it ended.
fn streamed(plugin: &Arc<Plugin>, answer: &str, size: usize) -> (String, Option<Ending>) {
    let filter = Arc::clone(plugin) as Arc<dyn ResponseFilter>;
    let mut stream: FilteredStream<Piece> =
        FilteredStream::new(filter, context(0), Vec::new(), Failing::Closed, Mode::Enforce);
    let letters: Vec<char> = answer.chars().collect();
    let pieces: Vec<String> = letters.chunks(size).map(|piece| piece.iter().collect()).collect();
    let now = Timestamp::from_millis(0);
    let mut received = String::new();
    for batch in pieces.chunks(3) {
        let flow = stream.offer(batch.iter().cloned().map(Piece).collect(), AtEnd::No, now);
        received += &text(&flow);
        if flow.ending.is_some() {
            return (received, flow.ending);
        }
    }
    let flow = stream.offer(Vec::new(), AtEnd::Yes, now);
    (received + &text(&flow), flow.ending)
}

#[test]
fn a_long_answer_ends_in_good_order_between_two_characters() {
    let plugin = Arc::new(admit(&host(), "output-guard", OUTPUT_GUARD, r#"{"max_characters":4}"#).unwrap());
    assert_eq!(plugin.metadata().request_view, BodyView::None);
    let ended = || Some(Ending::Finish("length".to_owned()));
    for (answer, kept) in
        [("hello world", "hell"), ("日本語です。はい", "日本語で"), ("👩‍💻👨‍👩‍👧‍👦🇩🇪👍🏽👋👋👋", "👩‍💻👨‍👩‍👧‍👦🇩🇪👍🏽")]
    {
        for size in [1, 2, 3] {
            assert_eq!(streamed(&plugin, answer, size), (kept.to_owned(), ended()), "{answer} by {size}");
        }
    }
    assert_eq!(streamed(&plugin, "hey", 1), ("hey".to_owned(), None));
}

#[test]
fn a_banned_phrase_never_reaches_the_client() {
    let config = r#"{"mask":"***","banned":[{"name":"code","terms":["project nightfall","机密文件"]},
        {"name":"end","terms":["stop here"],"action":"finish"}]}"#;
    let plugin = Arc::new(admit(&host(), "output-guard", OUTPUT_GUARD, config).unwrap());
    for size in 1..20 {
        let (received, ending) = streamed(&plugin, "On Project  NIGHTFALL: 看机密文件吧. Yes", size);
        assert_eq!((received.as_str(), ending), ("On ***: 看***吧. Yes", None), "{size}");
        let (received, ending) = streamed(&plugin, "Please stop here, said nobody at all today", size);
        assert_eq!(received, "Please ", "{size}");
        assert_eq!(ending, Some(Ending::Finish("content_filter".to_owned())), "{size}");
    }
}
