//! The model list in the two shapes that clients expect, made from the Codex catalogue.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// A catalogue as the backend sent it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    codex: Bytes,
    openai: Bytes,
    slugs: Vec<String>,
}

/// The text is no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the model catalogue cannot be read: {0}")]
pub struct CatalogueError(String);

impl Catalogue {
    /// Reads a catalogue and prepares both shapes, so that answering is handing out bytes.
    ///
    /// # Errors
    /// The text is no `{"models":[{"slug":..}]}`.
    pub fn read(text: Bytes) -> Result<Self, CatalogueError> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(borrow)]
            models: Vec<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Model {
            slug: String,
            #[serde(default)]
            visibility: Option<String>,
        }
        let wire: Wire<'_> =
            serde_json::from_slice(&text).map_err(|error| CatalogueError(error.to_string()))?;
        let mut slugs = Vec::with_capacity(wire.models.len());
        for raw in wire.models {
            let model: Model =
                serde_json::from_str(raw.get()).map_err(|error| CatalogueError(error.to_string()))?;
            if model.visibility.as_deref() != Some("hide") {
                slugs.push(model.slug);
            }
        }
        let openai = openai_list(&slugs);
        Ok(Self { codex: text, openai, slugs })
    }

    /// An empty catalogue, for a pool without accounts.
    #[must_use]
    pub fn empty() -> Self {
        Self { codex: Bytes::from_static(br#"{"models":[]}"#), openai: openai_list(&[]), slugs: Vec::new() }
    }

    /// The shape Codex decodes: every unknown field of the backend survives.
    #[must_use]
    pub fn for_codex(&self) -> Bytes {
        self.codex.clone()
    }

    /// The shape of the public API: `{"object":"list","data":[{"id","object","created","owned_by"}]}`.
    #[must_use]
    pub fn for_openai(&self) -> Bytes {
        self.openai.clone()
    }

    /// The visible models' names.
    #[must_use]
    pub fn slugs(&self) -> &[String] {
        &self.slugs
    }
}

fn openai_list(slugs: &[String]) -> Bytes {
    let data: Vec<_> = slugs
        .iter()
        .map(|slug| json!({ "id": slug, "object": "model", "created": 0, "owned_by": "openai" }))
        .collect();
    Bytes::from(json!({ "object": "list", "data": data }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_come_from_one_catalogue() {
        let text = r#"{"models":[{"slug":"gpt-5.5","visibility":"list","new":{"x":1.50}},{"slug":"internal","visibility":"hide"}]}"#;
        let catalogue = Catalogue::read(Bytes::from(text)).unwrap();
        assert_eq!(catalogue.for_codex(), text);
        let list: serde_json::Value = serde_json::from_slice(&catalogue.for_openai()).unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(list["data"][0]["id"], "gpt-5.5");
        assert!(Catalogue::read(Bytes::from_static(b"{\"data\":[]}")).is_err());
    }
}
