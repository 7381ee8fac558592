//! The models the lab offers, in the form `GET /codex/models` answers: every field Codex refuses to live without.
//! Refuses to know who may use which; accounts say that.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// One model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    pub(crate) slug: &'static str,
    display_name: &'static str,
    description: &'static str,
    /// The oldest Codex that is shown this model.
    minimal_client: (u64, u64, u64),
    context_window: u64,
    priority: i64,
}

/// The catalogue, best first.
pub(crate) const MODELS: [Model; 4] = [
    Model {
        slug: "gpt-5.5",
        display_name: "GPT-5.5",
        description: "The lab's stand-in for the frontier model.",
        minimal_client: (0, 124, 0),
        context_window: 272_000,
        priority: 0,
    },
    Model {
        slug: "gpt-5.4",
        display_name: "GPT-5.4",
        description: "The lab's stand-in for the everyday model.",
        minimal_client: (0, 98, 0),
        context_window: 272_000,
        priority: 2,
    },
    Model {
        slug: "gpt-5.4-mini",
        display_name: "GPT-5.4-Mini",
        description: "The lab's stand-in for the small model.",
        minimal_client: (0, 98, 0),
        context_window: 272_000,
        priority: 4,
    },
    Model {
        slug: "gpt-5.3-codex",
        display_name: "GPT-5.3-Codex",
        description: "The lab's stand-in for the coding model.",
        minimal_client: (0, 98, 0),
        context_window: 272_000,
        priority: 6,
    },
];

const EFFORTS: [(&str, &str); 4] = [
    ("low", "Fast responses with lighter reasoning"),
    ("medium", "Balances speed and reasoning depth"),
    ("high", "Greater reasoning depth for complex problems"),
    ("xhigh", "Extra high reasoning depth"),
];

impl Model {
    fn entry(&self) -> Value {
        let (major, minor, patch) = self.minimal_client;
        let levels: Vec<Value> = EFFORTS
            .iter()
            .map(|(effort, description)| json!({"effort": effort, "description": description}))
            .collect();
        json!({
            "slug": self.slug,
            "display_name": self.display_name,
            "description": self.description,
            "base_instructions": "You are a coding agent that talks to the Switchyard lab.",
            "context_window": self.context_window,
            "max_context_window": self.context_window,
            "effective_context_window_percent": 95,
            "input_modalities": ["text", "image"],
            "supported_reasoning_levels": levels,
            "default_reasoning_level": "medium",
            "supports_reasoning_summaries": true,
            "default_reasoning_summary": "auto",
            "support_verbosity": true,
            "default_verbosity": "low",
            "prefer_websockets": false,
            "supports_parallel_tool_calls": true,
            "supports_image_detail_original": false,
            "supports_search_tool": false,
            "apply_patch_tool_type": "freeform",
            "web_search_tool_type": "text",
            "supported_in_api": true,
            "minimal_client_version": format!("{major}.{minor}.{patch}"),
            "priority": self.priority,
            "available_in_plans": ["plus", "pro", "prolite", "team", "business", "enterprise", "edu"],
            "visibility": "list",
            "shell_type": "shell_command",
            "truncation_policy": {"mode": "tokens", "limit": 10_000},
            "experimental_supported_tools": [],
            "additional_speed_tiers": ["fast"],
            "service_tiers": [{"id": "priority", "name": "Fast", "description": "Faster, more usage"}],
            "default_service_tier": null,
            "availability_nux": null,
            "upgrade": null,
            "model_messages": null,
        })
    }
}

/// Whether the lab has a model of this name.
pub(crate) fn knows(slug: &str) -> bool {
    MODELS.iter().any(|model| model.slug == slug)
}

/// The catalogue for a client of this version and an account with these models (none named means all). A version
/// nobody can read sees everything.
pub(crate) fn body(client_version: Option<&str>, allowed: &[String]) -> Value {
    let version = client_version.and_then(parse_version);
    let allows = |slug: &str| allowed.is_empty() || allowed.iter().any(|name| name == slug);
    let shown = |model: &&Model| allows(model.slug) && version.is_none_or(|v| v >= model.minimal_client);
    let models: Vec<Value> = MODELS.iter().filter(shown).map(Model::entry).collect();
    json!({"models": models})
}

/// A weak tag, as the backend writes it.
pub(crate) fn etag(body: &Value) -> String {
    let digest = Sha256::digest(body.to_string().as_bytes());
    let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{short}\"")
}

fn parse_version(text: &str) -> Option<(u64, u64, u64)> {
    let mut parts = text.splitn(3, '.');
    let mut next = || parts.next()?.split('-').next()?.parse().ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_what_codex_needs() {
        let body = body(Some("0.169.0"), &[]);
        let models = body["models"].as_array().unwrap();
        assert_eq!(models.len(), MODELS.len());
        for model in models {
            for key in [
                "slug",
                "display_name",
                "supported_reasoning_levels",
                "shell_type",
                "visibility",
                "supported_in_api",
                "priority",
                "support_verbosity",
                "truncation_policy",
                "experimental_supported_tools",
                "base_instructions",
            ] {
                assert!(model.get(key).is_some_and(|v| !v.is_null()), "{}: {key} is missing", model["slug"]);
            }
        }
    }

    #[test]
    fn old_clients_and_poor_accounts_see_less() {
        let slugs = |body: Value| -> Vec<String> {
            let models = body["models"].as_array().unwrap().iter();
            models.map(|m| m["slug"].as_str().unwrap().to_owned()).collect()
        };
        assert!(!slugs(body(Some("0.100.0"), &[])).contains(&"gpt-5.5".to_owned()));
        assert!(slugs(body(Some("0.124.0-alpha.1"), &[])).contains(&"gpt-5.5".to_owned()));
        assert_eq!(slugs(body(None, &["gpt-5.4".to_owned()])), ["gpt-5.4"]);
        assert_eq!(slugs(body(Some("latest"), &[])).len(), MODELS.len());
        assert!(knows("gpt-5.3-codex") && !knows("gpt-4o"));
    }
}
