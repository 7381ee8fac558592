//! OpenCode from npm, headless: `opencode run`, over each of the three dialects that it can be told to speak.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gateway_lab::{Fault, FaultRule, Route};
use serde_json::{Value, json};

use super::program::SOME_KEY;
use super::tap::Trap;
use super::{Rig, at_home, fresh_home, installed, run, text};

/// The provider packages that come with it.
const PACKAGES: [(&str, &str); 3] = [
    ("responses", "@ai-sdk/openai"),
    ("chat", "@ai-sdk/openai-compatible"),
    ("messages", "@ai-sdk/anthropic"),
];

/// An installation with a home of its own.
struct OpenCode {
    home: PathBuf,
    config: String,
}

impl OpenCode {
    fn fresh(test: &str, gateway_url: &str) -> Result<Self> {
        let model = json!({ "limit": { "context": 200_000, "output": 32_000 }, "tool_call": true });
        let options = json!({ "baseURL": format!("{gateway_url}/v1"), "apiKey": SOME_KEY });
        let provider =
            |package: &str| json!({ "npm": package, "options": options, "models": { "gpt-5.5": model } });
        let providers: serde_json::Map<String, Value> =
            PACKAGES.iter().map(|(name, package)| ((*name).to_owned(), provider(package))).collect();
        let config = json!({ "autoupdate": false, "share": "disabled", "provider": providers }).to_string();
        Ok(Self { home: fresh_home(&format!("opencode-{test}"))?, config })
    }

    /// `opencode run`: the events of a run that ended well.
    async fn run(&self, provider: &str, words: &[&str]) -> Result<Vec<Value>> {
        let (ended_well, events) = self.try_run(provider, words).await?;
        ensure!(ended_well, "opencode failed: {events:?}");
        Ok(events)
    }

    /// Whether it ended well, and the events it printed.
    async fn try_run(&self, provider: &str, words: &[&str]) -> Result<(bool, Vec<Value>)> {
        // A fresh home makes it ask for plugins elsewhere, and it goes on without: nobody answers here.
        let trap = Trap::set()?;
        let mut command = at_home(&installed("node/node_modules/.bin/opencode")?, &self.home);
        trap.catch(&mut command);
        // With a title it does not ask the model for one.
        command
            .args(["run", "--format", "json", "--title", "a test", "--model"])
            .arg(format!("{provider}/gpt-5.5"))
            .args(words)
            .env("OPENCODE_CONFIG_CONTENT", &self.config)
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1");
        let output = run(command).await?;
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        let events = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((output.status.success(), events.with_context(|| format!("no JSON lines: {printed}{errors}"))?))
    }
}

/// The events of one kind.
fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).map(|event| &event["part"]).collect()
}

/// What the model said in the end.
fn answer(events: &[Value]) -> &str {
    of_kind(events, "text").last().and_then(|part| part["text"].as_str()).unwrap_or_default().trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_goes_round_over_every_dialect() -> Result<()> {
    let rig = Rig::start(3).await?;
    let opencode = OpenCode::fresh("tools", &rig.gateway.url)?;
    // A word with a space in it would be quoted, and be no JSON.
    let call = ["call", "bash", r#"{"command":"echo\u0020switchyard-works","description":"greet"}"#];
    for (at, (provider, _)) in PACKAGES.iter().enumerate() {
        let events = opencode.run(provider, &call).await?;
        assert_eq!(answer(&events), "The tool said: switchyard-works", "{provider}: {events:?}");
        let [used] = of_kind(&events, "tool_use")[..] else { panic!("one call: {events:?}") };
        let state = &used["state"];
        assert_eq!((&used["tool"], &state["status"]), (&json!("bash"), &json!("completed")), "{provider}");
        assert_eq!(state["output"].as_str().map(str::trim), Some("switchyard-works"), "{provider}");
        let steps = of_kind(&events, "step_finish");
        let reasons: Vec<_> = steps.iter().map(|step| &step["reason"]).collect();
        assert_eq!(reasons, ["tool-calls", "stop"], "{provider}: {events:?}");
        assert!(
            steps.iter().all(|step| step["tokens"]["output"].as_u64() > Some(0)),
            "{provider}: {steps:?}"
        );

        let turns = rig.turns();
        let [ask, result] = turns.get(at * 2..).unwrap_or_default() else {
            panic!("{provider}: {} turns", turns.len())
        };
        for turn in [ask, result] {
            assert_eq!(turn.status, Some(200));
            assert!(!turn.headers.values().any(|value| text(value.as_bytes()).contains(SOME_KEY)));
            let tools = turn.json()["tools"].as_array().cloned().unwrap_or_default();
            assert!(tools.iter().any(|tool| tool["name"] == "bash"), "{provider}: its tools were lost");
        }
        assert!(ask.account.is_some());
        assert_eq!(ask.account, result.account, "{provider}: the conversation moved");
        let last = result.json()["input"].as_array().and_then(|items| items.last().cloned());
        assert_eq!(last.map(|item| item["type"].clone()), Some(json!("function_call_output")), "{provider}");
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_is_asked_for_again_after_a_while_and_once() -> Result<()> {
    let rig = Rig::start(1).await?;
    for (fault, turns) in [(Fault::CleanEofAfterEvents(20), 2), (Fault::CutAfterEvents(20), 4)] {
        let opencode = OpenCode::fresh("cut", &rig.gateway.url)?;
        let cut = rig.lab.script(FaultRule::new(fault).on(Route::Responses).once());
        let events = opencode.run("responses", &["stream", "40", "events"]).await?;
        assert!(answer(&events).ends_with("tick 40"), "half an answer was taken for a whole one: {events:?}");
        assert_eq!((rig.lab.fired(cut), rig.turns().len()), (1, turns));
    }
    rig.finish().await
}
