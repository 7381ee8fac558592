//! The lab's "model": a small table of behaviours that decides from the prompt what to answer.
//! Refuses randomness: the same request always gets the same answer.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// How many characters of a tool's output the answer repeats.
const QUOTED: usize = 200;
/// An echo is cut into at most about this many deltas.
const ECHO_DELTAS: usize = 64;
/// `stream N events` stops here.
const MAX_EVENTS: usize = 100_000;

/// What the model says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// A message, in these pieces.
    Text(Vec<String>),
    /// A call of a function tool.
    FunctionCall { name: String, arguments: String },
    /// A call of a freeform tool.
    CustomCall { name: String, input: String },
    /// The answer to a `compaction_trigger`.
    Compaction,
    /// A picture of this, with as many pieces before it as were asked for.
    Image(Picture),
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    pub(crate) prompt: String,
    pub(crate) size: String,
    pub(crate) partial_images: u64,
    pub(crate) inputs: usize,
}

/// A reply and how fast it comes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    pub(crate) reply: Reply,
    /// Between two deltas.
    pub(crate) pause: Option<Duration>,
}

impl From<Reply> for Turn {
    fn from(reply: Reply) -> Self {
        Self { reply, pause: None }
    }
}

/// What the behaviours look at.
#[derive(Debug)]
struct Prompt<'a> {
    user_text: String,
    last_item: Option<&'a Value>,
    tools: Vec<Tool<'a>>,
    /// The tool that must be used, if it is the one that draws.
    draws: Option<&'a Value>,
    images: usize,
}

#[derive(Debug, Clone, Copy)]
struct Tool<'a> {
    name: &'a str,
    kind: &'a str,
}

type Behaviour = fn(&Prompt<'_>) -> Option<Turn>;

/// The table; the first behaviour that has an answer gives it.
const BEHAVIOURS: [Behaviour; 8] =
    [compact, draw, quote_tool_output, use_the_shell, repeat, call_a_tool, stream_events, echo];

/// What the model answers to this request.
pub(crate) fn answer(request: &Map<String, Value>) -> Turn {
    let input = request.get("input").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tools = request.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let prompt = Prompt {
        user_text: last_user_text(input),
        last_item: input.last(),
        tools: tools.iter().filter_map(tool).collect(),
        draws: must_draw(request).and_then(|()| {
            tools.iter().find(|tool| tool.get("type").is_some_and(|kind| kind == "image_generation"))
        }),
        images: request.get("input").map_or(0, |input| input.to_string().matches("\"input_image\"").count()),
    };
    let turn = BEHAVIOURS.iter().find_map(|behave| behave(&prompt));
    turn.unwrap_or_else(|| Reply::Text(Vec::new()).into())
}

fn tool(value: &Value) -> Option<Tool<'_>> {
    let name = value.get("name")?.as_str()?;
    Some(Tool { name, kind: value.get("type")?.as_str()? })
}

/// The last text part of the last user message.
fn last_user_text(input: &[Value]) -> String {
    let of_user = |item: &&Value| item.get("role").and_then(Value::as_str) == Some("user");
    let content = input.iter().rev().find(of_user).and_then(|item| item.get("content"));
    content.map(text_of).unwrap_or_default()
}

/// Text of a message content or a tool output: a string, or the last text part of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let mut texts = parts.iter().rev().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.next().unwrap_or_default().to_owned()
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn kind_of(item: Option<&Value>) -> &str {
    item.and_then(|item| item.get("type")).and_then(Value::as_str).unwrap_or_default()
}

fn must_draw(request: &Map<String, Value>) -> Option<()> {
    (request.get("tool_choice")?.get("type")? == "image_generation").then_some(())
}

/// A picture was asked for → a picture, unless the words are `write instead`.
fn draw(prompt: &Prompt<'_>) -> Option<Turn> {
    let tool = prompt.draws.filter(|_| !prompt.user_text.contains("write instead"))?;
    let picture = Picture {
        prompt: prompt.user_text.clone(),
        size: tool.get("size").and_then(Value::as_str).unwrap_or("1024x1024").to_owned(),
        partial_images: tool.get("partial_images").and_then(Value::as_u64).unwrap_or(0).min(3),
        inputs: prompt.images,
    };
    Some(Reply::Image(picture).into())
}

/// History ends with a compaction trigger → one compaction item.
fn compact(prompt: &Prompt<'_>) -> Option<Turn> {
    (kind_of(prompt.last_item) == "compaction_trigger").then(|| Reply::Compaction.into())
}

/// History ends with a tool's output → `The tool said: …`.
fn quote_tool_output(prompt: &Prompt<'_>) -> Option<Turn> {
    let item = prompt.last_item.filter(|item| kind_of(Some(item)).ends_with("_call_output"))?;
    let output = item.get("output").map(text_of).unwrap_or_default();
    let quoted: String = output.chars().take(QUOTED).collect();
    Some(say(&format!("The tool said: {quoted}")))
}

/// `use the shell: <cmd>` → a call of whichever shell tool the client offers.
fn use_the_shell(prompt: &Prompt<'_>) -> Option<Turn> {
    let (_, command) = prompt.user_text.split_once("use the shell: ")?;
    let command = command.lines().next()?.trim();
    let shells = ["exec_command", "shell_command", "shell"];
    let name = shells.into_iter().find(|shell| prompt.tools.iter().any(|tool| tool.name == *shell))?;
    let arguments = match name {
        "exec_command" => json!({"cmd": command}),
        "shell_command" => json!({"command": command}),
        _ => json!({"command": ["bash", "-lc", command]}),
    };
    Some(Reply::FunctionCall { name: name.to_owned(), arguments: arguments.to_string() }.into())
}

/// `repeat after me: <text>` → just that text, for answers that a program reads.
fn repeat(prompt: &Prompt<'_>) -> Option<Turn> {
    let (_, text) = prompt.user_text.split_once("repeat after me: ")?;
    Some(say(text))
}

/// `call <tool> <JSON>` → that call; without JSON the arguments are `{}`. A freeform tool gets the rest as text.
fn call_a_tool(prompt: &Prompt<'_>) -> Option<Turn> {
    let (tool, after) = prompt.user_text.match_indices("call ").find_map(|(at, word)| {
        let after = prompt.user_text.get(at + word.len()..)?;
        let name = after.split_whitespace().next()?;
        Some((prompt.tools.iter().find(|tool| tool.name == name)?, after))
    })?;
    let name = tool.name;
    let rest = after.strip_prefix(name).unwrap_or_default().trim_start();
    let name = name.to_owned();
    if tool.kind == "custom" {
        return Some(Reply::CustomCall { name, input: rest.to_owned() }.into());
    }
    let arguments = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next();
    let arguments = arguments.and_then(Result::ok).filter(Value::is_object).unwrap_or_else(|| json!({}));
    Some(Reply::FunctionCall { name, arguments: arguments.to_string() }.into())
}

/// `stream N events` → exactly N deltas; `pause M ms` puts that much time between them.
fn stream_events(prompt: &Prompt<'_>) -> Option<Turn> {
    let (count, pause) = paced(&prompt.user_text)?;
    let deltas = (1..=count).map(|n| format!("tick {n} ")).collect();
    Some(Turn { reply: Reply::Text(deltas), pause })
}

/// Reads `stream N events` and `pause M ms` out of a text.
pub(crate) fn paced(text: &str) -> Option<(usize, Option<Duration>)> {
    let count = number_between(text, "stream ", " events")?;
    let pause = number_between(text, "pause ", " ms").map(|ms| Duration::from_millis(ms as u64));
    Some((count.min(MAX_EVENTS), pause))
}

fn number_between(text: &str, before: &str, after: &str) -> Option<usize> {
    text.match_indices(before).find_map(|(at, _)| {
        let rest = text.get(at + before.len()..)?;
        rest.split_once(after)?.0.parse().ok()
    })
}

/// Anything else → `You said: …`.
fn echo(prompt: &Prompt<'_>) -> Option<Turn> {
    Some(say(&format!("You said: {}", prompt.user_text)))
}

/// A text in word-sized deltas, or larger ones when there are many words.
fn say(text: &str) -> Turn {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let per_delta = words.len().div_ceil(ECHO_DELTAS).max(1);
    Reply::Text(words.chunks(per_delta).map(<[&str]>::concat).collect()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(request: &Value) -> Turn {
        answer(request.as_object().unwrap())
    }

    fn user(text: &str, tools: &Value) -> Value {
        json!({
            "input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}],
            "tools": tools,
        })
    }

    fn text(request: &Value) -> String {
        match turn(request).reply {
            Reply::Text(deltas) => deltas.concat(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    #[test]
    fn it_echoes_the_last_user_text() {
        let request = json!({"input": [
            {"role": "user", "content": "first"},
            {"role": "user", "content": [{"type": "input_text", "text": "<env>"}, {"type": "input_text", "text": "grüße, Welt"}]},
            {"role": "assistant", "content": "no"},
        ]});
        assert_eq!(text(&request), "You said: grüße, Welt");
        assert_eq!(text(&json!({})), "You said: ");
        let long = "word ".repeat(10_000);
        match turn(&user(&long, &json!([]))).reply {
            Reply::Text(deltas) => assert!(deltas.len() <= ECHO_DELTAS, "{}", deltas.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_uses_the_shell_the_client_offers() {
        let ask = "please use the shell: echo hi && ls\nthanks";
        for (tool, arguments) in [
            ("exec_command", json!({"cmd": "echo hi && ls"})),
            ("shell_command", json!({"command": "echo hi && ls"})),
            ("shell", json!({"command": ["bash", "-lc", "echo hi && ls"]})),
        ] {
            let Reply::FunctionCall { name, arguments: found } =
                turn(&user(ask, &json!([{"type": "function", "name": tool}]))).reply
            else {
                panic!("{tool}: no call");
            };
            assert_eq!((name.as_str(), serde_json::from_str::<Value>(&found).unwrap()), (tool, arguments));
        }
        assert!(text(&user(ask, &json!([]))).starts_with("You said"), "no tool, no call");
    }

    #[test]
    fn it_calls_a_named_tool_with_the_json_behind_it() {
        let tools = json!([{"type": "function", "name": "add"}, {"type": "custom", "name": "apply_patch"}]);
        let call = |text: &str| turn(&user(text, &tools)).reply;
        assert_eq!(
            call(r#"please call add {"a": 1} now"#),
            Reply::FunctionCall { name: "add".to_owned(), arguments: r#"{"a":1}"#.to_owned() }
        );
        assert_eq!(
            call("call add please"),
            Reply::FunctionCall { name: "add".to_owned(), arguments: "{}".to_owned() }
        );
        assert_eq!(
            call("call apply_patch *** Begin"),
            Reply::CustomCall { name: "apply_patch".to_owned(), input: "*** Begin".to_owned() }
        );
        assert!(matches!(call("recall that a call multiplies; call add"), Reply::FunctionCall { .. }));
        assert!(matches!(call("call multiply {}"), Reply::Text(_)));
    }

    #[test]
    fn it_repeats_a_text_without_a_word_of_its_own() {
        let asked = user(
            r#"please repeat after me: {"a": "call add"}"#,
            &json!([{"type": "function", "name": "add"}]),
        );
        assert_eq!(text(&asked), r#"{"a": "call add"}"#);
    }

    #[test]
    fn it_quotes_what_a_tool_said() {
        let with = |output: Value| json!({"input": [{"type": "function_call_output", "call_id": "c", "output": output}]});
        assert_eq!(text(&with(json!("hello"))), "The tool said: hello");
        let parts = json!([{"type": "input_text", "text": "parts"}]);
        assert_eq!(text(&with(parts)), "The tool said: parts");
        assert_eq!(text(&with(json!("ä".repeat(300)))).chars().count(), 15 + QUOTED);
    }

    #[test]
    fn it_streams_as_many_events_as_asked() {
        let turn = turn(&user("stream 64 events, pause 5 ms please", &json!([])));
        assert_eq!(turn.pause, Some(Duration::from_millis(5)));
        assert!(matches!(turn.reply, Reply::Text(deltas) if deltas.len() == 64));
        assert_eq!(paced("stream x events"), None);
        assert_eq!(paced(r#"{"stream":true} stream data, stream 3 events"#), Some((3, None)));
    }

    #[test]
    fn it_compacts_on_request() {
        let request = json!({"input": [{"role": "user", "content": "x"}, {"type": "compaction_trigger"}]});
        assert_eq!(turn(&request).reply, Reply::Compaction);
    }
}
