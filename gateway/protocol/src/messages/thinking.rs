//! How much to think: this dialect's `thinking` and `output_config.effort` against one effort word.
//!
//! Reading: an effort that is named counts. Without one, `enabled` is read by its budget, `adaptive` means `high` (that
//! is what the API does when no effort is named), `disabled` means `low`, the least that every reasoning model takes.
//! No `thinking` and no effort leave the choice to the upstream.
//!
//! Writing: newer models take `adaptive` and an effort and refuse budgets, older ones (up to 4.5) the other way round;
//! the model's name tells which. A name that says nothing counts as new, as Claude Code does it.

use serde::{Deserialize, Serialize};

use crate::turn::{Dropped, ReasoningOptions, ToolChoice, TurnError, TurnRequest};

/// The least budget that the API takes.
const MIN_BUDGET: u64 = 1_024;
/// Budgets below the first are `low`, below the second `medium`, the rest is `high`.
const LOW_BELOW: u64 = 4_096;
const MEDIUM_BELOW: u64 = 16_384;

/// `thinking` on the wire.
#[derive(Debug, Deserialize)]
pub(super) struct ThinkingIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    budget_tokens: Option<u64>,
    #[serde(default)]
    display: Option<String>,
}

/// Reads both members into one.
pub(super) fn read(
    thinking: Option<ThinkingIn>,
    effort: Option<String>,
) -> Result<ReasoningOptions, TurnError> {
    let Some(thinking) = thinking else {
        return Ok(ReasoningOptions { effort, summary: None, budget_tokens: None });
    };
    let meant = match (thinking.kind.as_str(), thinking.budget_tokens) {
        ("disabled", _) => Some("low"),
        ("enabled", Some(budget)) if budget < LOW_BELOW => Some("low"),
        ("enabled", Some(budget)) if budget < MEDIUM_BELOW => Some("medium"),
        ("enabled" | "adaptive", _) => Some("high"),
        // As the API does: a client that misspells it would think that it got what it asked for.
        _ => {
            let why = "it must be `enabled`, `adaptive` or `disabled`";
            return Err(TurnError::invalid("thinking.type", why));
        }
    };
    let hidden = thinking.kind == "disabled" || thinking.display.as_deref() == Some("omitted");
    Ok(ReasoningOptions {
        effort: effort.or_else(|| meant.map(str::to_owned)),
        summary: (!hidden).then(|| "auto".to_owned()),
        budget_tokens: thinking.budget_tokens.filter(|_| thinking.kind == "enabled"),
    })
}

/// `thinking` as it is sent.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum ThinkingOut {
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    Disabled,
}

/// What to send about thinking.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) thinking: Option<ThinkingOut>,
    pub(super) effort: Option<String>,
}

impl Plan {
    /// Whether sampling is restricted by it.
    pub(super) const fn thinks(&self) -> bool {
        matches!(self.thinking, Some(ThinkingOut::Enabled { .. } | ThinkingOut::Adaptive { .. }))
    }
}

/// Decides what to send. `resumes_tools` says that the conversation ends in a tool's answer whose assistant turn has
/// no thinking of this provider; with a budget the API refuses that.
pub(super) fn plan(
    request: &TurnRequest,
    max_tokens: u64,
    resumes_tools: bool,
    dropped: &mut Dropped,
) -> Plan {
    let asked = &request.reasoning;
    if asked.effort.is_none() && asked.budget_tokens.is_none() {
        return Plan::default();
    }
    // A forced tool and thinking exclude each other; the choice of the tool is the stronger wish.
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool { .. })) {
        dropped.note("reasoning: not together with a forced tool");
        return Plan::default();
    }
    if asked.effort.as_deref() == Some("none") {
        return Plan { thinking: Some(ThinkingOut::Disabled), effort: None };
    }
    if takes_budget(&request.model) {
        budget_plan(asked, max_tokens, resumes_tools, dropped)
    } else {
        let effort = asked.effort.as_deref().map(|effort| if effort == "minimal" { "low" } else { effort });
        let display = asked.summary.is_some().then_some("summarized");
        Plan { thinking: Some(ThinkingOut::Adaptive { display }), effort: effort.map(str::to_owned) }
    }
}

fn budget_plan(
    asked: &ReasoningOptions,
    max_tokens: u64,
    resumes_tools: bool,
    dropped: &mut Dropped,
) -> Plan {
    if resumes_tools {
        dropped.note("reasoning: the tool calls being answered carry no thinking of this provider");
        return Plan::default();
    }
    let budget = asked.budget_tokens.unwrap_or_else(|| budget_of(asked.effort.as_deref()));
    // The budget is part of `max_tokens` and must be less; at most four fifths leave room for the answer.
    let budget = budget.min(max_tokens / 5 * 4);
    if budget < MIN_BUDGET {
        dropped.note("reasoning: max_tokens leaves no room for it");
        return Plan::default();
    }
    Plan { thinking: Some(ThinkingOut::Enabled { budget_tokens: budget }), effort: None }
}

fn budget_of(effort: Option<&str>) -> u64 {
    match effort {
        Some("minimal") => MIN_BUDGET,
        Some("low") => 2_048,
        Some("medium") => 8_192,
        Some("xhigh" | "max") => 31_999,
        _ => 16_384,
    }
}

/// Whether the model knows budgets instead of `adaptive`: version 4.5 and before.
fn takes_budget(model: &str) -> bool {
    match version(model) {
        Some((major, minor)) => (major, minor) <= (4, 5),
        None => false,
    }
}

/// `claude-sonnet-4-5-20250929` → (4, 5), `claude-3-7-sonnet-latest` → (3, 7), `claude-opus-4-20250514` → (4, 0).
fn version(model: &str) -> Option<(u32, u32)> {
    let name = model.rsplit('/').next().unwrap_or(model).split('@').next()?;
    let mut numbers = name
        .strip_prefix("claude-")?
        .split(['-', '.'])
        .map(|word| word.parse::<u32>().ok().filter(|number| *number < 1_000))
        .skip_while(Option::is_none);
    let major = numbers.next().flatten()?;
    Some((major, numbers.next().flatten().unwrap_or(0)))
}

/// The `max_tokens` to send where the caller named none; the API has no default of its own. 32,000 is what Claude Code
/// sends to a model it does not know; the oldest models take less.
pub(super) fn default_max_tokens(model: &str) -> u64 {
    match version(model) {
        Some((0..=2, _) | (3, 0)) => 4_096,
        Some((3, 5 | 6)) => 8_192,
        _ => 32_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinking(kind: &str, budget_tokens: Option<u64>, display: Option<&str>) -> Option<ThinkingIn> {
        Some(ThinkingIn { kind: kind.to_owned(), budget_tokens, display: display.map(str::to_owned) })
    }

    #[test]
    fn one_effort_comes_of_all_the_ways_to_say_it() {
        for (asked, effort, expected, shown) in [
            (None, None, None, false),
            (None, Some("max"), Some("max"), false),
            (thinking("adaptive", None, Some("updates")), Some("medium"), Some("medium"), true),
            (thinking("adaptive", None, None), None, Some("high"), true),
            (thinking("adaptive", None, Some("omitted")), None, Some("high"), false),
            (thinking("enabled", Some(30_000), None), None, Some("high"), true),
            (thinking("enabled", Some(8_000), None), None, Some("medium"), true),
            (thinking("enabled", Some(1_024), None), None, Some("low"), true),
            (thinking("disabled", None, None), None, Some("low"), false),
            (thinking("disabled", None, None), Some("high"), Some("high"), false),
        ] {
            let read = read(asked, effort.map(str::to_owned)).unwrap();
            assert_eq!(read.effort.as_deref(), expected);
            assert_eq!(read.summary.is_some(), shown);
        }
        let unknown = read(thinking("hard", None, None), None).unwrap_err();
        assert_eq!(unknown.param(), Some("thinking.type"));
    }

    fn asked(model: &str, effort: &str) -> TurnRequest {
        let mut request = TurnRequest { model: model.to_owned(), ..TurnRequest::default() };
        request.reasoning.effort = Some(effort.to_owned());
        request
    }

    #[test]
    fn a_model_gets_the_kind_of_thinking_it_takes() {
        for (model, old) in [
            ("claude-sonnet-4-5-20250929", true),
            ("claude-3-7-sonnet-latest", true),
            ("claude-opus-4-20250514", true),
            ("claude-opus-4-5@20251101", true),
            ("anthropic/claude-haiku-4.5", true),
            ("claude-opus-4-6", false),
            ("claude-fable-5-2", false),
            ("claude-next", false),
            ("some-other-model", false),
        ] {
            let plan = plan(&asked(model, "high"), 32_000, false, &mut Dropped::default());
            let budget = matches!(plan.thinking, Some(ThinkingOut::Enabled { .. }));
            assert_eq!(budget, old, "{model}");
            assert_eq!(plan.effort.is_none(), old, "{model}");
        }
    }

    #[test]
    fn what_the_api_would_refuse_is_left_out_and_noted() {
        let mut forced = asked("claude-opus-5-5", "high");
        forced.tool_choice = Some(ToolChoice::Required);
        let old = || asked("claude-sonnet-4-5", "max");
        for (request, max_tokens, resumes) in
            [(forced, 32_000, false), (old(), 1_000, false), (old(), 32_000, true)]
        {
            let mut dropped = Dropped::default();
            assert_eq!(plan(&request, max_tokens, resumes, &mut dropped), Plan::default());
            assert_eq!(dropped.notes().len(), 1);
        }
        let fits = plan(&old(), 10_000, false, &mut Dropped::default());
        assert_eq!(fits.thinking, Some(ThinkingOut::Enabled { budget_tokens: 8_000 }));
        let off = plan(&asked("claude-opus-5-5", "none"), 10_000, false, &mut Dropped::default());
        assert_eq!(off.thinking, Some(ThinkingOut::Disabled));
    }

    #[test]
    fn old_models_get_a_default_they_can_serve() {
        for (model, tokens) in [
            ("claude-3-haiku-20240307", 4_096),
            ("claude-3-5-sonnet-latest", 8_192),
            ("claude-opus-5-5", 32_000),
        ] {
            assert_eq!(default_max_tokens(model), tokens, "{model}");
        }
    }
}
