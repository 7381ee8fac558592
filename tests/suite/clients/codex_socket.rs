//! The Codex CLI over WebSocket: prewarm, what it sends of a conversation on one socket, and when it goes on over HTTP.

use anyhow::{Context, Result, ensure};
use gateway_lab::{ErrorBody, FaultRule, LabAccount, LabClock, LabConfig, Route};

use super::codex::{Codex, carries_the_accounts_token};
use super::tap::Tap;
use super::{Rig, text};

/// A fresh home whose provider speaks WebSocket.
fn codex(test: &str, gateway_url: &str) -> Result<Codex> {
    let provider = format!(
        "name = \"Switchyard\"\nbase_url = \"{gateway_url}/v1\"\nenv_key = \"SWITCHYARD_KEY\"\nsupports_websockets = true"
    );
    Codex::with_provider(test, &provider, "")
}

async fn spoke_only_over_sockets(tap: &Tap) -> Result<()> {
    ensure!(tap.saw(b"GET /v1/responses HTTP/1.1").await, "no socket was opened");
    ensure!(!tap.saw(b"POST /v1/responses").await, "it fell back to HTTP");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_goes_over_one_socket_and_upstream_as_a_whole() -> Result<()> {
    let rig = Rig::start(2).await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let codex = codex("socket-turn", &tap.url)?;
    let said = codex.exec(&["say hello to the switchyard"]).await?;
    said.is_untroubled()?;
    assert_eq!(said.answer(), "You said: say hello to the switchyard");
    spoke_only_over_sockets(&tap).await?;
    let turns = rig.turns();
    let [turn] = &turns[..] else { panic!("one turn, but the lab saw {}", turns.len()) };
    carries_the_accounts_token(turn)?;
    assert_eq!(turn.header("session-id"), said.thread());
    // The base prompt came with the prewarm, the words with the turn that went on from it.
    let input = turn.json()["input"].to_string();
    assert!(input.contains("You are Codex") || turn.json()["instructions"].is_string(), "no base prompt");
    assert!(input.contains("say hello to the switchyard") && input.contains("environment_context"));
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_goes_round_on_the_socket_and_a_resumed_conversation_has_its_history() -> Result<()> {
    let rig = Rig::start(3).await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let codex = codex("socket-tool", &tap.url)?;
    let said = codex.exec(&["use the shell: echo switchyard-works"]).await?;
    said.is_untroubled()?;
    assert!(said.answer().contains("switchyard-works"), "{}", said.answer());
    let resumed = codex.exec(&["resume", "--last", "and once more"]).await?;
    resumed.is_untroubled()?;
    assert_eq!(resumed.answer(), "You said: and once more");
    spoke_only_over_sockets(&tap).await?;

    let turns = rig.turns();
    let [ask, tool, again] = &turns[..] else { panic!("{} turns, not 3", turns.len()) };
    for (turn, words) in [
        (tool, &["use the shell", "function_call_output", "switchyard-works"][..]),
        (again, &["use the shell", "The tool said", "and once more"][..]),
    ] {
        let input = text(&turn.body);
        for words in words {
            assert!(input.contains(words), "{words:?} is not in the history");
        }
        assert_eq!(turn.account, ask.account, "the conversation moved");
        carries_the_accounts_token(turn)?;
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_account_is_replaced_without_a_word() -> Result<()> {
    let rig = Rig::start(2).await?;
    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    let refusal = rig.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    let codex = codex("socket-failover", &rig.gateway.url)?;
    let said = codex.exec(&["are you there"]).await?;
    said.is_untroubled()?;
    assert_eq!(said.answer(), "You said: are you there");
    assert_eq!(rig.lab.fired(refusal), 1);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sockets_are_switched_off_it_goes_on_over_http_at_once() -> Result<()> {
    let config = LabConfig::new(vec![LabAccount::new("ada", "plus")], LabClock::real());
    let rig = Rig::start_set(config, &[("SWITCHYARD_WEBSOCKET__CLIENTS", "off")]).await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let codex = codex("socket-off", &tap.url)?;
    let said = codex.exec(&["say hello"]).await?;
    said.is_untroubled()?;
    assert_eq!(said.answer(), "You said: say hello");
    assert!(tap.saw(b"GET /v1/responses HTTP/1.1").await && tap.saw(b"POST /v1/responses").await);
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_socket_on_both_sides_only_what_is_new_travels() -> Result<()> {
    let accounts = ["ada", "grace"].map(|name| LabAccount::new(name, "plus"));
    let config = LabConfig { sockets: true, ..LabConfig::new(accounts.into(), LabClock::real()) };
    let rig = Rig::start_with(config).await?;
    let tap = Tap::before(&rig.gateway.url).await?;
    let codex = codex("socket-both", &tap.url)?;
    let said = codex.exec(&["use the shell: echo switchyard-works"]).await?;
    said.is_untroubled()?;
    assert!(said.answer().contains("switchyard-works"), "{}", said.answer());
    spoke_only_over_sockets(&tap).await?;

    let upgrades: Vec<_> =
        rig.lab.requests().into_iter().filter(|request| request.route == Route::Socket).collect();
    let [upgrade] = &upgrades[..] else { panic!("one socket, not {}", upgrades.len()) };
    carries_the_accounts_token(upgrade)?;
    assert_eq!(upgrade.header("session-id"), said.thread());
    assert_eq!(upgrade.header("originator"), Some("codex_exec"));
    let turns = rig.turns();
    let [ask, tool] = &turns[..] else { panic!("{} turns, not 2", turns.len()) };
    assert!(ask.json()["previous_response_id"].is_null());
    let tool = tool.json();
    assert!(tool["previous_response_id"].is_string(), "the conversation was said anew: {tool}");
    let items = tool["input"].as_array().context("no items")?;
    assert!(items.iter().all(|item| item["type"] == "function_call_output"), "{items:?}");
    rig.finish().await
}
