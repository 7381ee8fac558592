//! Responses' tools and tool choices, read and written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::openai::{choice_mode, keep_allowed, named};
use crate::turn::{Dialect, Dropped, Opaque, Tool, ToolChoice, ToolKind, TurnError};
use crate::wire::{self, Object};

/// How deep namespaces may nest; the API knows one level.
const MAX_NESTING: usize = 2;

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
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
    format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Namespace<'a> {
    name: Option<String>,
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
}

/// Reads a list of tools; those in namespaces come out one by one.
pub(super) fn decode_tools(text: &str, path: &str, out: &mut Vec<Tool>) -> Result<(), TurnError> {
    let raws: Vec<&RawValue> = wire::read(text, path)?;
    for (nth, raw) in raws.into_iter().enumerate() {
        decode_tool(raw, &format!("{path}[{nth}]"), None, 0, out)?;
    }
    Ok(())
}

fn decode_tool(
    raw: &RawValue,
    path: &str,
    namespace: Option<&str>,
    depth: usize,
    out: &mut Vec<Tool>,
) -> Result<(), TurnError> {
    let Object(Kind { kind }) = wire::read(raw.get(), path)?;
    let name_path = || format!("{path}.name");
    let namespace_owned = || namespace.map(str::to_owned);
    match kind.as_deref() {
        Some("function") => {
            let function: Function<'_> = wire::read(raw.get(), path)?;
            let parameters = function.parameters.filter(|schema| schema.get() != "null");
            if parameters.is_some_and(|schema| !schema.get().starts_with('{')) {
                return Err(TurnError::invalid(format!("{path}.parameters"), "must be an object"));
            }
            out.push(Tool::Function {
                name: named(function.name, &name_path())?,
                namespace: namespace_owned(),
                description: function.description,
                parameters: parameters.map(ToOwned::to_owned),
                strict: function.strict,
            });
        }
        Some("custom") => {
            let custom: Custom<'_> = wire::read(raw.get(), path)?;
            out.push(Tool::Custom {
                name: named(custom.name, &name_path())?,
                namespace: namespace_owned(),
                description: custom.description,
                format: custom.format.filter(|format| format.get() != "null").map(ToOwned::to_owned),
            });
        }
        Some("namespace") if depth < MAX_NESTING => {
            let space: Namespace<'_> = wire::read(raw.get(), path)?;
            let name = named(space.name, &name_path())?;
            for (nth, tool) in space.tools.into_iter().enumerate() {
                decode_tool(tool, &format!("{path}.tools[{nth}]"), Some(&name), depth + 1, out)?;
            }
        }
        Some("namespace") => return Err(TurnError::invalid(path, "namespaces do not nest")),
        Some(kind) => {
            let kind = kind.to_owned();
            out.push(Tool::Hosted(Opaque { dialect: Dialect::OpenAiResponses, kind, raw: raw.to_owned() }));
        }
        None => return Err(TurnError::missing(format!("{path}.type"))),
    }
    Ok(())
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    tools: Vec<AllowedTool>,
}

#[derive(Deserialize)]
struct AllowedTool {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
}

/// Reads `tool_choice`; an allowed set is applied to the tools.
pub(super) fn decode_choice(text: &str, tools: &mut Vec<Tool>) -> Result<ToolChoice, TurnError> {
    let path = "tool_choice";
    if text.starts_with('"') {
        return choice_mode(wire::read::<String>(text, path)?.as_str(), path);
    }
    let Object::<WireChoice>(choice) = wire::read(text, path)?;
    match choice.kind {
        Some(kind) if kind == "function" || kind == "custom" => {
            let kind = if kind == "custom" { ToolKind::Custom } else { ToolKind::Function };
            Ok(ToolChoice::Tool { kind, name: named(choice.name, "tool_choice.name")? })
        }
        Some(kind) if kind == "allowed_tools" => {
            let names: Vec<String> =
                choice.tools.into_iter().filter_map(|tool| tool.name.or(tool.kind)).collect();
            keep_allowed(tools, &names);
            choice_mode(choice.mode.as_deref().unwrap_or("auto"), "tool_choice.mode")
        }
        Some(kind) => {
            let raw = wire::json(text).ok_or_else(|| TurnError::invalid(path, "cannot be read"))?;
            Ok(ToolChoice::Opaque(Opaque { dialect: Dialect::OpenAiResponses, kind, raw }))
        }
        None => Err(TurnError::missing("tool_choice.type")),
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OwnTool<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        /// The API demands both.
        parameters: &'a RawValue,
        strict: bool,
    },
    Custom {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<&'a RawValue>,
    },
    WebSearch,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ToolOut<'a> {
    #[expect(private_interfaces, reason = "written, never looked into")]
    Own(OwnTool<'a>),
    Hosted(&'a RawValue),
}

/// Writes `tools`. `no_parameters` is the schema of functions without one.
pub(super) fn encode_tools<'a>(
    tools: &'a [Tool],
    no_parameters: &'a RawValue,
    dropped: &mut Dropped,
) -> Vec<ToolOut<'a>> {
    let mut out = Vec::with_capacity(tools.len());
    for tool in tools {
        out.push(match tool {
            Tool::Function { name, description, parameters, strict, .. } => ToolOut::Own(OwnTool::Function {
                name,
                description: description.as_deref(),
                parameters: parameters.as_deref().unwrap_or(no_parameters),
                // Left out it would mean true here and false where the request came from.
                strict: strict.unwrap_or(false),
            }),
            Tool::Custom { name, description, format, .. } => ToolOut::Own(OwnTool::Custom {
                name,
                description: description.as_deref(),
                format: format.as_deref(),
            }),
            Tool::Hosted(hosted) if hosted.dialect == Dialect::OpenAiResponses => {
                ToolOut::Hosted(&hosted.raw)
            }
            // Searching means the same to every provider; how to search does not.
            Tool::Hosted(hosted) if hosted.kind.starts_with("web_search") => {
                dropped.note(format!("tools: `{}` as `web_search`, without its options", hosted.kind));
                ToolOut::Own(OwnTool::WebSearch)
            }
            Tool::Hosted(hosted) => {
                dropped.note(format!("tools: `{}` has no counterpart in openai-responses", hosted.kind));
                continue;
            }
        });
    }
    out
}

/// A tool that must be called, as `tool_choice` names it.
pub(super) fn forced(kind: ToolKind, name: &str) -> Value {
    match kind {
        ToolKind::Function => json!({ "type": "function", "name": name }),
        ToolKind::Custom => json!({ "type": "custom", "name": name }),
    }
}
