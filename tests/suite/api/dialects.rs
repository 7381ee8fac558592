//! Every dialect of a client against every kind of account: text, tools, pictures, tokens, errors, streams that break off,
//! another account before content, and the same bytes where both sides speak alike.

use anyhow::{Context, Result, ensure};
use gateway_lab::{
    ANTHROPIC_KEY, Fault, FaultRule, Lab, LabApi, LabConfig, OPENAI_KEY, RequestRecord, Route,
};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, Ended, InProcess, PIXEL, Speaks};

use super::lab;

/// A kind of account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Codex,
    OpenAi,
    /// A server that speaks chat completions and nothing else.
    ChatOnly,
    Anthropic,
}

impl Kind {
    const fn model(self) -> &'static str {
        match self {
            Self::Anthropic => "claude-lab-sonnet",
            _ => "gpt-5.5",
        }
    }

    /// What the account is asked in.
    const fn upstream(self, client: Speaks) -> Speaks {
        match (self, client) {
            (Self::Codex, _) | (Self::OpenAi, Speaks::Responses | Speaks::Messages) => Speaks::Responses,
            (Self::OpenAi, Speaks::Chat) | (Self::ChatOnly, _) => Speaks::Chat,
            (Self::Anthropic, _) => Speaks::Messages,
        }
    }

    /// Where that arrives in the lab.
    const fn route(self, client: Speaks) -> Route {
        match (self, self.upstream(client)) {
            (Self::Codex, _) => Route::Responses,
            (_, Speaks::Responses) => Route::ApiResponses,
            (_, Speaks::Chat) => Route::ApiChat,
            (_, Speaks::Messages) => Route::ApiMessages,
        }
    }

    /// A gateway with this many accounts of the kind and no others.
    async fn start(self, accounts: usize) -> Result<InProcess> {
        if self == Self::Codex {
            return InProcess::start(lab(accounts)).await;
        }
        let keys = |first: &str| (0..accounts).map(|nth| format!("{first}-{nth}")).collect::<Vec<_>>();
        let only_chat = self == Self::ChatOnly;
        let api = LabApi {
            openai_keys: keys(OPENAI_KEY),
            anthropic_keys: keys(ANTHROPIC_KEY),
            responses: !only_chat,
            messages: !only_chat,
            ..LabApi::default()
        };
        let gateway = InProcess::start_empty(LabConfig { api, ..lab(0) }, |_| {}).await?;
        let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
        for nth in 0..accounts {
            let (kind, key, settings) = match self {
                Self::Anthropic => ("anthropic", ANTHROPIC_KEY, json!({})),
                Self::ChatOnly => {
                    let base_url = gateway.lab.openai_url();
                    (
                        "openai-compatible",
                        OPENAI_KEY,
                        json!({ "base_url": base_url, "dialects": ["openai-chat"] }),
                    )
                }
                _ => ("openai", OPENAI_KEY, json!({})),
            };
            admin.add_key(kind, &format!("{kind} {nth}"), &format!("{key}-{nth}"), settings).await?;
        }
        Ok(gateway)
    }
}

async fn ask(gateway: &InProcess, client: Speaks, body: &Value) -> Result<Answer> {
    Answer::read(gateway.post_to(client.path(), HeaderMap::new(), body.to_string()).await?).await
}

/// The last turn that reached the lab there.
fn received(lab: &Lab, route: Route) -> Result<RequestRecord> {
    lab.requests().into_iter().rfind(|seen| seen.route == route).with_context(|| format!("none on {route:?}"))
}

/// All that a client can get from an account of this kind.
async fn everything(kind: Kind) -> Result<()> {
    let gateway = kind.start(1).await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            let case = format!("{client:?} to {kind:?}, stream {stream}");
            text(&gateway, kind, client, stream).await.with_context(|| format!("text, {case}"))?;
            tool(&gateway, kind, client, stream).await.with_context(|| format!("tool, {case}"))?;
            picture(&gateway, kind, client, stream).await.with_context(|| format!("picture, {case}"))?;
        }
    }
    gateway.stop().await
}

async fn text(gateway: &InProcess, kind: Kind, client: Speaks, stream: bool) -> Result<()> {
    let answer = ask(gateway, client, &client.question(kind.model(), "grüße an alle", stream)).await?;
    let heard = client.hear(&answer)?;
    ensure!(heard.text == "You said: grüße an alle" && heard.ended == Ended::Well, "{heard:?}");
    let (input, output) = heard.usage.context("no tokens were told")?;
    ensure!(input > 0 && output > 0, "{input} in, {output} out");
    let seen = received(&gateway.lab, kind.route(client))?;
    if kind != Kind::Codex {
        // The lab counts a token for every four bytes that it gets.
        let sent = (seen.body.len() as u64).div_ceil(4);
        ensure!(input == sent, "{input} tokens were told, the upstream counted {sent}");
    }
    let decision = gateway.decision(&answer.headers)?;
    ensure!(decision.outcome.label() == "completed" && decision.attempts.len() == 1, "{decision:?}");
    Ok(())
}

async fn tool(gateway: &InProcess, kind: Kind, client: Speaks, stream: bool) -> Result<()> {
    let asked = r#"call add {"a": 1.5, "text": "zwölf \"Äpfel\""}"#;
    let answer = ask(gateway, client, &client.with_tool(kind.model(), asked, stream)).await?;
    let heard = client.hear(&answer)?;
    let [call] = heard.calls.as_slice() else { anyhow::bail!("{heard:?}") };
    ensure!(heard.ended == Ended::Well && call.name == "add" && !call.id.is_empty(), "{heard:?}");
    ensure!(call.arguments == json!({"a": 1.5, "text": "zwölf \"Äpfel\""}), "{call:?}");
    let body = client.with_result(kind.model(), asked, call, "it is 42", stream);
    let heard = client.hear(&ask(gateway, client, &body).await?)?;
    ensure!(heard.text == "The tool said: it is 42" && heard.calls.is_empty(), "{heard:?}");
    Ok(())
}

async fn picture(gateway: &InProcess, kind: Kind, client: Speaks, stream: bool) -> Result<()> {
    let answer = ask(gateway, client, &client.with_picture(kind.model(), "what is it?", stream)).await?;
    let heard = client.hear(&answer)?;
    ensure!(heard.text == "You said: what is it?", "{heard:?}");
    // It arrives in the account's own words.
    let seen = received(&gateway.lab, kind.route(client))?.json();
    let url = format!("data:image/png;base64,{PIXEL}");
    let places: [(&str, &str); 3] = [
        ("/input/0/content/0/image_url", &url),
        ("/messages/0/content/0/image_url/url", &url),
        ("/messages/0/content/0/source/data", PIXEL),
    ];
    let (place, expected) = match kind.upstream(client) {
        Speaks::Responses => places[0],
        Speaks::Chat => places[1],
        Speaks::Messages => places[2],
    };
    ensure!(seen.pointer(place).and_then(Value::as_str) == Some(expected), "no picture at {place} of {seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_from_a_codex_account() -> Result<()> {
    everything(Kind::Codex).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_from_an_openai_account() -> Result<()> {
    everything(Kind::OpenAi).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_from_a_server_that_speaks_chat_only() -> Result<()> {
    everything(Kind::ChatOnly).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_from_an_anthropic_account() -> Result<()> {
    everything(Kind::Anthropic).await
}

/// Where the account speaks as the client does, the upstream's bytes are the client's.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_dialect_on_both_sides_passes_bytes_through() -> Result<()> {
    let kinds = [
        (Kind::OpenAi, Speaks::Responses),
        (Kind::OpenAi, Speaks::Chat),
        (Kind::ChatOnly, Speaks::Chat),
        (Kind::Anthropic, Speaks::Messages),
    ];
    for (kind, client) in kinds {
        let gateway = kind.start(1).await?;
        for stream in [true, false] {
            let case = format!("{client:?} to {kind:?}, stream {stream}");
            let mut body = client.with_tool(kind.model(), "stream 5 events", stream);
            body["of_the_future"] = json!({ "kept": [1, null, "x"] });
            // Spacing and order are the client's as well.
            let body = body.to_string().replacen('{', "{  ", 1);
            let through = gateway.post_to(client.path(), HeaderMap::new(), body.clone()).await?;
            let through = Answer::read(through).await?;
            assert_eq!(received(&gateway.lab, kind.route(client))?.body, body.as_bytes(), "{case}");
            let request = gateway.http.post(format!("{}{}", gateway.lab.base_url(), client.path()));
            let request = request
                .header("content-type", "application/json")
                .header("anthropic-version", "2023-06-01")
                .header(if client == Speaks::Messages { "x-api-key" } else { "x-unused" }, "sk-ant-lab-0")
                .header(
                    if client == Speaks::Messages { "x-unused" } else { "authorization" },
                    format!("Bearer {OPENAI_KEY}-0"),
                );
            let straight = Answer::read(request.body(body).send().await?).await?;
            ensure!(straight.status == 200, "{case}: {}", straight.text());
            assert_eq!(alike(&through)?, alike(&straight)?, "{case}");
        }
        gateway.stop().await?;
    }
    Ok(())
}

/// The text with the lab's running number taken out: each answer has an id of its own.
fn alike(answer: &Answer) -> Result<String> {
    let text = answer.text();
    let begin = ["\"id\":\"resp_", "\"id\":\"chatcmpl-", "\"id\":\"msg_"];
    let id = begin.iter().filter_map(|begin| text.split_once(begin)).map(|(_, rest)| rest);
    let id = id.min_by_key(|rest| text.len() - rest.len()).context("no id")?;
    let id = id.split('"').next().unwrap_or_default().to_owned();
    ensure!(!id.is_empty(), "an empty id in {text}");
    Ok(text.replace(&id, "ID"))
}

/// An upstream's refusal of the request comes back once, with its status and words, in the client's shape.
#[tokio::test(flavor = "multi_thread")]
async fn errors_come_in_the_clients_shape() -> Result<()> {
    for (kind, row) in [
        (Kind::Codex, "context_length_exceeded"),
        (Kind::OpenAi, "openai_context_length"),
        (Kind::ChatOnly, "openai_context_length"),
        (Kind::Anthropic, "anthropic_prompt_too_long"),
    ] {
        let gateway = kind.start(2).await?;
        for client in Speaks::ALL {
            for stream in [true, false] {
                let case = format!("{client:?} to {kind:?}, stream {stream}");
                let fault = Fault::named(row).context(row)?;
                let rule = gateway.lab.script(FaultRule::new(fault).on(kind.route(client)));
                let answer = ask(&gateway, client, &client.question(kind.model(), "hello", stream)).await?;
                let (error, message) = client.error(&answer).context(case.clone())?;
                assert_eq!((answer.status, error.as_str()), (400, "invalid_request_error"), "{case}");
                assert!(message.contains("exceeds") || message.contains("too long"), "{case}: {message}");
                assert_eq!(gateway.lab.fired(rule), 1, "{case}: nobody else is asked");
                gateway.lab.unscript(rule);
            }
        }
        gateway.stop().await?;
    }
    Ok(())
}

/// By then there is text in every dialect, behind a reasoning item too.
const AFTER_CONTENT: usize = 14;

/// A stream that breaks off after content ends with the dialect's error, never as if it were whole.
async fn breaks_off(kind: Kind) -> Result<()> {
    let gateway = kind.start(2).await?;
    for client in Speaks::ALL {
        for fault in [Fault::CutAfterEvents(AFTER_CONTENT), Fault::CleanEofAfterEvents(AFTER_CONTENT)] {
            let case = format!("{client:?} to {kind:?}, {fault:?}");
            let rule = FaultRule::new(fault).on(kind.route(client)).times(2);
            let rule = gateway.lab.script(rule);
            let asked = "stream 40 events";
            let answer = ask(&gateway, client, &client.question(kind.model(), asked, true)).await?;
            let heard = client.hear(&answer).context(case.clone())?;
            let Ended::Failed(error) = &heard.ended else { anyhow::bail!("{case}: {heard:?}") };
            assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{case}: {error}");
            assert!(heard.text.starts_with("tick 1 "), "{case}: what came is there: {heard:?}");
            let decision = gateway.decision(&answer.headers)?;
            let got = (decision.attempts.len(), decision.outcome.label());
            assert_eq!(got, (1, "stream_incomplete"), "{case}");
            gateway.lab.unscript(rule);
            recover(&gateway)?;
        }
    }
    gateway.stop().await
}

/// Whatever was held against accounts is forgotten.
fn recover(gateway: &InProcess) -> Result<()> {
    for id in gateway.running.gateway.accounts().keys() {
        gateway.running.gateway.clear_cooldowns(id)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_of_codex_never_ends_well() -> Result<()> {
    breaks_off(Kind::Codex).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_of_openai_never_ends_well() -> Result<()> {
    breaks_off(Kind::OpenAi).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_of_chat_never_ends_well() -> Result<()> {
    breaks_off(Kind::ChatOnly).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_of_anthropic_never_ends_well() -> Result<()> {
    breaks_off(Kind::Anthropic).await
}

/// Nothing was seen yet: another account of the kind takes over, and the client does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn before_content_another_account_takes_over() -> Result<()> {
    for kind in [Kind::Codex, Kind::OpenAi, Kind::ChatOnly, Kind::Anthropic] {
        let gateway = kind.start(2).await?;
        let raw = Fault::Raw { status: 500, body: "broken".to_owned(), headers: Vec::new() };
        let failed = Fault::FailedEvent {
            code: "server_error".to_owned(),
            message: "it broke".to_owned(),
            after_events: 1,
        };
        for client in Speaks::ALL {
            for fault in [&raw, &Fault::RefuseConnection, &failed, &Fault::CutAfterEvents(0)] {
                for stream in [true, false] {
                    let whole = !stream && kind.upstream(client) == client && kind != Kind::Codex;
                    if whole && *fault == failed {
                        // One object has no events.
                        continue;
                    }
                    let case = format!("{client:?} to {kind:?}, {fault:?}, stream {stream}");
                    let rule = FaultRule::new(fault.clone()).on(kind.route(client)).once();
                    let rule = gateway.lab.script(rule);
                    let body = client.question(kind.model(), "hello", stream);
                    let answer = ask(&gateway, client, &body).await?;
                    let heard = client.hear(&answer).context(case.clone())?;
                    assert_eq!(
                        (heard.text.as_str(), &heard.ended),
                        ("You said: hello", &Ended::Well),
                        "{case}"
                    );
                    assert_eq!(gateway.lab.fired(rule), 1, "{case}");
                    let decision = gateway.decision(&answer.headers)?;
                    assert_eq!(decision.attempts.len(), 2, "{case}: {:?}", decision.attempts);
                    recover(&gateway)?;
                }
            }
        }
        gateway.stop().await?;
    }
    Ok(())
}
