//! Tools that a target cannot express: namespaces become part of the name, custom tools become functions with one text
//! argument; and back again in the answer.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{BlockStart, Delta, TurnEvent};
use super::request::{Item, Tool, ToolChoice, ToolKind, TurnRequest};

/// What the flattened names stand for. Empty when nothing was flattened; then events pass untouched.
#[derive(Debug, Clone, Default)]
pub struct ToolNames {
    names: HashMap<String, Original>,
    /// Calls being unwrapped, by block index: the arguments so far.
    unwrapping: HashMap<u32, String>,
}

#[derive(Debug, Clone)]
struct Original {
    namespace: Option<String>,
    name: String,
    kind: ToolKind,
}

/// The one argument of a function that stands for a custom tool.
const INPUT_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

impl ToolNames {
    /// Whether [`ToolNames::flatten`] would change anything.
    #[must_use]
    pub fn is_needed(request: &TurnRequest) -> bool {
        let odd_tool = |tool: &Tool| match tool {
            Tool::Function { namespace, .. } => namespace.is_some(),
            Tool::Custom { .. } => true,
            Tool::Hosted(_) => false,
        };
        let odd_item = |item: &Item| match item {
            Item::ToolCall(call) => call.kind == ToolKind::Custom || call.namespace.is_some(),
            Item::ToolOutput(output) => output.kind == ToolKind::Custom,
            _ => false,
        };
        request.tools.iter().any(odd_tool)
            || request.input.iter().any(odd_item)
            || matches!(request.tool_choice, Some(ToolChoice::Tool { kind: ToolKind::Custom, .. }))
    }

    /// Rewrites a request so that it has functions without namespaces only.
    #[must_use]
    pub fn flatten(request: &mut TurnRequest) -> Self {
        let mut names = Self::default();
        for tool in &mut request.tools {
            names.flatten_tool(tool);
        }
        for item in &mut request.input {
            match item {
                Item::ToolCall(call) if call.kind == ToolKind::Custom || call.namespace.is_some() => {
                    call.name = wire_name(call.namespace.take().as_deref(), &call.name);
                    if call.kind == ToolKind::Custom {
                        call.arguments = serde_json::json!({ "input": call.arguments }).to_string();
                        call.kind = ToolKind::Function;
                    }
                }
                Item::ToolOutput(output) => output.kind = ToolKind::Function,
                _ => {}
            }
        }
        if let Some(ToolChoice::Tool { kind, .. }) = &mut request.tool_choice {
            *kind = ToolKind::Function;
        }
        names
    }

    fn flatten_tool(&mut self, tool: &mut Tool) {
        let (original, description, format) = match tool {
            Tool::Function { name, namespace, .. } => {
                let Some(space) = namespace.take() else { return };
                let original =
                    Original { namespace: Some(space), name: name.clone(), kind: ToolKind::Function };
                *name = wire_name(original.namespace.as_deref(), name);
                self.names.insert(name.clone(), original);
                return;
            }
            Tool::Custom { name, namespace, description, format } => (
                Original { namespace: namespace.take(), name: name.clone(), kind: ToolKind::Custom },
                description.take(),
                format.take(),
            ),
            Tool::Hosted(_) => return,
        };
        let name = wire_name(original.namespace.as_deref(), &original.name);
        self.names.insert(name.clone(), original);
        *tool = Tool::Function {
            name,
            namespace: None,
            description: described(description, format.as_deref()),
            parameters: RawValue::from_string(INPUT_SCHEMA.to_owned()).ok(),
            strict: None,
        };
    }

    /// Puts the original names and shapes back into an answer's event.
    pub fn restore(&mut self, event: TurnEvent, mut show: impl FnMut(TurnEvent)) {
        if self.names.is_empty() {
            return show(event);
        }
        match event {
            TurnEvent::BlockStart { index, block: BlockStart::ToolCall { id, name, namespace, kind } } => {
                let block = match self.names.get(&name) {
                    Some(original) => {
                        if original.kind == ToolKind::Custom && kind == ToolKind::Function {
                            self.unwrapping.insert(index, String::new());
                        }
                        BlockStart::ToolCall {
                            id,
                            name: original.name.clone(),
                            namespace: original.namespace.clone(),
                            kind: original.kind,
                        }
                    }
                    None => BlockStart::ToolCall { id, name, namespace, kind },
                };
                show(TurnEvent::BlockStart { index, block });
            }
            TurnEvent::Delta { index, delta: Delta::Arguments(more) } => {
                match self.unwrapping.get_mut(&index) {
                    // JSON text cannot be unwrapped piece by piece without a parser of halves; a call is small.
                    Some(arguments) => arguments.push_str(&more),
                    None => show(TurnEvent::Delta { index, delta: Delta::Arguments(more) }),
                }
            }
            TurnEvent::BlockEnd { index } => {
                if let Some(arguments) = self.unwrapping.remove(&index) {
                    show(TurnEvent::Delta { index, delta: Delta::Arguments(unwrapped(arguments)) });
                }
                show(TurnEvent::BlockEnd { index });
            }
            event => show(event),
        }
    }
}

/// `multi_agent__spawn`. Dots are not allowed in the names of other dialects.
fn wire_name(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |space| format!("{space}__{name}"))
}

/// A grammar cannot be enforced as a function; the model is told it instead.
fn described(description: Option<String>, format: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Grammar {
        syntax: String,
        definition: String,
    }
    let grammar = format.and_then(|format| serde_json::from_str::<Grammar>(format.get()).ok());
    match (description, grammar) {
        (description, None) => description,
        (description, Some(Grammar { syntax, definition })) => {
            let mut text = description.unwrap_or_default();
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str("`input` is free text that must fit this ");
            text.push_str(&syntax);
            text.push_str(" grammar:\n");
            text.push_str(&definition);
            Some(text)
        }
    }
}

/// The free text inside `{"input":".."}`; what a model wrote otherwise is taken as the text itself.
fn unwrapped(arguments: String) -> String {
    #[derive(Deserialize)]
    struct Wrapped {
        input: String,
    }
    serde_json::from_str::<Wrapped>(&arguments).map_or(arguments, |wrapped| wrapped.input)
}
