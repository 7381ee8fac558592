//! Chat's tools and tool choices, read and written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::openai::{choice_mode, keep_allowed, named};
use crate::turn::{Dialect, Dropped, Json, Opaque, Tool, ToolChoice, ToolKind, TurnError};
use crate::wire::{self, Object};

#[derive(Deserialize)]
struct WireTool<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    custom: Option<Custom<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Custom<'a> {
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    format: Option<Format<'a>>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    grammar: Option<Grammar<'a>>,
}

#[derive(Deserialize)]
struct Grammar<'a> {
    #[serde(borrow)]
    syntax: &'a RawValue,
    #[serde(borrow)]
    definition: &'a RawValue,
}

/// Reads `tools`.
pub(super) fn decode_tools(text: &str) -> Result<Vec<Tool>, TurnError> {
    let raws: Vec<&RawValue> = wire::read(text, "tools")?;
    raws.into_iter().enumerate().map(|(nth, raw)| decode_tool(raw, &format!("tools[{nth}]"))).collect()
}

fn decode_tool(raw: &RawValue, path: &str) -> Result<Tool, TurnError> {
    let Object::<WireTool<'_>>(tool) = wire::read(raw.get(), path)?;
    match tool.kind.as_deref() {
        Some("function") => {
            let function = tool.function.ok_or_else(|| TurnError::missing(format!("{path}.function")))?;
            let parameters = function.parameters.filter(|schema| schema.get() != "null");
            if parameters.is_some_and(|schema| !schema.get().starts_with('{')) {
                return Err(TurnError::invalid(format!("{path}.function.parameters"), "must be an object"));
            }
            Ok(Tool::Function {
                name: named(function.name, &format!("{path}.function.name"))?,
                namespace: None,
                description: function.description,
                parameters: parameters.map(ToOwned::to_owned),
                strict: function.strict,
            })
        }
        Some("custom") => {
            let custom = tool.custom.ok_or_else(|| TurnError::missing(format!("{path}.custom")))?;
            Ok(Tool::Custom {
                name: named(custom.name, &format!("{path}.custom.name"))?,
                namespace: None,
                description: custom.description,
                format: custom.format.and_then(|format| format.grammar).and_then(flat_grammar),
            })
        }
        // Not chat's own, but sent by clients that know both dialects.
        Some(kind @ ("web_search" | "web_search_preview")) => Ok(Tool::Hosted(Opaque {
            dialect: Dialect::OpenAiResponses,
            kind: kind.to_owned(),
            raw: raw.to_owned(),
        })),
        Some(_) => Err(TurnError::invalid(format!("{path}.type"), "must be `function` or `custom`")),
        None => Err(TurnError::missing(format!("{path}.type"))),
    }
}

/// Chat nests what responses writes flat.
fn flat_grammar(grammar: Grammar<'_>) -> Option<Json> {
    let Grammar { syntax, definition } = grammar;
    wire::json(&format!(
        r#"{{"type":"grammar","syntax":{},"definition":{}}}"#,
        syntax.get(),
        definition.get()
    ))
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<Name>,
    custom: Option<Name>,
    allowed_tools: Option<Allowed>,
}

#[derive(Deserialize)]
struct Name {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Allowed {
    mode: Option<String>,
    #[serde(default)]
    tools: Vec<WireChoice>,
}

/// Reads `tool_choice`; an allowed set is applied to the tools.
pub(super) fn decode_choice(text: &str, tools: &mut Vec<Tool>) -> Result<ToolChoice, TurnError> {
    let path = "tool_choice";
    if text.starts_with('"') {
        return choice_mode(wire::read::<String>(text, path)?.as_str(), path);
    }
    let Object::<WireChoice>(choice) = wire::read(text, path)?;
    let name = |holder: Option<Name>, member: &str| {
        named(holder.and_then(|holder| holder.name), &format!("{path}.{member}.name"))
    };
    match choice.kind.as_deref() {
        Some("function") => {
            Ok(ToolChoice::Tool { kind: ToolKind::Function, name: name(choice.function, "function")? })
        }
        Some("custom") => {
            Ok(ToolChoice::Tool { kind: ToolKind::Custom, name: name(choice.custom, "custom")? })
        }
        Some("allowed_tools") => {
            let allowed =
                choice.allowed_tools.ok_or_else(|| TurnError::missing(format!("{path}.allowed_tools")))?;
            let names: Vec<String> = allowed
                .tools
                .into_iter()
                .filter_map(|tool| tool.function.or(tool.custom).and_then(|holder| holder.name))
                .collect();
            keep_allowed(tools, &names);
            choice_mode(allowed.mode.as_deref().unwrap_or("auto"), "tool_choice.allowed_tools.mode")
        }
        Some(_) => {
            Err(TurnError::invalid("tool_choice.type", "must be `function`, `custom` or `allowed_tools`"))
        }
        None => Err(TurnError::missing("tool_choice.type")),
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToolOut<'a> {
    Function { function: FunctionOut<'a> },
    Custom { custom: CustomOut<'a> },
}

#[derive(Serialize)]
pub(super) struct FunctionOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct CustomOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Json>,
}

/// Writes `tools`. Hosted tools have no counterpart.
pub(super) fn encode_tools<'a>(tools: &'a [Tool], dropped: &mut Dropped) -> Vec<ToolOut<'a>> {
    let mut out = Vec::with_capacity(tools.len());
    for tool in tools {
        match tool {
            Tool::Function { name, description, parameters, strict, .. } => {
                let function = FunctionOut {
                    name,
                    description: description.as_deref(),
                    parameters: parameters.as_deref(),
                    strict: *strict,
                };
                out.push(ToolOut::Function { function });
            }
            Tool::Custom { name, description, format, .. } => {
                let format = format.as_deref().and_then(nested_grammar);
                out.push(ToolOut::Custom {
                    custom: CustomOut { name, description: description.as_deref(), format },
                });
            }
            Tool::Hosted(hosted) => {
                dropped.note(format!("tools: `{}` has no counterpart in openai-chat", hosted.kind));
            }
        }
    }
    out
}

fn nested_grammar(flat: &RawValue) -> Option<Json> {
    let Grammar { syntax, definition } = serde_json::from_str(flat.get()).ok()?;
    wire::json(&format!(
        r#"{{"type":"grammar","grammar":{{"syntax":{},"definition":{}}}}}"#,
        syntax.get(),
        definition.get()
    ))
}

/// A tool that must be called, as `tool_choice` names it.
pub(super) fn forced(kind: ToolKind, name: &str) -> Value {
    match kind {
        ToolKind::Function => json!({ "type": "function", "function": { "name": name } }),
        ToolKind::Custom => json!({ "type": "custom", "custom": { "name": name } }),
    }
}
