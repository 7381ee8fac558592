//! A stream's events on the wire: their members and what each of them does.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::{WirePart, WireUsage};

#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) output_index: Option<u64>,
    pub(super) content_index: Option<u64>,
    pub(super) item_id: Option<String>,
    pub(super) delta: Option<String>,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) arguments: Option<String>,
    pub(super) input: Option<String>,
    pub(super) summary_index: Option<u64>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    pub(super) part: Option<WirePart>,
    #[serde(borrow)]
    pub(super) response: Option<WireResponse<'a>>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// The parts of a response object that matter; the rest repeats the request.
#[derive(Deserialize)]
pub(super) struct WireResponse<'a> {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) created_at: Option<f64>,
    pub(super) service_tier: Option<String>,
    pub(super) status: Option<String>,
    pub(super) incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    pub(super) usage: Option<WireUsage>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct Incomplete {
    pub(super) reason: Option<String>,
}

/// What an event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Lifecycle,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    Text,
    TextDone,
    Refusal,
    RefusalDone,
    SummaryPart,
    Summary,
    SummaryDone,
    Chain,
    ChainDone,
    Arguments,
    ArgumentsDone,
    Terminal,
    Failed,
    Other,
}

impl Step {
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => Self::Lifecycle,
            "response.output_item.added" => Self::ItemAdded,
            "response.output_item.done" => Self::ItemDone,
            "response.content_part.added" => Self::PartAdded,
            "response.content_part.done" => Self::PartDone,
            "response.output_text.delta" | "response.text.delta" => Self::Text,
            "response.output_text.done" => Self::TextDone,
            "response.refusal.delta" => Self::Refusal,
            "response.refusal.done" => Self::RefusalDone,
            "response.reasoning_summary_part.added" => Self::SummaryPart,
            "response.reasoning_summary_text.delta" => Self::Summary,
            "response.reasoning_summary_text.done" => Self::SummaryDone,
            "response.reasoning_text.delta" => Self::Chain,
            "response.reasoning_text.done" => Self::ChainDone,
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                Self::Arguments
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                Self::ArgumentsDone
            }
            "response.completed" | "response.done" | "response.incomplete" => Self::Terminal,
            "response.failed" | "response.cancelled" | "error" => Self::Failed,
            _ => Self::Other,
        }
    }
}
