//! What filters may do, and what their failure does: refuse, answer, hold, finish, abort, trap, only watch. Through
//! scripts, as an operator would write them, and through one that fails on purpose.

use std::fs;
use std::sync::Arc;

use gateway_core::extensions::Installed;
use gateway_core::hooks::{
    Attachment, Batch, BodyView, ExtensionVersion, Failing, FilterOutcome, Hook, HookError, Mode, PromptBody,
    PromptFilter, RequestContext, ResponseFilter, StreamEvent, StreamInterest,
};
use gateway_scheduler::PolicyLanguage;
use switchyard_tests::{Ended, eventually};

use super::*;

/// A gateway with this script in its folder.
async fn with_script(name: &str, source: &str) -> Result<InProcess> {
    let gateway = InProcess::start(lab(1)).await?;
    let folder = gateway.settings.policies_dir();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{name}.rhai")), source)?;
    let id = format!("rhai:{name}");
    eventually("it is live", async || {
        Ok(gateway.running.gateway.extensions().find(&id).filter(|one| one.enabled).map(drop))
    })
    .await?;
    Ok(gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_refuses_in_the_words_of_the_client() -> Result<()> {
    let source = r#"fn filter_request(request, prompt) {
        if prompt.contains("secret plan") { return refuse(451, "not_here", "we do not talk about this"); }
    }"#;
    let gateway = with_script("guard", source).await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            let answer =
                ask(&gateway, client, &client.question("gpt-5.5", "the secret plan", stream)).await?;
            let (_, message) = client.error(&answer)?;
            assert_eq!((answer.status, message.as_str()), (451, "we do not talk about this"), "{client:?}");
            let fine = ask(&gateway, client, &client.question("gpt-5.5", "hello", stream)).await?;
            assert_eq!(client.hear(&fine)?.text, "You said: hello", "{client:?}");
        }
    }
    assert_eq!(turns(&gateway).len(), 6, "what was refused never left");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_answers_itself_in_every_dialect() -> Result<()> {
    let source = r#"fn filter_request(request, prompt) {
        if prompt.contains("ping") { return answer("pong"); }
    }"#;
    let gateway = with_script("pong", source).await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            let answer = ask(&gateway, client, &client.question("gpt-5.5", "ping", stream)).await?;
            let heard =
                client.hear(&answer).with_context(|| format!("{client:?} {stream}: {}", answer.text()))?;
            assert_eq!((heard.text.as_str(), &heard.ended), ("pong", &Ended::Well), "{client:?} {stream}");
        }
    }
    ensure!(turns(&gateway).is_empty(), "nobody upstream was asked");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_reach_the_upstream_and_tags_the_record() -> Result<()> {
    let source = r#"fn filter_request(request, prompt) {
        prompt.insert(0, "system", "answer in verse");
        for part in prompt.parts { if part.role == "user" { part.replace("hello", "good day"); } }
        prompt.set_tag("who", request.client);
    }"#;
    let gateway = with_script("editor", source).await?;
    for client in Speaks::ALL {
        let answer = ask(&gateway, client, &client.question("gpt-5.5", "hello there", true)).await?;
        assert_eq!(client.hear(&answer)?.text, "You said: good day there", "{client:?}");
        let seen = turns(&gateway).pop().context("nothing arrived")?;
        let seen = String::from_utf8_lossy(&seen.body).into_owned();
        ensure!(seen.contains("answer in verse") && !seen.contains("hello"), "{client:?}: {seen}");
        assert_eq!(gateway.decision(&answer.headers)?.tags, [("who".to_owned(), "local".to_owned())]);
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_changed_ended_or_aborted_in_every_dialect() -> Result<()> {
    let source = r#"fn filter_response(request, event) {
        if event.text.contains("tick 3") { return finish("stop"); }
        let louder = event.text;
        louder.replace("tick", "TOCK");
        return louder;
    }"#;
    let gateway = with_script("ender", source).await?;
    for client in Speaks::ALL {
        let answer = ask(&gateway, client, &client.question("gpt-5.5", "stream 40 events", true)).await?;
        let heard = client.hear(&answer).with_context(|| format!("{client:?}: {}", answer.text()))?;
        ensure!(heard.ended == Ended::Well, "{client:?}: {heard:?}");
        ensure!(heard.text.contains("TOCK 2") && !heard.text.contains('3'), "{client:?}: {}", heard.text);
        ensure!(!answer.text().contains("tick"), "{client:?}: {}", answer.text());
    }
    fs::write(
        gateway.settings.policies_dir().join("ender.rhai"),
        r#"fn filter_response(request, event) {
            if event.text.contains("tick 3") { return refuse(400, "enough", "that is enough"); }
        }"#,
    )?;
    let client = Speaks::Chat;
    eventually("the new version serves", async || {
        let answer = ask(&gateway, client, &client.question("gpt-5.5", "stream 40 events", true)).await?;
        Ok(matches!(client.hear(&answer)?.ended, Ended::Failed(_)).then_some(()))
    })
    .await?;
    for client in Speaks::ALL {
        let answer = ask(&gateway, client, &client.question("gpt-5.5", "stream 40 events", true)).await?;
        let heard = client.hear(&answer).with_context(|| format!("{client:?}: {}", answer.text()))?;
        let Ended::Failed(error) = &heard.ended else { anyhow::bail!("{client:?}: {heard:?}") };
        ensure!(error.to_string().contains("that is enough"), "{client:?}: {error}");
        ensure!(heard.text.contains("tick 2"), "{client:?}: what came before is there: {}", heard.text);
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_told_as_the_dialect_names_it() -> Result<()> {
    let source = r#"fn filter_response(request, event) {
        if event.text.contains("tick 3") { return finish("length"); }
    }"#;
    let gateway = with_script("ender", source).await?;
    for client in Speaks::ALL {
        let word = match client {
            Speaks::Responses => r#""reason":"max_output_tokens""#,
            Speaks::Chat => r#""finish_reason":"length""#,
            Speaks::Messages => r#""stop_reason":"max_tokens""#,
        };
        for stream in [true, false] {
            let answer =
                ask(&gateway, client, &client.question("gpt-5.5", "stream 40 events", stream)).await?;
            let text = answer.text().replace(": ", ":");
            ensure!(answer.status == 200 && text.contains(word), "{client:?} {stream}: {text}");
            ensure!(!text.contains("tick 9"), "{client:?} {stream}: {text}");
        }
    }
    gateway.stop().await
}

/// Fails whenever it is asked.
struct Broken(ExtensionVersion);

impl PromptFilter for Broken {
    fn version(&self) -> &ExtensionVersion {
        &self.0
    }

    fn view(&self) -> BodyView {
        BodyView::TextParts
    }

    fn filter_request(&self, _: &Arc<RequestContext>, _: PromptBody<'_>) -> Result<FilterOutcome, HookError> {
        Err(HookError::Failed("it trapped".to_owned()))
    }
}

impl ResponseFilter for Broken {
    fn version(&self) -> &ExtensionVersion {
        &self.0
    }

    fn interest(&self) -> StreamInterest {
        StreamInterest { text: true, ..StreamInterest::default() }
    }

    fn filter_events(
        &self,
        _: &Arc<RequestContext>,
        _: &[u8],
        _: &[StreamEvent<'_>],
        _: bool,
    ) -> Result<Batch, HookError> {
        Err(HookError::TimedOut("it never came back".to_owned()))
    }
}

fn put_broken(gateway: &InProcess, hook: Hook, failing: Failing, mode: Mode) {
    let version = ExtensionVersion {
        name: "broken".to_owned(),
        language: PolicyLanguage::Wasm,
        digest: "0123456789abcdef".to_owned(),
    };
    let broken = Arc::new(Broken(version.clone()));
    let mut installed = Installed::new(version);
    installed.attachments = vec![Attachment { failing, mode, ..Attachment::of(hook) }];
    match hook {
        Hook::FilterRequest => installed.prompt = Some(broken),
        _ => installed.response = Some(broken),
    }
    gateway.running.gateway.put_extension(installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_fails_closes_the_way_only_where_that_was_decided() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for hook in [Hook::FilterRequest, Hook::FilterResponse] {
        for (failing, mode, goes) in [
            (Failing::Open, Mode::Enforce, true),
            (Failing::Fallback, Mode::Enforce, true),
            (Failing::Closed, Mode::Monitor, true),
            (Failing::Closed, Mode::Enforce, false),
        ] {
            put_broken(&gateway, hook, failing, mode);
            for client in Speaks::ALL {
                for stream in [true, false] {
                    let case = format!("{} {failing:?} {mode:?} {client:?} {stream}", hook.label());
                    let answer = ask(&gateway, client, &client.question("gpt-5.5", "hello", stream)).await?;
                    if goes {
                        let heard =
                            client.hear(&answer).with_context(|| format!("{case}: {}", answer.text()))?;
                        assert_eq!(heard.text, "You said: hello", "{case}");
                    } else {
                        ensure!(answer.text().contains("broken"), "{case}: it is named: {}", answer.text());
                        ensure!(!answer.text().contains("You said"), "{case}: {}", answer.text());
                    }
                    let decision = gateway.decision(&answer.headers);
                    if let Ok(decision) = decision {
                        let acted = decision.extensions.first().context(case.clone())?;
                        assert_eq!((acted.act.label(), acted.hook), ("failed", hook), "{case}");
                    }
                }
            }
        }
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_watches_changes_nothing_and_is_recorded() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let placement = Placement { mode: Some(Mode::Monitor), ..Placement::default() };
    switch_on(&gateway, "wasm:redactor", placement).await?;
    let question = format!("write to {ADDRESS}");
    let answer = ask(&gateway, Speaks::Chat, &Speaks::Chat.question("gpt-5.5", &question, true)).await?;
    assert_eq!(Speaks::Chat.hear(&answer)?.text, format!("You said: {question}"));
    let seen = turns(&gateway).pop().context("nothing arrived")?;
    ensure!(String::from_utf8_lossy(&seen.body).contains(ADDRESS), "it only watches");
    let decision = gateway.decision(&answer.headers)?;
    let acted = decision.extensions.first().context("it is recorded")?;
    ensure!(acted.mode == Mode::Monitor && acted.rules.iter().any(|rule| rule.hits == 1), "{acted:?}");
    gateway.stop().await
}
