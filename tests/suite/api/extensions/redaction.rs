//! The redactor on requests of every dialect: the upstream never sees the address, the client never misses it.

use super::*;

/// A gateway whose lab serves all three dialects by key, and ChatGPT accounts.
async fn gateway() -> Result<InProcess> {
    let gateway = InProcess::start(lab(1)).await?;
    switch_on(&gateway, "wasm:redactor", Placement::default()).await?;
    Ok(gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_finds_stays_here_and_comes_back_in_the_answer() -> Result<()> {
    let gateway = gateway().await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            let case = format!("{client:?}, stream {stream}");
            let question = format!("write to {ADDRESS} and to {ADDRESS} again");
            let answer = ask(&gateway, client, &client.question("gpt-5.5", &question, stream)).await?;
            let heard = client.hear(&answer).with_context(|| format!("{case}: {}", answer.text()))?;
            assert_eq!(heard.text, format!("You said: {question}"), "{case}");
            let seen = turns(&gateway).pop().context("nothing arrived")?;
            let seen = String::from_utf8_lossy(&seen.body).into_owned();
            ensure!(!seen.contains(ADDRESS) && seen.contains("[["), "{case}: {seen}");
            // Every total agrees with what was streamed: nothing of the placeholder is left anywhere.
            ensure!(!answer.text().contains("[["), "{case}: {}", answer.text());
            let decision = gateway.decision(&answer.headers)?;
            let acted: Vec<_> =
                decision.extensions.iter().map(|one| (one.hook.label(), one.act.label())).collect();
            assert_eq!(acted, [("filter-request", "changed"), ("filter-response", "changed")], "{case}");
            ensure!(decision.extensions.iter().all(|one| one.label == "redactor@0.1.0"), "{decision:?}");
            ensure!(decision.extensions[0].rules.iter().any(|rule| rule.hits > 0), "{decision:?}");
        }
    }
    gateway.stop().await
}

/// The lab cuts its answers in the middle, so the padding moves the cut through the placeholder.
#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_may_be_cut_anywhere() -> Result<()> {
    let gateway = gateway().await?;
    for client in Speaks::ALL {
        for padding in 0..24 {
            let question = format!("{ADDRESS}{}", " x".repeat(padding));
            let answer = ask(&gateway, client, &client.question("gpt-5.5", &question, true)).await?;
            let heard = client.hear(&answer).with_context(|| format!("{client:?}: {}", answer.text()))?;
            assert_eq!(heard.text, format!("You said: {question}"), "{client:?}, {padding}");
            ensure!(!answer.text().contains("[["), "{client:?}, {padding}: {}", answer.text());
        }
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_tools_are_restored_too() -> Result<()> {
    let gateway = gateway().await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            let case = format!("{client:?}, stream {stream}");
            let asked = format!(r#"call add {{"to": "{ADDRESS}"}}"#);
            let answer = ask(&gateway, client, &client.with_tool("gpt-5.5", &asked, stream)).await?;
            let heard = client.hear(&answer).with_context(|| format!("{case}: {}", answer.text()))?;
            let [call] = heard.calls.as_slice() else { anyhow::bail!("{case}: {heard:?}") };
            assert_eq!(call.arguments, json!({"to": ADDRESS}), "{case}");
            ensure!(call.name == "add" && !call.id.is_empty(), "{case}: {call:?}");
        }
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_finding_the_bytes_are_the_upstreams() -> Result<()> {
    let api = LabApi { openai_keys: vec![gateway_lab::OPENAI_KEY.to_owned()], ..LabApi::default() };
    let gateway = InProcess::start_empty(LabConfig { api, ..lab(0) }, |_| {}).await?;
    let admin = switchyard_tests::Admin::set_up(&gateway.http, &gateway.url).await?;
    admin.add_key("openai", "one", gateway_lab::OPENAI_KEY, json!({})).await?;
    for client in [Speaks::Responses, Speaks::Chat] {
        let mut body = client.question("gpt-5.5", "stream 5 events", true);
        body["of_the_future"] = json!({"kept": [1, null, "x"]});
        let plain = ask(&gateway, client, &body).await?;
        switch_on(&gateway, "wasm:redactor", Placement::default()).await?;
        let filtered = ask(&gateway, client, &body).await?;
        let requests = turns(&gateway);
        let [.., first, second] = requests.as_slice() else { anyhow::bail!("two should have arrived") };
        assert_eq!(first.body, second.body, "{client:?}");
        // Only the lab's running number of the answer differs.
        assert_eq!(plain.text().len(), filtered.text().len(), "{client:?}");
        assert_eq!(plain.text().lines().count(), filtered.text().lines().count(), "{client:?}");
        gateway.running.gateway.place_extension("wasm:redactor", Placement::default()).await?;
    }
    gateway.stop().await
}
