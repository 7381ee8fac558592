//! Names of models, and who watches what is used.

use super::*;
use switchyard_tests::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_goes_upstream_as_what_it_stands_for_and_is_echoed() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let config = json!({"rules": [
        {"model": "fast", "targets": [{"model": "gpt-5.5", "effort": "low"}]},
        {"model": "house-*", "targets": [{"model": "no-such-model", "provider": "anthropic"}, {"model": "gpt-5.5"}]},
    ]});
    switch_on(&gateway, "wasm:aliases", Placement { config: Some(config), ..Placement::default() }).await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            for asked in ["fast", "house-blend"] {
                let case = format!("{client:?}, stream {stream}, {asked}");
                let answer = ask(&gateway, client, &client.question(asked, "hello", stream)).await?;
                let heard = client.hear(&answer).with_context(|| format!("{case}: {}", answer.text()))?;
                assert_eq!(heard.text, "You said: hello", "{case}");
                let told = format!("\"model\":\"{asked}\"");
                ensure!(answer.text().replace(": ", ":").contains(&told), "{case}: {}", answer.text());
                ensure!(!answer.text().contains("gpt-5.5"), "{case}: {}", answer.text());
                let seen = turns(&gateway).pop().context("nothing arrived")?.json();
                assert_eq!(seen["model"], "gpt-5.5", "{case}");
                if asked == "fast" {
                    assert_eq!(seen["reasoning"]["effort"], "low", "{case}");
                }
                let decision = gateway.decision(&answer.headers)?;
                assert_eq!(decision.mapped_to.as_deref(), Some("gpt-5.5"), "{case}");
                assert_eq!(&*decision.model, asked, "{case}: what was asked for stays in the record");
            }
        }
    }
    let untouched =
        ask(&gateway, Speaks::Responses, &Speaks::Responses.question("gpt-5.5", "hi", true)).await?;
    ensure!(gateway.decision(&untouched.headers)?.mapped_to.is_none(), "no rule fits it");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_requests_it_is_attached_to_meet_it() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let config = json!({"rules": [{"model": "gpt-5.5", "targets": [{"model": "gpt-5.5", "effort": "low"}]}]});
    let placement = Placement {
        config: Some(config),
        routes: Some(vec![Speaks::Chat.path().to_owned()]),
        ..Placement::default()
    };
    switch_on(&gateway, "wasm:aliases", placement).await?;
    for (client, mapped) in [(Speaks::Chat, true), (Speaks::Responses, false)] {
        let answer = ask(&gateway, client, &client.question("gpt-5.5", "hello", true)).await?;
        assert_eq!(gateway.decision(&answer.headers)?.mapped_to.is_some(), mapped, "{client:?}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_is_there_after_a_restart() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let config = json!({"rules": [{"model": "fast", "targets": [{"model": "gpt-5.5"}]}]});
    switch_on(&gateway, "wasm:aliases", Placement { config: Some(config), ..Placement::default() }).await?;
    let gateway = gateway.restarted().await?;
    let answer = ask(&gateway, Speaks::Chat, &Speaks::Chat.question("fast", "hello", true)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let unknown = gateway.running.gateway.place_extension("wasm:nobody", Placement::default()).await;
    ensure!(
        unknown.is_err_and(|error| error.to_string().contains("wasm:nobody")),
        "it names what is not there"
    );
    let broken = Placement { enabled: Some(true), config: Some(json!({"rules": 7})), ..Placement::default() };
    let refused = gateway.running.gateway.place_extension("wasm:aliases", broken).await;
    let refused = refused.err().context("a configuration that does not fit")?.to_string();
    ensure!(refused.contains("aliases") && refused.contains("config"), "{refused}");
    let answer = ask(&gateway, Speaks::Chat, &Speaks::Chat.question("fast", "hello", true)).await?;
    assert_eq!(answer.status, 200, "the one before serves on: {}", answer.text());
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn observers_are_shown_every_settled_request() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let (seen, observer) = Recorder::new();
    let mut installed = gateway_core::extensions::Installed::new(observer.version.clone());
    installed.attachments =
        vec![gateway_core::hooks::Attachment::of(gateway_core::hooks::Hook::ObserveUsage)];
    installed.observer = Some(observer);
    gateway.running.gateway.put_extension(installed);
    switch_on(&gateway, "wasm:usage-counters", Placement::default()).await?;
    for _ in 0..5 {
        ask(&gateway, Speaks::Chat, &Speaks::Chat.question("gpt-5.5", "hello", true)).await?;
    }
    eventually("all are shown", async || Ok((seen.lock().len() == 5).then_some(()))).await?;
    let records = seen.lock().clone();
    for one in &records {
        ensure!(one.provider == "codex" && one.model == "gpt-5.5" && one.http_status == 200, "{one:?}");
        ensure!(one.usage.input > 0 && one.failure.is_empty() && !one.account.is_empty(), "{one:?}");
    }
    gateway.stop().await
}

type Seen = std::sync::Arc<parking_lot::Mutex<Vec<gateway_core::hooks::UsageRecord>>>;

/// Keeps what it is shown.
struct Recorder {
    version: gateway_core::hooks::ExtensionVersion,
    seen: Seen,
}

impl Recorder {
    fn new() -> (Seen, std::sync::Arc<Self>) {
        let seen = Seen::default();
        let version = gateway_core::hooks::ExtensionVersion {
            name: "recorder".to_owned(),
            language: gateway_scheduler::PolicyLanguage::BuiltIn,
            digest: String::new(),
        };
        (seen.clone(), std::sync::Arc::new(Self { version, seen }))
    }
}

impl gateway_core::hooks::UsageObserver for Recorder {
    fn version(&self) -> &gateway_core::hooks::ExtensionVersion {
        &self.version
    }

    fn on_usage(
        &self,
        records: &[gateway_core::hooks::UsageRecord],
    ) -> Result<(), gateway_core::hooks::HookError> {
        assert!(records.len() <= 256);
        self.seen.lock().extend(records.iter().cloned());
        Ok(())
    }
}
