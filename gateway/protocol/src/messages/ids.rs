//! Ids that clients and upstreams of this dialect take.

/// What an id of an answer begins with in other dialects.
const FOREIGN_PREFIXES: [&str; 3] = ["resp_", "chatcmpl-", "chatcmpl_"];

/// The id of an answer: `msg_` and the upstream's own, or the fallback where it told none.
pub(super) fn message_id(upstream: &str, fallback: &str) -> String {
    let id = if upstream.is_empty() { fallback } else { upstream };
    if id.starts_with("msg_") {
        return id.to_owned();
    }
    let bare = FOREIGN_PREFIXES.iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id);
    format!("msg_{bare}")
}

/// The id of a call, in the letters that the API takes. It goes out and comes back in the same form, so the way back
/// needs no table.
pub(super) fn tool_use_id(id: &str) -> String {
    if id.is_empty() {
        return "toolu_unnamed".to_owned();
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    id.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_an_id_of_this_dialect() {
        for (upstream, id) in [
            ("msg_01", "msg_01"),
            ("resp_68a", "msg_68a"),
            ("chatcmpl-9", "msg_9"),
            ("abc", "msg_abc"),
            ("", "msg_fallback"),
        ] {
            assert_eq!(message_id(upstream, "fallback"), id);
        }
    }

    #[test]
    fn a_calls_id_keeps_to_the_letters_that_are_taken() {
        for (id, clean) in [("call_aZ-9", "call_aZ-9"), ("a.b|c é", "a_b_c__"), ("", "toolu_unnamed")] {
            assert_eq!(tool_use_id(id), clean);
        }
    }
}
