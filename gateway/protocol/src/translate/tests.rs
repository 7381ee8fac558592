//! Every fixture into every other dialect: `fixtures/<from>/<what>/<case>` has a snapshot per target.
//!
//! Adding a case is adding a file. `what` is `request`, `stream`, `answer`, `error` or `invalid`.

pub(crate) mod way;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::codec;
use crate::sse::{EventLines, SseFramer};
use crate::turn::{Dialect, ErrorReport, ToolNames, TurnRequest};
use way::{Answer, End, Route, Whole};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The cases of one kind: from, name, text. None at all is a mistake of the test.
fn cases(what: &str) -> Vec<(Dialect, String, Vec<u8>)> {
    let mut cases = Vec::new();
    for from in Dialect::ALL {
        // The messages dialect has tests of its own over the same files.
        let folder = match from {
            Dialect::AnthropicMessages => fixtures().join("messages").join(format!("{what}s")),
            _ => fixtures().join(from.as_str()).join(what),
        };
        let Ok(files) = std::fs::read_dir(folder) else { continue };
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            cases.push((from, name, std::fs::read(&path).unwrap()));
        }
    }
    cases.sort_by(|a, b| (a.0.as_str(), &a.1).cmp(&(b.0.as_str(), &b.1)));
    assert!(cases.len() > 3, "no fixtures for {what}");
    cases
}

fn targets(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

fn snapshot(what: &str, from: Dialect, name: &str, to: Dialect, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(fixtures().join("snapshots").join(what));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let name = format!("{}.{name}.{}", from.as_str(), to.as_str());
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

/// The way of an answer whose request had the tools that the fixtures call, some of which need flattening.
pub(crate) fn route(upstream: Dialect, client: Dialect) -> Route {
    let mut request = TurnRequest::default();
    request.tools.push(crate::turn::Tool::Custom {
        name: "apply_patch".to_owned(),
        namespace: None,
        description: None,
        format: None,
    });
    let names = if upstream == Dialect::OpenAiResponses {
        ToolNames::default()
    } else {
        ToolNames::flatten(&mut request)
    };
    Route { client, upstream, context: way::context(), names }
}

#[test]
fn requests() {
    for (from, name, body) in cases("request") {
        for to in targets(from) {
            let text = match way::request(from, to, &body, None) {
                Ok(done) => {
                    let mut text = pretty(&done.body);
                    for note in done.dropped.notes() {
                        write!(text, "\ndropped: {note}").unwrap();
                    }
                    text
                }
                Err(error) => format!("{error}\nparam: {:?}", error.param()),
            };
            snapshot("request", from, &name, to, &text);
        }
    }
}

#[test]
fn invalid_requests_name_the_member() {
    for (from, name, table) in invalid_tables() {
        for to in targets(from) {
            let mut text = String::new();
            for row in &table {
                let body = match &row["body"] {
                    Value::String(raw) => raw.clone(),
                    body => body.to_string(),
                };
                match way::request(from, to, body.as_bytes(), None) {
                    Ok(done) => {
                        writeln!(text, "{body}\n  -> {}", String::from_utf8_lossy(&done.body)).unwrap()
                    }
                    Err(error) => {
                        writeln!(text, "{body}\n  {:<40} {error}", error.param().unwrap_or("-")).unwrap();
                    }
                }
            }
            snapshot("invalid", from, &name, to, &text);
        }
    }
}

fn invalid_tables() -> Vec<(Dialect, String, Vec<Value>)> {
    Dialect::ALL
        .into_iter()
        .filter_map(|from| {
            let table = std::fs::read(fixtures().join(from.as_str()).join("invalid/table.json")).ok()?;
            Some((from, "table".to_owned(), serde_json::from_slice(&table).unwrap()))
        })
        .collect()
}

#[test]
fn streams() {
    for (from, name, body) in cases("stream") {
        for to in targets(from) {
            let mut stream = Answer::streamed(&route(from, to));
            let mut text = stream.push(body.clone().into()).to_vec();
            text.extend(stream.finish());
            let mut text = String::from_utf8(text).unwrap();
            write!(text, "usage: {:?}\nend: {:?}", stream.usage, stream.end).unwrap();
            snapshot("stream", from, &name, to, &text);
        }
    }
}

#[test]
fn streams_folded() {
    for (from, name, body) in cases("stream") {
        for to in targets(from) {
            let mut fold = Answer::folded(&route(from, to));
            fold.push(body.clone().into());
            fold.finish();
            snapshot("fold", from, &name, to, &told(fold.whole(), to));
        }
    }
}

#[test]
fn answers() {
    for (from, name, body) in cases("answer") {
        for to in targets(from) {
            let mut answer = Answer::folded(&route(from, to));
            let whole = match answer.push_whole(&body) {
                Ok(()) => answer.whole(),
                Err(error) => Err(ErrorReport::from(&error)),
            };
            snapshot("answer", from, &name, to, &told(whole, to));
        }
    }
}

/// What a client that reads one object is told.
fn told(whole: Result<Whole, ErrorReport>, client: Dialect) -> String {
    match whole {
        Ok(whole) => format!("{}\nstop: {:?}\n{:?}", pretty(&whole.body), whole.stop, whole.usage),
        Err(report) => format!("{report:?}\n{}", pretty(&codec(client).encode_error(&report))),
    }
}

#[test]
fn errors() {
    for (from, name, case) in cases("error") {
        let case: Value = serde_json::from_slice(&case).unwrap();
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        let body = match &case["body"] {
            Value::String(raw) => raw.clone(),
            body => body.to_string(),
        };
        for to in targets(from) {
            let report = codec(from).decode_error(status, body.as_bytes());
            let body = codec(to).encode_error(&report);
            snapshot("error", from, &name, to, &format!("{:?}\n{}", report.kind, pretty(&body)));
        }
    }
}

/// Whatever a stream says, its translation has exactly one end, and a cut never looks like a clean one.
#[test]
fn a_prefix_of_a_stream_never_ends_clean() {
    for (from, name, body) in cases("stream") {
        let whole = end_of(from, &body);
        // Around every line's end, and some places between.
        let ends = (0..body.len()).filter(|at| body[*at] == b'\n').flat_map(|at| [at, at + 1]);
        for cut in ends.chain((0..body.len()).step_by(97)).filter(|cut| *cut < body.len()) {
            for to in targets(from) {
                let mut stream = Answer::streamed(&route(from, to));
                let mut text = stream.push(body[..cut].to_vec().into()).to_vec();
                text.extend(stream.finish());
                if !matches!(stream.end, Some(End::Finished(_))) {
                    assert!(is_error_end(to, &text), "{name} cut at {cut} for {}", to.as_str());
                } else {
                    assert!(matches!(whole, End::Finished(_)), "{name} ended early at {cut}");
                }
            }
        }
    }
}

fn end_of(from: Dialect, body: &[u8]) -> End {
    let to = targets(from).next().unwrap();
    let mut stream = Answer::streamed(&route(from, to));
    stream.push(body.to_vec().into());
    stream.finish();
    stream.end.unwrap()
}

/// The last event tells an error, and no event tells an end.
fn is_error_end(client: Dialect, text: &[u8]) -> bool {
    let mut kinds = Vec::new();
    SseFramer::default()
        .push(Bytes::copy_from_slice(text), |event| {
            let data = EventLines::read(event).data.unwrap();
            let value: Value = serde_json::from_slice(data).unwrap_or(Value::Null);
            kinds.push(match client {
                Dialect::OpenAiChat if data == b"[DONE]" => "end".to_owned(),
                Dialect::OpenAiChat if value.get("error").is_some() => "error".to_owned(),
                Dialect::OpenAiChat if !value["choices"][0]["finish_reason"].is_null() => "end".to_owned(),
                Dialect::OpenAiChat => "chunk".to_owned(),
                _ => value["type"].as_str().unwrap().to_owned(),
            });
        })
        .unwrap();
    let is_end =
        |kind: &str| matches!(kind, "end" | "response.completed" | "response.incomplete" | "message_stop");
    let is_error = |kind: &str| matches!(kind, "error" | "response.failed");
    kinds.last().is_some_and(|kind| is_error(kind))
        && kinds.iter().filter(|kind| is_error(kind)).count() == 1
        && !kinds.iter().any(|kind| is_end(kind))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_gives_the_same_output(pick in any::<prop::sample::Index>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let cases = cases("stream");
        let (from, _, body) = pick.get(&cases);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        places.extend([0, body.len()]);
        places.sort_unstable();
        for to in targets(*from) {
            let mut whole = Answer::streamed(&route(*from, to));
            let mut expected = whole.push(body.clone().into()).to_vec();
            expected.extend(whole.finish());
            let mut pieces = Answer::streamed(&route(*from, to));
            let mut got = Vec::new();
            for pair in places.windows(2) {
                got.extend(pieces.push(body[pair[0]..pair[1]].to_vec().into()));
            }
            got.extend(pieces.finish());
            prop_assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(expected).unwrap());
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), from in 0..3_usize) {
        let from = Dialect::ALL[from];
        for to in targets(from) {
            drop(way::request(from, to, &bytes, None));
            drop(Answer::folded(&route(from, to)).push_whole(&bytes));
            let mut stream = Answer::streamed(&route(from, to));
            stream.push([b"data: ".as_slice(), &bytes, b"\n\n"].concat().into());
            stream.finish();
        }
    }
}

/// What the Codex backend's rules say of a translated request: everything they refuse is gone and nothing is missing.
#[test]
fn a_translated_request_fits_the_codex_backend() {
    use crate::responses::{CallerKind, decode};
    for (from, name, body) in cases("request") {
        if from == Dialect::OpenAiResponses {
            continue;
        }
        let Ok(done) = way::request(from, Dialect::OpenAiResponses, &body, Some("gpt-5.5")) else {
            continue;
        };
        let fit = decode(done.body, CallerKind::Foreign).unwrap_or_else(|error| panic!("{name}: {error}"));
        let fit = fit.for_codex.unwrap();
        let body: Value = serde_json::from_slice(&fit.body).unwrap();
        assert_eq!((&body["store"], &body["stream"]), (&false.into(), &true.into()), "{name}");
        assert!(body["instructions"].is_string(), "{name}");
        assert!(body["tools"].as_array().is_none_or(|tools| !tools.is_empty()), "{name}: no empty tools");
        for item in body["input"].as_array().unwrap() {
            assert_ne!(item["role"], "system", "{name}");
            if item["type"] == "message" {
                let mut members: Vec<&String> = item.as_object().unwrap().keys().collect();
                members.sort();
                assert_eq!(members, ["content", "role", "type"], "{name}: unknown members are refused");
            }
        }
        for refused in ["temperature", "max_output_tokens", "metadata", "user", "top_p"] {
            assert!(body.get(refused).is_none(), "{name}: {refused}");
        }
    }
}

#[test]
fn a_schema_keeps_its_bytes() {
    let schema = r#"{"z":1.50,"type":"object", "properties":{"b":{},"a":{}}}"#;
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}"#
    );
    for to in targets(Dialect::OpenAiChat) {
        let done = way::request(Dialect::OpenAiChat, to, body.as_bytes(), None).unwrap();
        let text = String::from_utf8(done.body.to_vec()).unwrap();
        assert!(text.contains(schema), "{text}");
    }
}

/// A custom tool goes to an upstream without custom tools as a function and comes back as what it was.
#[test]
fn a_namespaced_custom_tool_comes_back_as_itself() {
    let body = std::fs::read(fixtures().join("openai-responses/request/codex-lite.json")).unwrap();
    let done = way::request(Dialect::OpenAiResponses, Dialect::OpenAiChat, &body, None).unwrap();
    let mut stream = Answer::streamed(&done.route);
    let chunks = concat!(
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"functions__exec","arguments":"{\"inp"}}]}}]}"#,
        "\n\n",
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ut\":\"a\\n\\\"b\\\"\"}"}}]},"finish_reason":"tool_calls"}]}"#,
        "\n\ndata: [DONE]\n\n"
    );
    let text = String::from_utf8(stream.push(Bytes::from(chunks)).to_vec()).unwrap();
    let done =
        text.lines().find(|line| line.contains("output_item.done") && line.starts_with("data")).unwrap();
    let item: Value = serde_json::from_str(done.trim_start_matches("data: ")).unwrap();
    assert_eq!(item["item"]["type"], "custom_tool_call");
    assert_eq!(item["item"]["name"], "exec");
    assert_eq!(item["item"]["namespace"], "functions");
    assert_eq!(item["item"]["input"], "a\n\"b\"");
}

/// Ten thousand items and a megabyte in one event take no time worth telling.
#[test]
fn large_inputs_stay_linear() {
    let messages: Vec<String> =
        (0..10_000).map(|nth| format!(r#"{{"role":"user","content":"message {nth}"}}"#)).collect();
    let body = format!(r#"{{"model":"m","messages":[{}]}}"#, messages.join(","));
    let done = way::request(Dialect::OpenAiChat, Dialect::OpenAiResponses, body.as_bytes(), None).unwrap();
    let body: Value = serde_json::from_slice(&done.body).unwrap();
    assert_eq!(body["input"].as_array().unwrap().len(), 10_000);

    let long = "x".repeat(1 << 20);
    let chunk = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n");
    let mut stream = Answer::streamed(&route(Dialect::OpenAiChat, Dialect::OpenAiResponses));
    let mut got = 0;
    for piece in chunk.as_bytes().chunks(1 << 12) {
        got += stream.push(Bytes::copy_from_slice(piece)).len();
    }
    assert!(got > long.len());
}
