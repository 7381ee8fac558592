//! What the operator decided about one extension. What is not decided is as its manifest asks.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hooks::{Attachment, Failing, Mode};

/// What the operator decided about one extension; kept sealed among the settings.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Placement {
    /// Whether it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Lower ones run first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,
    /// Whether its answers are carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What becomes of a request when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Failing>,
    /// Only these routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<String>>,
    /// Only client keys in these groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Only these client keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<String>>,
    /// Only these asked models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Its configuration; its own defaults unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
    /// The capabilities it is lent, of those it asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// Where it may send requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_out: Vec<String>,
    /// The secrets it may read, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Whether the operator answers for it although nobody signed it.
    #[serde(skip_serializing_if = "is_false")]
    pub raised: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Placement {
    /// Where it is attached when it asks for this.
    #[must_use]
    pub fn attachments(&self, asked: &[Attachment]) -> Vec<Attachment> {
        let list = |decided: &Option<Vec<String>>, asked: &[String]| {
            decided.clone().unwrap_or_else(|| asked.to_vec())
        };
        let placed = |one: &Attachment| Attachment {
            hook: one.hook,
            order: self.order.unwrap_or(one.order),
            mode: self.mode.unwrap_or(one.mode),
            failing: self.on_failure.unwrap_or(one.failing),
            routes: list(&self.routes, &one.routes),
            groups: list(&self.groups, &one.groups),
            clients: list(&self.clients, &one.clients),
            models: list(&self.models, &one.models),
        };
        asked.iter().map(placed).collect()
    }

    /// Whether another decision asks for the extension to be loaded anew.
    pub(super) fn loads_like(&self, other: &Self) -> bool {
        // What is switched off need not stay loaded.
        (self.enabled, &self.config, &self.grants, &self.http_out, &self.secrets, self.raised)
            == (other.enabled, &other.config, &other.grants, &other.http_out, &other.secrets, other.raised)
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A configuration may hold words nobody should read in a log, and secrets always do.
        f.debug_struct("Placement")
            .field("enabled", &self.enabled)
            .field("order", &self.order)
            .field("mode", &self.mode)
            .field("on_failure", &self.on_failure)
            .field("grants", &self.grants)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
