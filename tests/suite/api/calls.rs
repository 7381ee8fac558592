//! Calls that are no turns, from the client to the upstream and back: who serves them, what goes out, what is settled, and
//! what happens when an upstream fails.

use anyhow::{Context, Result, ensure};
use gateway_core::decisions::Outcome;
use gateway_lab::{ANTHROPIC_KEY, Fault, FaultRule, LabApi, LabConfig, OPENAI_KEY, RequestRecord, Route};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess};

use super::lab;

const BOUNDARY: &str = "lab-boundary-7";

/// A form of these fields; what holds `\0` is a file.
pub(super) fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (name, content) in fields {
        let more = if content.contains('\0') {
            "; filename=\"f.bin\"\r\nContent-Type: application/octet-stream"
        } else {
            ""
        };
        body += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n"
        );
    }
    body += &format!("--{BOUNDARY}--\r\n");
    body.into_bytes()
}

pub(super) async fn post_form(gateway: &InProcess, path: &str, body: Vec<u8>) -> Result<Answer> {
    let request = gateway.http.post(format!("{}{path}", gateway.url));
    let request = request.header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"));
    Answer::read(request.body(body).send().await?).await
}

pub(super) async fn post(gateway: &InProcess, path: &str, body: &Value) -> Result<Answer> {
    Answer::read(gateway.post_to(path, HeaderMap::new(), body.to_string()).await?).await
}

/// A gateway with one account of each of these kinds.
pub(super) async fn with_kinds(kinds: &[&str]) -> Result<(InProcess, Admin)> {
    with_api(LabApi::default(), kinds).await
}

async fn with_api(api: LabApi, kinds: &[&str]) -> Result<(InProcess, Admin)> {
    let gateway = InProcess::start_empty(LabConfig { api, ..lab(3) }, |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    for kind in kinds {
        match *kind {
            "codex" => gateway.import(0).await?,
            "anthropic" => drop(admin.add_key(kind, kind, ANTHROPIC_KEY, json!({})).await?),
            "openai" => drop(admin.add_key(kind, kind, OPENAI_KEY, json!({})).await?),
            _ => {
                let base = json!({ "base_url": gateway.lab.openai_url() });
                drop(admin.add_key(kind, kind, OPENAI_KEY, base).await?);
            }
        }
    }
    Ok((gateway, admin))
}

pub(super) fn sent(gateway: &InProcess, route: Route) -> Vec<RequestRecord> {
    gateway.lab.requests().into_iter().filter(|seen| seen.route == route).collect()
}

fn good(answer: &Answer) -> Result<Value> {
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(answer.json())
}

fn embedding() -> Value {
    json!({ "model": "text-embedding-3-small", "input": ["one", "two"], "a_new_member": 1.50 })
}

fn speech() -> Vec<u8> {
    form(&[("model", "whisper-1"), ("file", "RIFF\0sound"), ("language", "en"), ("prompt", "names: Ada")])
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_pass_through_byte_for_byte_and_are_settled() -> Result<()> {
    for path in ["/v1/embeddings", "/embeddings"] {
        let (gateway, _) = with_kinds(&["codex", "anthropic", "openai"]).await?;
        let answer = post(&gateway, path, &embedding()).await?;
        let body = good(&answer)?;
        assert_eq!(body["data"].as_array().map(Vec::len), Some(2));
        let seen = sent(&gateway, Route::ApiEmbeddings);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].body, embedding().to_string(), "the client's own bytes");
        let decision = gateway.decision(&answer.headers)?;
        assert_eq!(decision.attempts.last().map(|attempt| &*attempt.account_name), Some("openai"));
        assert!(
            decision.edits.iter().any(|note| note.contains("only accounts of kind")),
            "{:?}",
            decision.edits
        );
        let settled = gateway.settlements(1).await?.remove(0);
        assert_eq!((&*settled.outcome, &*settled.model), ("completed", "text-embedding-3-small"));
        assert_eq!(settled.usage.map(|usage| usage.input), body["usage"]["prompt_tokens"].as_u64());
        gateway.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_account_offers_is_refused_in_words() -> Result<()> {
    let (gateway, _) = with_kinds(&["codex", "anthropic"]).await?;
    let answer = post(&gateway, "/v1/embeddings", &embedding()).await?;
    let error = answer.error()?;
    assert_eq!(answer.status, 404, "{error:?}");
    assert!(error.message.contains("openai, openai-compatible or gateway"), "{error:?}");
    assert!(sent(&gateway, Route::ApiEmbeddings).is_empty());
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_endpoint_is_passed_over_and_not_blamed() -> Result<()> {
    let api = LabApi { embeddings: false, ..LabApi::default() };
    let (gateway, _) = with_api(api, &["openai", "openai-compatible"]).await?;
    let answer = post(&gateway, "/v1/embeddings", &embedding()).await?;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.error()?.message.contains("/v1/embeddings"));
    assert_eq!(sent(&gateway, Route::ApiEmbeddings).len(), 2, "both were asked");
    let now = gateway.running.gateway.now();
    let cooling = |pool: &gateway_scheduler::Pool| {
        pool.members().filter(|slot| slot.cooldowns_at(now).count() > 0).count()
    };
    assert_eq!(gateway.running.gateway.with_pool(cooling), 0);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_goes_to_the_accounts_own_endpoint() -> Result<()> {
    let (gateway, _) = with_kinds(&["openai"]).await?;
    let body = json!({ "model": "gpt-5.5", "input": [{ "role": "user", "content": "a long story" }] });
    for path in ["/v1/responses/compact", "/responses/compact", "/backend-api/codex/responses/compact"] {
        let answer = good(&post(&gateway, path, &body).await?)?;
        assert_eq!(answer["object"], "response.compaction");
        assert_eq!(answer["output"][0]["encrypted_content"], "gAAAAAlab.api");
    }
    assert!(sent(&gateway, Route::ApiCompact).iter().all(|seen| seen.body == body.to_string()));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatgpt_account_compacts_with_a_turn() -> Result<()> {
    let (gateway, _) = with_kinds(&["codex"]).await?;
    let body = json!({ "model": "gpt-5.5", "instructions": "be brief", "stream": false, "tools": [],
        "input": [{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "a story" }] }] });
    for path in ["/v1/responses/compact", "/backend-api/codex/responses/compact"] {
        let answer = post(&gateway, path, &body).await?;
        let answered = good(&answer)?;
        assert_eq!(answered["object"], "response.compaction");
        assert_eq!(answered["output"].as_array().map(Vec::len), Some(1), "{answered}");
        assert_eq!(answered["output"][0]["type"], "compaction");
        assert!(answered["usage"]["input_tokens"].as_u64() > Some(0));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let seen = sent(&gateway, Route::Responses);
    let last = &seen.last().context("no turn")?.json();
    assert_eq!(last["input"][1], json!({ "type": "compaction_trigger" }));
    assert!(last.get("tools").is_none(), "{last}");
    assert!(gateway.settlements(2).await?.iter().all(|one| one.usage.is_some()));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn transcriptions_pass_through_in_every_format() -> Result<()> {
    let (gateway, _) = with_kinds(&["openai"]).await?;
    let answer = post_form(&gateway, "/v1/audio/transcriptions", speech()).await?;
    assert_eq!(good(&answer)?["text"], "I heard 10 bytes.");
    assert_eq!(sent(&gateway, Route::ApiTranscriptions)[0].body, speech(), "the client's own bytes");
    let fields = [("model", "whisper-1"), ("file", "RIFF\0sound"), ("response_format", "srt")];
    let answer = post_form(&gateway, "/audio/transcriptions", form(&fields)).await?;
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(answer.text().contains("-->"), "{}", answer.text());
    let fields = [("model", "gpt-4o-transcribe"), ("file", "RIFF\0sound"), ("stream", "true")];
    let answer = post_form(&gateway, "/v1/audio/transcriptions", form(&fields)).await?;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert!(answer.text().contains("transcript.text.done"), "{}", answer.text());
    let settled = gateway.settlements(3).await?;
    assert_eq!(settled.iter().filter_map(|one| one.usage).map(|usage| usage.input).sum::<u64>(), 28);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatgpt_account_hears_the_sound_and_its_prompt_only() -> Result<()> {
    let (gateway, _) = with_kinds(&["codex"]).await?;
    let answer = post_form(&gateway, "/v1/audio/transcriptions", speech()).await?;
    assert_eq!(good(&answer)?["text"], "I heard 10 bytes.");
    let seen = sent(&gateway, Route::Transcribe).remove(0);
    let text = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(
        text.contains("names: Ada") && !text.contains("whisper-1") && !text.contains("language"),
        "{text}"
    );

    let fields = [("model", "whisper-1"), ("file", "RIFF\0sound"), ("response_format", "text")];
    let answer = post_form(&gateway, "/v1/audio/transcriptions", form(&fields)).await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "I heard 10 bytes."));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));

    let fields = [("model", "whisper-1"), ("file", "RIFF\0sound"), ("response_format", "srt")];
    let answer = post_form(&gateway, "/v1/audio/transcriptions", form(&fields)).await?;
    assert_eq!((answer.status, answer.error()?.param.as_deref()), (400, Some("response_format")));

    // Codex's own call has no model, and its body goes through.
    let own = form(&[("file", "RIFF\0sound")]);
    let answer = post_form(&gateway, "/backend-api/transcribe", own.clone()).await?;
    assert_eq!(good(&answer)?["text"], "I heard 10 bytes.");
    assert_eq!(sent(&gateway, Route::Transcribe).last().map(|seen| seen.body.to_vec()), Some(own));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_and_a_limited_account_is_passed_over() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let renewed = gateway.lab.script(FaultRule::new(Fault::Unauthorized401).on(Route::Transcribe).times(1));
    let own = || form(&[("file", "RIFF\0sound")]);
    good(&post_form(&gateway, "/backend-api/transcribe", own()).await?)?;
    assert_eq!(gateway.lab.fired(renewed), 1);
    let refreshes =
        (0..2).filter_map(|account| gateway.lab.tokens(account)).map(|one| one.refreshes).sum::<u64>();
    assert_eq!(refreshes, 1, "renewed once");

    let limited = Fault::RateLimited429 { with_code: true, retry_after: Some(30) };
    gateway.lab.script(FaultRule::new(limited).on(Route::Transcribe).times(1));
    let answer = post_form(&gateway, "/backend-api/transcribe", own()).await?;
    good(&answer)?;
    assert_eq!(gateway.decision(&answer.headers)?.attempts.len(), 2);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_calls_are_told_in_the_openai_shape() -> Result<()> {
    let (gateway, _) = with_kinds(&["openai"]).await?;
    for (fault, status) in [
        (Fault::RefuseConnection, 502),
        (Fault::named("server_error").context("no row")?, 502),
        (Fault::RateLimited429 { with_code: true, retry_after: Some(7) }, 429),
    ] {
        let rule = gateway.lab.script(FaultRule::new(fault).on(Route::ApiEmbeddings));
        let answer = post(&gateway, "/v1/embeddings", &embedding()).await?;
        answer.error()?;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 429 {
            assert_eq!(answer.header("retry-after"), Some("7"));
        }
        gateway.lab.unscript(rule);
        gateway.lab.advance(std::time::Duration::from_secs(400));
    }
    good(&post(&gateway, "/v1/embeddings", &embedding()).await?)?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_never_looks_whole() -> Result<()> {
    let (gateway, _) = with_kinds(&["openai"]).await?;
    // Cut in one piece: nobody else can answer, so the client is told.
    let rule = gateway.lab.script(FaultRule::new(Fault::CutAfterEvents(0)).on(Route::ApiEmbeddings));
    let answer = post(&gateway, "/v1/embeddings", &embedding()).await?;
    assert!(answer.status >= 500, "{}: {}", answer.status, answer.text());
    gateway.lab.unscript(rule);
    // A stream that ends cleanly without its last event ends with an error all the same.
    gateway.lab.script(FaultRule::new(Fault::CleanEofAfterEvents(1)).on(Route::ApiTranscriptions));
    let fields = [("model", "gpt-4o-transcribe"), ("file", "RIFF\0sound"), ("stream", "true")];
    let answer = post_form(&gateway, "/v1/audio/transcriptions", form(&fields)).await?;
    assert!(answer.text().contains("stream_incomplete"), "{}: {}", answer.status, answer.text());
    let decision = gateway.decision(&answer.headers)?;
    assert!(matches!(decision.outcome, Outcome::Failed(_)), "{:?}", decision.outcome);
    gateway.stop().await
}
