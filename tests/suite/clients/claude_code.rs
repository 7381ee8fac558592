//! Claude Code from npm, headless: `claude -p`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gateway_lab::{ANTHROPIC_KEY, Fault, FaultRule, RequestRecord, Route};
use serde_json::{Value, json};

use super::program::SOME_KEY;
use super::tap::{Tap, Trap};
use super::{Rig, at_home, fresh_home, installed, run, text};

/// What the pool's accounts offer; Claude Code does not know it and says so.
const GPT: &str = "gpt-5.5";
const CLAUDE: &str = "claude-lab-sonnet";

/// An installation with a home of its own, pointed at one address.
struct ClaudeCode {
    home: PathBuf,
    base_url: String,
    model: &'static str,
}

impl ClaudeCode {
    fn fresh(test: &str, base_url: &str) -> Result<Self> {
        let home = fresh_home(&format!("claude-{test}"))?;
        Ok(Self { home, base_url: base_url.to_owned(), model: GPT })
    }

    /// `claude -p`: what it printed. Fails when it calls anybody but the gateway.
    async fn print(&self, arguments: &[&str]) -> Result<String> {
        let trap = Trap::set()?;
        let mut command = at_home(&installed("node/node_modules/.bin/claude")?, &self.home);
        trap.catch(&mut command);
        command
            .args(["--model", self.model, "-p"])
            .args(arguments)
            .env("ANTHROPIC_BASE_URL", &self.base_url)
            .env("ANTHROPIC_API_KEY", SOME_KEY)
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        let output = run(command).await?;
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        ensure!(output.status.success(), "claude ended with {}: {printed}{errors}", output.status);
        ensure!(trap.is_untouched(), "claude called somebody else");
        Ok(printed)
    }

    /// The same as its stream of JSON lines.
    async fn stream(&self, arguments: &[&str]) -> Result<Said> {
        let json = ["--output-format", "stream-json", "--verbose"];
        let printed = self.print(&[arguments, &json].concat()).await?;
        let events = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok(Said(events.with_context(|| format!("not JSON lines: {printed}"))?))
    }
}

/// What `--output-format stream-json` printed.
struct Said(Vec<Value>);

impl Said {
    /// The last line, which sums the run up.
    fn result(&self) -> Result<&Value> {
        let last = self.0.last().context("nothing was printed")?;
        ensure!(last["type"] == "result" && last["subtype"] == "success", "it did not end well: {last}");
        ensure!(last["is_error"] == false, "{last}");
        Ok(last)
    }

    /// The blocks of this kind, of the model or of the tools.
    fn blocks(&self, kind: &str) -> Vec<&Value> {
        let contents = self.0.iter().filter_map(|event| event["message"]["content"].as_array());
        contents.flatten().filter(|block| block["type"] == kind).collect()
    }
}

/// Everything that went upstream is the account's, and the conversation is known by its session.
fn are_the_pools(turns: &[RequestRecord], session: &Value) {
    for turn in turns {
        assert!(turn.account.is_some(), "the lab does not know the token");
        assert!(!turn.headers.values().any(|value| text(value.as_bytes()).contains(SOME_KEY)));
        assert_eq!(&turn.json()["prompt_cache_key"], session, "the session was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_printed_as_text_and_as_events() -> Result<()> {
    let rig = Rig::start(2).await?;
    let claude = ClaudeCode::fresh("plain-turn", &rig.gateway.url)?;
    assert_eq!(
        claude.print(&["say hello to the switchyard"]).await?.trim(),
        "You said: say hello to the switchyard"
    );

    let said = claude.stream(&["and once more"]).await?;
    let result = said.result()?;
    assert_eq!((&result["result"], &result["num_turns"]), (&json!("You said: and once more"), &json!(1)));
    assert_eq!(result["stop_reason"], "end_turn");
    assert!(result["usage"]["input_tokens"].as_u64() > Some(1_000), "the usage did not arrive: {result}");
    assert!(result["usage"]["output_tokens"].as_u64() > Some(0), "{result}");
    // The upstream's reasoning comes as thinking, with a seal that only this gateway reads.
    let thinking = said.blocks("thinking");
    assert!(thinking.iter().any(|block| block["signature"].is_string()), "{:?}", said.0);

    let turns = rig.turns();
    let [_, turn] = &turns[..] else { panic!("two turns, but the lab saw {}", turns.len()) };
    are_the_pools(std::slice::from_ref(turn), &result["session_id"]);
    let body = turn.json();
    assert_eq!(body["model"], GPT);
    assert!(body["instructions"].as_str().is_some_and(|told| !told.is_empty()), "its prompt was lost");
    let tools = body["tools"].as_array().context("its tools were lost")?;
    assert!(tools.iter().any(|tool| tool["name"] == "Bash"));
    // What it says as `role: "system"` between the messages stays where it stands.
    assert!(body["input"].to_string().contains("Primary working directory"), "its environment was lost");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_go_round_and_a_resumed_conversation_stays_on_its_account() -> Result<()> {
    let rig = Rig::start(3).await?;
    let claude = ClaudeCode::fresh("tools", &rig.gateway.url)?;
    let call = r#"call Bash {"command":"echo switchyard-works","description":"greet"}"#;
    let said = claude.stream(&[call, "--allowedTools", "Bash,Read"]).await?;
    let result = said.result()?;
    assert_eq!(
        (&result["result"], &result["num_turns"]),
        (&json!("The tool said: switchyard-works"), &json!(2))
    );
    assert_eq!(result["permission_denials"], json!([]));
    let [used] = said.blocks("tool_use")[..] else { panic!("one call: {:?}", said.0) };
    assert_eq!((&used["name"], &used["input"]["command"]), (&json!("Bash"), &json!("echo switchyard-works")));
    let [output] = said.blocks("tool_result")[..] else { panic!("one result: {:?}", said.0) };
    assert_eq!((&output["content"], &output["is_error"]), (&json!("switchyard-works"), &json!(false)));

    // Another conversation in between goes to an account that was used less.
    let other = ClaudeCode::fresh("tools-other", &rig.gateway.url)?;
    other.print(&["something else"]).await?;

    let note = claude.home.join("work/note.txt");
    std::fs::write(&note, "a line of a file\n")?;
    let call = format!("call Read {}", json!({ "file_path": note }));
    let session = result["session_id"].as_str().context("no session")?;
    let read = claude.stream(&[&call, "--resume", session, "--allowedTools", "Bash,Read"]).await?;
    let read = read.result()?;
    assert!(read["result"].as_str().is_some_and(|told| told.contains("a line of a file")), "{read}");
    assert_eq!(read["session_id"], result["session_id"]);

    let turns = rig.turns();
    let [ask, result_back, elsewhere, again, last] = &turns[..] else {
        panic!("{} turns, not 5", turns.len())
    };
    let own = [ask, result_back, again, last].map(Clone::clone);
    are_the_pools(&own, &result["session_id"]);
    for turn in &own {
        assert_eq!(turn.account, ask.account, "the conversation moved");
    }
    assert_ne!(elsewhere.account, ask.account, "affinity binds a conversation, not the caller");
    for words in ["echo switchyard-works", "The tool said: switchyard-works", "a line of a file"] {
        assert!(text(&last.body).contains(words), "{words:?} is not in the history");
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_count_of_tokens_is_answered_by_the_gateway() -> Result<()> {
    let rig = Rig::start(1).await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let claude = ClaudeCode::fresh("count", &tap.url)?;
    let printed = claude.print(&["/context"]).await?;
    assert!(tap.saw(b"POST /v1/messages/count_tokens").await, "it did not ask");
    assert!(printed.contains("Context Usage"), "{printed}");
    let tools =
        printed.lines().find(|line| line.starts_with("| System tools |")).context("no row of the tools")?;
    assert!(!tools.contains("| 0 |"), "{tools}");
    assert!(rig.turns().is_empty(), "counting spent a turn");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_its_own_dialect_gets_its_bytes() -> Result<()> {
    let rig = Rig::start_with_anthropic().await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let claude = ClaudeCode { model: CLAUDE, ..ClaudeCode::fresh("own-dialect", &tap.url)? };
    let call = r#"call Bash {"command":"echo both-ways","description":"greet"}"#;
    let said = claude.stream(&[call, "--allowedTools", "Bash"]).await?;
    assert_eq!(said.result()?["result"], "The tool said: both-ways");
    let turns = rig.requests_on(Route::ApiMessages);
    assert_eq!(turns.len(), 2);
    for turn in &turns {
        assert!(tap.saw(&turn.body).await, "the body was changed on its way");
        assert_eq!(turn.header("x-api-key"), Some(ANTHROPIC_KEY));
        assert!(turn.header("anthropic-beta").is_some_and(|betas| betas.contains("claude-code-")));
        assert!(turn.path.starts_with("/v1/messages"), "{}", turn.path);
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_is_noticed_and_a_short_limit_is_waited_for() -> Result<()> {
    let rig = Rig::start(1).await?;
    // Within the visible text, so that the gateway cannot ask again by itself.
    let cut = rig.lab.script(FaultRule::new(Fault::CutAfterEvents(20)).on(Route::Responses).once());
    let claude = ClaudeCode::fresh("broken", &rig.gateway.url)?;
    let said = claude.stream(&["stream 40 events"]).await?;
    said.result()?;
    assert_eq!(rig.lab.fired(cut), 1);
    let turns = rig.turns();
    let [_, again] = &turns[..] else { panic!("{} turns, not 2", turns.len()) };
    // It tells the model to go on from there, which it only does when it knows.
    assert!(text(&again.body).contains("cut off mid-stream"), "half an answer was taken for a whole one");

    let limit = Fault::RateLimited429 { with_code: true, retry_after: Some(1) };
    let limit = rig.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    assert_eq!(claude.print(&["are you there"]).await?.trim(), "You said: are you there");
    assert_eq!(rig.lab.fired(limit), 1);
    rig.finish().await
}
