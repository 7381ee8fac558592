//! Another model, and another effort, for a request: the members that say so in each dialect.

use super::splice::{quoted, written};
use crate::json::Members;
use crate::turn::Dialect;

/// The body with this model, and with this reasoning effort if one is given. `None` when it is no JSON object.
#[must_use]
pub fn retarget(dialect: Dialect, body: &[u8], model: &str, effort: Option<&str>) -> Option<Vec<u8>> {
    let mut members = Members::read(body).ok()?;
    members.set("model", quoted(model));
    if let Some(effort) = effort {
        match dialect {
            Dialect::OpenAiResponses => set_inside(&mut members, "reasoning", effort),
            Dialect::OpenAiChat => members.set("reasoning_effort", quoted(effort)),
            Dialect::AnthropicMessages => set_inside(&mut members, "output_config", effort),
        }
    }
    Some(members.write())
}

/// The effort that a request asks for.
#[must_use]
pub(super) fn effort(dialect: Dialect, members: &Members<'_>) -> Option<String> {
    let inside = |name: &str| {
        let inner = super::splice::members(members.get(name)?);
        super::splice::text_member(&inner, "effort")
    };
    match dialect {
        Dialect::OpenAiResponses => inside("reasoning"),
        Dialect::OpenAiChat => super::splice::text_member(members, "reasoning_effort"),
        Dialect::AnthropicMessages => inside("output_config"),
    }
}

fn set_inside(members: &mut Members<'_>, name: &'static str, effort: &str) {
    let mut inner = super::splice::members(members.get(name).unwrap_or_default());
    inner.set("effort", quoted(effort));
    let inner = written(&inner);
    members.set(name, inner);
}
