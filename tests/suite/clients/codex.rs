//! The Codex CLI from npm, headless: `codex exec`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use gateway_lab::{ErrorBody, Fault, FaultRule, RequestRecord, Route};
use serde_json::Value;
use tokio::process::Command;

use super::tap::Tap;
use super::{Rig, installed, run, text};

/// What the client is configured with. The gateway is on this machine and asks for none, the client insists on one.
const CLIENT_KEY: &str = "sk-of-the-client";

/// A Codex installation with a home of its own.
pub(super) struct Codex {
    program: PathBuf,
    pub(super) home: PathBuf,
}

/// What `codex exec --json` printed.
pub(super) struct Said {
    pub(super) events: Vec<Value>,
    errors: String,
}

impl Codex {
    /// A fresh home that knows one provider, the gateway, as one with a key.
    fn fresh(test: &str, gateway_url: &str) -> Result<Self> {
        Self::with_provider(
            test,
            &format!(
                r#"name = "Switchyard"
base_url = "{gateway_url}/v1"
env_key = "SWITCHYARD_KEY""#
            ),
            "",
        )
    }

    /// A fresh home. It is not under the temporary folder: Codex refuses helpers there.
    pub(super) fn with_provider(test: &str, provider: &str, settings: &str) -> Result<Self> {
        let program = installed("node/node_modules/.bin/codex")?;
        let homes = program.ancestors().nth(4).context("the folder of the clients")?.join("homes");
        let home = homes.join(test);
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        for folder in ["work", "tmp"] {
            std::fs::create_dir_all(home.join(folder))?;
        }
        let config = format!(
            r#"model = "gpt-5.5"
model_provider = "switchyard"
{settings}

[model_providers.switchyard]
{provider}
wire_api = "responses"

# Silent towards everybody else.
[features]
plugins = false
apps = false

[analytics]
enabled = false
"#
        );
        std::fs::write(home.join("config.toml"), config)?;
        Ok(Self { program, home })
    }

    pub(super) async fn exec(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = Command::new(&self.program);
        // The sandbox needs kernel features that not every machine with tests has, and `echo` does no harm.
        command
            .args(["exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access"])
            .args(arguments)
            .current_dir(self.home.join("work"))
            .env("CODEX_HOME", &self.home)
            .env("HOME", &self.home)
            .env("TMPDIR", self.home.join("tmp"))
            .env("SWITCHYARD_KEY", CLIENT_KEY)
            .env_remove("OPENAI_API_KEY");
        let output = run(command).await?;
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        ensure!(output.status.success(), "codex ended with {}: {printed}{errors}", output.status);
        let events = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok(Said { events: events.with_context(|| format!("not JSON lines: {printed}"))?, errors })
    }
}

impl Said {
    pub(super) fn items(&self, kind: &str) -> Vec<&Value> {
        let completed = self.events.iter().filter(|event| event["type"] == "item.completed");
        completed.map(|event| &event["item"]).filter(|item| item["type"] == kind).collect()
    }

    /// The last message of the model.
    pub(super) fn answer(&self) -> &str {
        self.items("agent_message").last().and_then(|item| item["text"].as_str()).unwrap_or_default()
    }

    pub(super) fn thread(&self) -> Option<&str> {
        self.events.iter().find_map(|event| event["thread_id"].as_str())
    }

    /// Fails if the client noticed anything wrong.
    pub(super) fn is_untroubled(&self) -> Result<()> {
        let troubled = |event: &&Value| {
            matches!(event["type"].as_str(), Some("error" | "turn.failed"))
                || event["item"]["type"] == "error"
        };
        let trouble: Vec<_> = self.events.iter().filter(troubled).collect();
        ensure!(trouble.is_empty(), "codex complained: {trouble:?} {}", self.errors);
        let last = self.events.last().map(|event| &event["type"]);
        ensure!(last.is_some_and(|last| last == "turn.completed"), "the turn did not end: {:?}", self.events);
        Ok(())
    }
}

/// The account's own credentials, never the client's.
pub(super) fn carries_the_accounts_token(turn: &RequestRecord) -> Result<()> {
    let bearer = turn.header("authorization").context("no authorization")?;
    ensure!(bearer.starts_with("Bearer ") && !bearer.contains(CLIENT_KEY), "the client's key went upstream");
    ensure!(turn.account.is_some(), "the lab does not know the token");
    ensure!(turn.header("chatgpt-account-id").is_some(), "no chatgpt-account-id");
    let everywhere = turn.headers.values().any(|value| text(value.as_bytes()).contains(CLIENT_KEY));
    ensure!(!everywhere, "the client's key went upstream in another header");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_answered_and_reaches_the_upstream_byte_for_byte() -> Result<()> {
    let rig = Rig::start(2).await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let codex = Codex::fresh("plain-turn", &tap.url)?;
    let said = codex.exec(&["say hello to the switchyard"]).await?;
    said.is_untroubled()?;
    assert_eq!(said.answer(), "You said: say hello to the switchyard");
    let usage = &said.events.last().context("no events")?["usage"];
    assert!(usage["input_tokens"].as_u64() > Some(1_000), "the usage did not arrive: {usage}");

    let turns = rig.turns();
    let [turn] = &turns[..] else { panic!("one turn, but the lab saw {}", turns.len()) };
    carries_the_accounts_token(turn)?;
    assert!(tap.saw(&turn.body).await, "the body was changed on its way");
    let thread = said.thread();
    assert!(thread.is_some());
    for header in ["session-id", "thread-id", "x-client-request-id"] {
        assert_eq!(turn.header(header), thread, "{header}");
    }
    for header in ["x-codex-window-id", "x-codex-turn-metadata", "x-codex-beta-features"] {
        assert!(turn.header(header).is_some(), "{header} was lost");
    }
    assert_eq!(turn.header("originator"), Some("codex_exec"));
    assert!(turn.header("user-agent").is_some_and(|agent| agent.starts_with("codex_exec/0.169.0")));
    assert_eq!(turn.header("accept"), Some("text/event-stream"));
    assert_eq!(turn.json()["prompt_cache_key"].as_str(), thread);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_goes_round_and_a_resumed_conversation_stays_on_its_account() -> Result<()> {
    let rig = Rig::start(3).await?;
    let codex = Codex::fresh("tool-and-resume", &rig.gateway.url)?;
    let said = codex.exec(&["use the shell: echo switchyard-works"]).await?;
    said.is_untroubled()?;
    let commands = said.items("command_execution");
    let [command] = &commands[..] else { panic!("one command, not {commands:?}") };
    assert_eq!(command["exit_code"], 0);
    assert_eq!(command["aggregated_output"], "switchyard-works\n");
    assert!(said.answer().starts_with("The tool said: "), "{}", said.answer());
    assert!(said.answer().contains("switchyard-works"), "{}", said.answer());

    let resumed = codex.exec(&["resume", "--last", "and once more"]).await?;
    resumed.is_untroubled()?;
    assert_eq!(resumed.answer(), "You said: and once more");
    assert_eq!(resumed.thread(), said.thread(), "another conversation was resumed");

    // Another conversation in between goes to an account that was used less.
    let other = Codex::fresh("tool-and-resume-other", &rig.gateway.url)?;
    other.exec(&["something else"]).await?.is_untroubled()?;
    let resumed = codex.exec(&["resume", "--last", "for the last time"]).await?;
    assert_eq!(resumed.answer(), "You said: for the last time");

    let turns = rig.turns();
    let [ask, tool, again, elsewhere, last] = &turns[..] else { panic!("{} turns, not 5", turns.len()) };
    for turn in &turns {
        carries_the_accounts_token(turn)?;
    }
    let output = input_of(tool).last().cloned().unwrap_or_default();
    assert_eq!(output["type"], "function_call_output", "the tool's output did not come last");
    assert!(input_of(again).len() > input_of(tool).len(), "the history was cut");
    assert!(input_of(last).len() > input_of(again).len(), "the history was cut");
    for words in ["use the shell", "switchyard-works", "The tool said", "and once more", "for the last time"]
    {
        assert!(text(&last.body).contains(words), "{words:?} is not in the history");
    }
    for turn in [tool, again, last] {
        assert_eq!(turn.account, ask.account, "the conversation moved");
        assert_eq!(turn.header("session-id"), ask.header("session-id"));
    }
    assert_ne!(elsewhere.account, ask.account, "affinity binds a conversation, not the caller");
    rig.finish().await
}

fn input_of(turn: &RequestRecord) -> Vec<Value> {
    turn.json()["input"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_account_is_replaced_without_a_word() -> Result<()> {
    let rig = Rig::start(2).await?;
    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    let refusal = rig.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    let codex = Codex::fresh("failover", &rig.gateway.url)?;
    let said = codex.exec(&["are you there"]).await?;
    said.is_untroubled()?;
    assert_eq!(said.answer(), "You said: are you there");
    assert!(!format!("{:?}{}", said.events, said.errors).contains("usage limit"), "the client heard of it");

    assert_eq!(rig.lab.fired(refusal), 1);
    let turns = rig.turns();
    let [refused, served] = &turns[..] else { panic!("two tries, not {}", turns.len()) };
    assert_eq!((refused.status, served.status), (Some(429), Some(200)));
    assert_ne!(refused.account, served.account, "the exhausted account was asked again");
    assert_eq!(refused.body, served.body);

    // It stays left alone: its reset is an hour away.
    let said = codex.exec(&["resume", "--last", "still there"]).await?;
    assert_eq!(said.answer(), "You said: still there");
    assert_eq!(rig.turns().last().and_then(|turn| turn.account), served.account);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_expire_within_a_session_are_renewed_unnoticed() -> Result<()> {
    let rig = Rig::start(1).await?;
    // Between the tool call and its output.
    let expiry = rig.lab.script(FaultRule::new(Fault::Unauthorized401).on(Route::Responses).skip(1).once());
    let codex = Codex::fresh("expiry", &rig.gateway.url)?;
    let said = codex.exec(&["use the shell: echo in-between"]).await?;
    said.is_untroubled()?;
    assert!(said.answer().contains("in-between"), "{}", said.answer());
    assert_eq!(rig.lab.fired(expiry), 1);
    assert_eq!(rig.lab.tokens(0).map(|tokens| tokens.refreshes), Some(1));

    // And between two runs.
    rig.lab.expire_access_tokens(0);
    let said = codex.exec(&["resume", "--last", "and now"]).await?;
    said.is_untroubled()?;
    assert_eq!(said.answer(), "You said: and now");

    let tokens = rig.lab.tokens(0).context("no such account")?;
    assert_eq!((tokens.refreshes, tokens.reuse_detections), (2, 0));
    let statuses: Vec<_> = rig.turns().iter().map(|turn| turn.status).collect();
    assert_eq!(statuses, [200, 401, 200, 401, 200].map(Some));
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_sign_in_of_its_own_is_served_by_the_pool() -> Result<()> {
    let rig = Rig::start(1).await?;
    // Its own account questions go elsewhere: over plain HTTP Codex accepts a provider of another origin only.
    let settings = format!(r#"chatgpt_base_url = "{}/""#, rig.lab.backend_url());
    let tap = Tap::before(&rig.gateway.url).await?;
    let gateway = tap.url.replace("127.0.0.1", "localhost");
    // This very name makes it compress bodies as it does for its vendor.
    let provider =
        format!("name = \"OpenAI\"\nbase_url = \"{gateway}/backend-api/codex\"\nrequires_openai_auth = true");
    let codex = Codex::with_provider("own-sign-in", &provider, &settings)?;
    let auth = rig.lab.issue_auth_json(0).context("the lab has no such account")?;
    std::fs::write(codex.home.join("auth.json"), auth.to_string())?;

    let said = codex.exec(&["use the shell: echo signed-in"]).await?;
    said.is_untroubled()?;
    assert!(said.answer().contains("signed-in"), "{}", said.answer());
    let turns = rig.turns();
    assert_eq!(turns.len(), 2);
    let clients_own = auth["tokens"]["access_token"].as_str().context("no token")?;
    for turn in &turns {
        carries_the_accounts_token(turn)?;
        assert!(turn.header("authorization").is_some_and(|bearer| !bearer.contains(clients_own)));
        assert_eq!(turn.json()["model"], "gpt-5.5");
        assert!(!tap.saw(&turn.body).await, "Codex did not compress, so nothing was shown");
    }
    assert!(tap.saw(b"content-encoding: zstd").await);
    rig.finish().await
}
