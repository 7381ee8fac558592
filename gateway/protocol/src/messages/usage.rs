//! Tokens and stop reasons, both ways. What cannot be read is absent: a count never fails an answer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::turn::{StopReason, Usage};

/// Counts as an upstream tells them, piece by piece: `message_start` knows the input, `message_delta` the output.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Reads a `usage` object; says whether it was one.
    pub(super) fn read(raw: Option<&RawValue>) -> Option<Self> {
        serde_json::from_str::<Option<Self>>(raw?.get()).ok().flatten()
    }

    /// Takes what a later event tells. Counts are cumulative, so the later one wins.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    /// Whether the upstream told any.
    pub(super) const fn are_told(&self) -> bool {
        self.input_tokens.is_some() || self.output_tokens.is_some()
    }

    /// The three input counts of this dialect exclude each other; ours includes all.
    pub(super) fn usage(self) -> Usage {
        let input_cached = self.cache_read_input_tokens.unwrap_or(0);
        let cache_creation = self.cache_creation_input_tokens.unwrap_or(0);
        let uncached = self.input_tokens.unwrap_or(0);
        Usage {
            input: uncached.saturating_add(input_cached).saturating_add(cache_creation),
            input_cached,
            cache_creation,
            output: self.output_tokens.unwrap_or(0),
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0),
        }
    }
}

/// Counts as clients read them. All four are always there: an SDK adds them up without asking.
#[derive(Debug, Serialize)]
pub(super) struct WireUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<WireDetails>,
}

#[derive(Debug, Serialize)]
struct WireDetails {
    thinking_tokens: u64,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input.saturating_sub(usage.input_cached).saturating_sub(usage.cache_creation),
            cache_creation_input_tokens: usage.cache_creation,
            cache_read_input_tokens: usage.input_cached,
            output_tokens: usage.output,
            output_tokens_details: (usage.reasoning > 0)
                .then_some(WireDetails { thinking_tokens: usage.reasoning }),
        }
    }
}

/// What a `stop_reason` means. `None` while the answer goes on.
pub(super) fn read_stop(reason: Option<&str>, sequence: Option<String>) -> Option<StopReason> {
    Some(match reason? {
        "end_turn" => StopReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "stop_sequence" => StopReason::StopSequence(sequence),
        "refusal" => StopReason::ContentFilter,
        "pause_turn" => StopReason::Pause,
        newer => StopReason::Unknown(newer.to_owned()),
    })
}

/// What the blocks of an answer say about its end, where the upstream's reason is coarser than ours.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    pub(super) tool_use: bool,
    pub(super) refusal: bool,
}

/// The end as clients read it.
#[derive(Debug, Serialize)]
pub(super) struct WireStop<'a> {
    pub(super) stop_reason: &'a str,
    pub(super) stop_sequence: Option<&'a str>,
}

/// The `stop_reason` and `stop_sequence` of an end. An OpenAI answer with tool calls or a refusal ends with a plain
/// stop; clients of this dialect look at the reason before they look at the blocks.
pub(super) fn write_stop(stop: &StopReason, seen: Seen) -> WireStop<'_> {
    let (stop_reason, stop_sequence) = match stop {
        StopReason::Stop if seen.tool_use => ("tool_use", None),
        StopReason::Stop if seen.refusal => ("refusal", None),
        StopReason::Stop => ("end_turn", None),
        StopReason::Length => ("max_tokens", None),
        StopReason::ToolCalls => ("tool_use", None),
        StopReason::ContentFilter => ("refusal", None),
        StopReason::StopSequence(sequence) => ("stop_sequence", sequence.as_deref()),
        StopReason::Pause => ("pause_turn", None),
        StopReason::Unknown(reason) => (reason.as_str(), None),
    };
    WireStop { stop_reason, stop_sequence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_counts_are_added_up_and_taken_apart_again() {
        let raw = r#"{"input_tokens":200,"cache_read_input_tokens":800,"cache_creation_input_tokens":50,
            "output_tokens":7,"output_tokens_details":{"thinking_tokens":3},"server_tool_use":{"x":1}}"#;
        let counts = Counts::read(Some(serde_json::from_str(raw).unwrap())).unwrap();
        let usage = counts.usage();
        assert_eq!((usage.input, usage.input_cached, usage.cache_creation), (1_050, 800, 50));
        let wire = serde_json::to_value(WireUsage::from(usage)).unwrap();
        assert_eq!(wire["input_tokens"], 200);
        assert_eq!(wire["cache_read_input_tokens"], 800);
        assert_eq!(wire["output_tokens_details"]["thinking_tokens"], 3);
    }

    #[test]
    fn later_counts_win_and_unreadable_ones_are_absent() {
        let read = |text: &str| Counts::read(Some(serde_json::from_str(text).unwrap()));
        let mut counts = read(r#"{"input_tokens":10,"output_tokens":1}"#).unwrap();
        counts.update(read(r#"{"output_tokens":9}"#).unwrap());
        assert_eq!((counts.usage().input, counts.usage().output), (10, 9));
        for odd in ["null", "7", r#"{"input_tokens":-1}"#, r#"{"input_tokens":"x"}"#] {
            assert!(read(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn every_stop_reason_survives_the_way_through() {
        for (wire, sequence) in [
            ("end_turn", None),
            ("max_tokens", None),
            ("tool_use", None),
            ("stop_sequence", Some("END")),
            ("refusal", None),
            ("pause_turn", None),
            ("compaction", None),
        ] {
            let stop = read_stop(Some(wire), sequence.map(str::to_owned)).unwrap();
            let back = write_stop(&stop, Seen::default());
            assert_eq!((back.stop_reason, back.stop_sequence), (wire, sequence));
        }
        assert_eq!(read_stop(None, None), None);
        assert_eq!(read_stop(Some("model_context_window_exceeded"), None), Some(StopReason::Length));
    }

    #[test]
    fn a_plain_stop_says_what_the_blocks_say() {
        let tools = Seen { tool_use: true, refusal: false };
        let refused = Seen { tool_use: false, refusal: true };
        assert_eq!(write_stop(&StopReason::Stop, tools).stop_reason, "tool_use");
        assert_eq!(write_stop(&StopReason::Stop, refused).stop_reason, "refusal");
        assert_eq!(write_stop(&StopReason::Length, tools).stop_reason, "max_tokens");
    }
}
