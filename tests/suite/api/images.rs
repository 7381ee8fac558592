//! Images: passed through to accounts with a key, made with a tool at ChatGPT accounts, whole and as events, from words and
//! from images.

use anyhow::{Result, ensure};
use gateway_lab::{Fault, FaultRule, Route};
use serde_json::{Value, json};
use switchyard_tests::{Answer, InProcess, events_of};

use super::calls::{form, post, post_form, sent, with_kinds};
use super::lab;

/// What the lab draws, in base64.
fn drawn(prompt: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = format!("lab image: {prompt}").into_bytes();
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let all =
            three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * place) & 63) as usize];
            if place <= three.len() {
                out.push(char::from(letter));
            } else {
                out.push('=');
            }
        }
    }
    out
}

fn picture(answer: &Answer) -> Result<String> {
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    let body = answer.json();
    ensure!(body["created"].is_u64() && body["usage"]["total_tokens"].is_u64(), "{body}");
    ensure!(body["usage"]["input_tokens_details"]["text_tokens"].is_u64(), "{body}");
    Ok(body["data"][0]["b64_json"].as_str().unwrap_or_default().to_owned())
}

/// The names of the events, and the picture of the last one.
fn streamed(answer: &Answer) -> Result<(Vec<String>, String)> {
    ensure!(answer.header("content-type") == Some("text/event-stream"), "{}", answer.text());
    let events = events_of(&answer.text())?;
    let last: Value = events.last().map(|event| event.data.clone()).unwrap_or_default();
    let picture = last["b64_json"].as_str().unwrap_or_default().to_owned();
    Ok((events.into_iter().map(|event| event.name).collect(), picture))
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_with_a_key_get_the_clients_own_bytes() -> Result<()> {
    let (gateway, _) = with_kinds(&["openai"]).await?;
    let body = json!({ "model": "gpt-image-1", "prompt": "a cat", "size": "1024x1024", "n": 1 });
    for path in ["/v1/images/generations", "/images/generations", "/backend-api/codex/images/generations"] {
        assert_eq!(picture(&post(&gateway, path, &body).await?)?, drawn("a cat"));
    }
    assert!(sent(&gateway, Route::ApiImages).iter().all(|seen| seen.body == body.to_string()));
    let edit =
        form(&[("prompt", "a hat"), ("image[]", "PNG\0one"), ("image[]", "PNG\0two"), ("mask", "PNG\0m")]);
    let answer = post_form(&gateway, "/v1/images/edits", edit.clone()).await?;
    assert_eq!(picture(&answer)?, drawn("a hat of 2"));
    assert_eq!(sent(&gateway, Route::ApiImages).last().map(|seen| seen.body.to_vec()), Some(edit));
    let answer =
        post(&gateway, "/v1/images/generations", &json!({ "prompt": "a dog", "stream": true })).await?;
    let (names, last) = streamed(&answer)?;
    assert_eq!(names, ["image_generation.partial_image", "image_generation.completed"]);
    assert_eq!(last, drawn("a dog"));
    let settled = gateway.settlements(5).await?;
    assert!(settled.iter().all(|one| one.usage.is_some_and(|usage| usage.output == 196)), "{settled:?}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatgpt_account_makes_them_with_a_tool() -> Result<()> {
    let (gateway, _) = with_kinds(&["codex"]).await?;
    let body = json!({ "prompt": "a cat", "size": "1536x1024", "quality": "high" });
    let answer = post(&gateway, "/v1/images/generations", &body).await?;
    assert_eq!(picture(&answer)?, drawn("a cat"));
    assert_eq!(
        (&answer.json()["size"], answer.header("content-type")),
        (&json!("1536x1024"), Some("application/json"))
    );
    let turn = sent(&gateway, Route::Responses).remove(0).json();
    assert_eq!(turn["tools"][0]["type"], "image_generation");
    assert_eq!(turn["tools"][0]["quality"], "high");

    let body = json!({ "prompt": "a dog", "stream": true, "partial_images": 2 });
    let (names, last) = streamed(&post(&gateway, "/v1/images/generations", &body).await?)?;
    let piece = "image_generation.partial_image";
    assert_eq!(
        (names, last),
        (vec![piece.into(), piece.into(), "image_generation.completed".to_owned()], drawn("a dog"))
    );

    let edit = form(&[("prompt", "a hat"), ("image", "PNG\0one"), ("stream", "true")]);
    let (names, last) = streamed(&post_form(&gateway, "/v1/images/edits", edit).await?)?;
    assert_eq!((names, last), (vec!["image_edit.completed".to_owned()], drawn("a hat of 1")));
    let edit = json!({ "prompt": "a bow", "images": [{ "image_url": "data:image/png;base64,QQ==" }] });
    assert_eq!(picture(&post(&gateway, "/v1/images/edits", &edit).await?)?, drawn("a bow of 1"));

    // Codex's own tool has an endpoint there, which is asked as it came.
    let body = json!({ "prompt": "own", "model": "gpt-image-2", "size": "auto" });
    let answer = post(&gateway, "/backend-api/codex/images/generations", &body).await?;
    assert_eq!(picture(&answer)?, drawn("own"));
    assert_eq!(sent(&gateway, Route::CodexImages)[0].body, body.to_string());
    assert!(
        gateway.settlements(5).await?.iter().all(|one| one.outcome == "completed" && one.usage.is_some())
    );
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_chatgpt_account_cannot_do_goes_to_one_that_can() -> Result<()> {
    let two = json!({ "prompt": "a cat", "n": 2 });
    let (gateway, _) = with_kinds(&["codex"]).await?;
    let answer = post(&gateway, "/v1/images/generations", &two).await?;
    assert_eq!((answer.status, answer.error()?.param.as_deref()), (400, Some("n")));
    // A model that writes instead of drawing is no fault of its account.
    let answer = post(&gateway, "/v1/images/generations", &json!({ "prompt": "write instead" })).await?;
    assert_eq!((answer.status, answer.error()?.code.as_str()), (400, "image_generation_user_error"));
    let words = json!({ "prompt": "write instead", "stream": true });
    let answer = post(&gateway, "/v1/images/generations", &words).await?;
    assert!(answer.text().contains("image_generation_user_error"), "{}", answer.text());
    assert_eq!(sent(&gateway, Route::Responses).len(), 2, "nobody is asked twice");
    gateway.stop().await?;
    let (gateway, _) = with_kinds(&["codex", "openai"]).await?;
    for _ in 0..4 {
        picture(&post(&gateway, "/v1/images/generations", &two).await?)?;
    }
    assert_eq!(sent(&gateway, Route::ApiImages).len(), 4);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_fails_before_its_picture_goes_to_another_account() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    for fault in [
        Fault::Unauthorized401,
        Fault::RateLimited429 { with_code: true, retry_after: Some(5) },
        Fault::CutAfterEvents(1),
        Fault::failed(("server_error", "no")),
    ] {
        let rule = gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).times(1));
        let answer = post(&gateway, "/v1/images/generations", &json!({ "prompt": "a cat" })).await?;
        ensure!(picture(&answer)? == drawn("a cat"), "{fault:?}");
        assert_eq!(gateway.lab.fired(rule), 1);
        gateway.lab.advance(std::time::Duration::from_secs(600));
    }
    // Cut in the middle of the picture: the client hears of it.
    gateway.lab.script(FaultRule::new(Fault::CutAfterEvents(6)).on(Route::Responses));
    let body = json!({ "prompt": "a cat", "stream": true, "partial_images": 3 });
    let answer = post(&gateway, "/v1/images/generations", &body).await?;
    let text = answer.text();
    assert!(text.contains("event: error") && !text.contains("image_generation.completed"), "{text}");
    gateway.stop().await
}
