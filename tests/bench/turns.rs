//! The turns that are sent: what a Codex client writes, filled up to a size. The same bytes go to every target.

use bytes::Bytes;
use serde_json::json;

/// What the lab is asked for. Its canned answer has a few deltas unless the text names a number.
pub(crate) const SHORT_ANSWER: &str = "Say hello.";
/// Deltas of the paced stream.
pub(crate) const PACED_EVENTS: usize = 64;
/// The same many deltas, a millisecond or a little more between them.
pub(crate) const PACED_ANSWER: &str = "stream 64 events, pause 1 ms";
/// An answer that begins and then keeps silent for longer than any measurement takes.
pub(crate) const OPEN_ANSWER: &str = "stream 2 events, pause 600000 ms";

/// Prose and code in turns, as prompts are; quotes and line ends make a parser work.
const FILLER: &str = "The handler in src/server.rs returns \"ok\" for every path.\n    let reply = match route {\n        \
                      Some(found) => found.call(request),\n        None => not_found(),\n    };\nKeep the tests green. ";

/// One turn of the conversation `session`, `size` bytes long (the smallest is a little over 1 KB).
pub(crate) fn turn(session: &str, size: usize, ask: &str) -> Bytes {
    let bare = body(session, "", ask);
    let mut text = String::new();
    let mut room = size.saturating_sub(bare.len());
    for piece in FILLER.chars().cycle() {
        // What it takes once it is quoted.
        let takes = if matches!(piece, '"' | '\n') { 2 } else { 1 };
        if room < takes {
            break;
        }
        room -= takes;
        text.push(piece);
    }
    Bytes::from(body(session, &text, ask))
}

fn body(session: &str, text: &str, ask: &str) -> String {
    json!({
        "model": "gpt-5.5",
        "instructions": "You are a coding agent that works in a terminal on the user's machine.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ask}]},
        ],
        "tools": [{
            "type": "function",
            "name": "exec_command",
            "description": "Runs a command and returns its output.",
            "strict": false,
            "parameters": {
                "type": "object",
                "properties": {
                    "cmd": {"type": "string", "description": "The command to run."},
                    "workdir": {"type": "string", "description": "Where to run it."},
                },
                "required": ["cmd"],
                "additionalProperties": false,
            },
        }],
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": false,
        "stream": true,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": session,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_json_of_the_size_asked_for() {
        for size in [2 * 1024, 64 * 1024] {
            let turn = turn("s-1", size, SHORT_ANSWER);
            assert!((size - 2..=size).contains(&turn.len()), "{}", turn.len());
            let read: serde_json::Value = serde_json::from_slice(&turn).unwrap();
            assert_eq!(read["prompt_cache_key"], "s-1");
        }
        let text = String::from_utf8(turn("s-1", 64 * 1024, SHORT_ANSWER).to_vec()).unwrap();
        assert!(!text.contains("stream "), "the filler must not command the lab");
    }
}
