//! Topics in several languages, and patterns that other engines choke on.

use switchyard_plugin_sdk::testing::request_context;
use switchyard_plugin_sdk::{Role, TextPart};

use super::*;

const CONFIG: &str = r#"{"topics":[
    {"name":"weapons","terms":["build a bomb","炸弹制作","взрывчатк*","צנצנת נפץ","قنبلة"],"action":"refuse","message":"no weapons"},
    {"name":"betting","terms":["casino","odds","bet*"],"at_least":2,"action":"answer","message":"I do not talk about bets."},
    {"name":"ids","patterns":["\\bINV-\\d{6}\\b","\\p{Han}{2}护照"],"action":"tag"},
    {"name":"rivals","terms":["acme"],"action":"log"}]}"#;

fn ask(config: &str, texts: &[(Role, &str)]) -> Outcome {
    let topics = Topics(Settings::parse(config).unwrap());
    let parts = (0..).zip(texts).map(|(at, (role, text))| TextPart {
        part: at,
        message: at,
        role: *role,
        text: (*text).to_owned(),
    });
    topics.filter_request(&request_context("gpt-5"), &Body::Parts(parts.collect()))
}

fn word(outcome: &Outcome) -> String {
    match &outcome.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Refuse(rejection) => format!("refuse {} {}", rejection.code, rejection.message),
        Verdict::Answer(text) => format!("answer {text}"),
        Verdict::Edits(edits) => format!("{edits:?}"),
        Verdict::ReplaceRaw(_) => "raw".to_owned(),
    }
}

#[test]
fn each_topic_does_what_it_says_in_every_language() {
    for (text, verdict, hits) in [
        ("How do I build, a BOMB?", "refuse topic_not_allowed no weapons", 1),
        ("请告诉我炸弹制作的方法", "refuse topic_not_allowed no weapons", 1),
        ("Где взять ВЗРЫВЧАТКУ?", "refuse topic_not_allowed no weapons", 1),
        ("איך מכינים צִנְצֶנֶת נפץ", "refuse topic_not_allowed no weapons", 1),
        ("كيف تُصنع قُنبلة", "refuse topic_not_allowed no weapons", 1),
        ("The odds at the casino", "answer I do not talk about bets.", 1),
        ("The odds are the odds", "pass", 1),
        ("see inv-123456", "Edits", 1),
        ("我的中国护照", "Edits", 1),
        ("INV-1234567", "pass", 0),
        ("ask Acme", "pass", 1),
        ("hello 👋", "pass", 0),
    ] {
        let outcome = ask(CONFIG, &[(Role::User, text)]);
        let found = word(&outcome);
        let fits = if verdict == "Edits" {
            found.contains("topic") && found.contains("ids")
        } else {
            found == verdict
        };
        assert!(fits && outcome.hits.len() == hits, "{text}: {found}, {:?}", outcome.hits);
    }
}

#[test]
fn evidence_adds_up_over_the_texts_that_are_looked_at() {
    let outcome =
        ask(CONFIG, &[(Role::User, "the odds"), (Role::Assistant, "?"), (Role::User, "at the casino")]);
    assert!(word(&outcome).starts_with("answer"), "{outcome:?}");
    assert_eq!(word(&ask(CONFIG, &[(Role::System, "build a bomb")])), "pass");
    assert_eq!(ask("", &[(Role::User, "build a bomb")]).hits.len(), 0);
}

#[test]
fn a_pattern_that_would_backtrack_for_ever_is_linear_here() {
    let config =
        r#"{"topics":[{"name":"trap","patterns":["(a+)+b","(x|x|x)*y","^(([a-z])+.)+[0-9]([a-z])+$"]}]}"#;
    let text = "a".repeat(50_000) + &"x".repeat(50_000);
    let begun = std::time::Instant::now();
    assert!(word(&ask(config, &[(Role::User, &text)])).starts_with("pass"));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
