//! The model list in the shapes that clients expect: the Codex catalogue as it came, and the lists of the public APIs,
//! which name the models of other upstreams as well.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Who owns the models of the Codex catalogue.
const CATALOGUE_OWNER: &str = "openai";
/// The Anthropic API wants a date; nobody knows the real one.
const NO_DATE: &str = "1970-01-01T00:00:00Z";

/// A model that an upstream other than the Codex backend lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedModel {
    /// Its name.
    pub id: String,
    /// The kind of account that serves it.
    pub owner: &'static str,
}

/// A catalogue as the backend sent it, and what others list.
#[derive(Debug, Clone)]
pub struct Catalogue {
    codex: Bytes,
    openai: Bytes,
    anthropic: Bytes,
    slugs: Vec<String>,
    listed: Vec<ListedModel>,
}

/// The text is no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the model catalogue cannot be read: {0}")]
pub struct CatalogueError(String);

impl Catalogue {
    /// Reads a catalogue and prepares all shapes, so that answering is handing out bytes.
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
        Ok(Self::new(text, slugs, Vec::new()))
    }

    /// An empty catalogue, for a pool without accounts.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Bytes::from_static(br#"{"models":[]}"#), Vec::new(), Vec::new())
    }

    /// The same catalogue beside what other upstreams list.
    #[must_use]
    pub fn with_listed(&self, listed: Vec<ListedModel>) -> Self {
        Self::new(self.codex.clone(), self.slugs.clone(), listed)
    }

    fn new(codex: Bytes, slugs: Vec<String>, listed: Vec<ListedModel>) -> Self {
        let mut catalogue = Self { codex, openai: Bytes::new(), anthropic: Bytes::new(), slugs, listed };
        let all: Vec<(&str, &str)> = catalogue.all().collect();
        let openai = openai_list(&all);
        let anthropic = anthropic_list(&all);
        (catalogue.openai, catalogue.anthropic) = (openai, anthropic);
        catalogue
    }

    /// Every model with its owner, each name once; the catalogue's own come first.
    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.slugs.iter().map(|slug| (slug.as_str(), CATALOGUE_OWNER));
        let others = self.listed.iter().filter(|model| !self.slugs.contains(&model.id));
        own.chain(others.map(|model| (model.id.as_str(), model.owner)))
    }

    /// The shape Codex decodes: every unknown field of the backend survives.
    #[must_use]
    pub fn for_codex(&self) -> Bytes {
        self.codex.clone()
    }

    /// The shape of the OpenAI API: `{"object":"list","data":[{"id","object","created","owned_by"}]}`.
    #[must_use]
    pub fn for_openai(&self) -> Bytes {
        self.openai.clone()
    }

    /// The shape of the Anthropic API: `{"data":[{"type":"model","id",..}],"has_more",..}`.
    #[must_use]
    pub fn for_anthropic(&self) -> Bytes {
        self.anthropic.clone()
    }

    /// One model in the shape of the OpenAI API, if it is there.
    #[must_use]
    pub fn one_for_openai(&self, id: &str) -> Option<Bytes> {
        let (id, owner) = self.all().find(|(name, _)| *name == id)?;
        Some(Bytes::from(openai_model(id, owner).to_string()))
    }

    /// One model in the shape of the Anthropic API, if it is there.
    #[must_use]
    pub fn one_for_anthropic(&self, id: &str) -> Option<Bytes> {
        let (id, _) = self.all().find(|(name, _)| *name == id)?;
        Some(Bytes::from(anthropic_model(id).to_string()))
    }

    /// The names of the catalogue's visible models.
    #[must_use]
    pub fn slugs(&self) -> &[String] {
        &self.slugs
    }

    /// What other upstreams list.
    #[must_use]
    pub fn listed(&self) -> &[ListedModel] {
        &self.listed
    }
}

fn openai_model(id: &str, owner: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}

fn openai_list(models: &[(&str, &str)]) -> Bytes {
    let data: Vec<_> = models.iter().map(|(id, owner)| openai_model(id, owner)).collect();
    Bytes::from(json!({ "object": "list", "data": data }).to_string())
}

fn anthropic_model(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": NO_DATE })
}

fn anthropic_list(models: &[(&str, &str)]) -> Bytes {
    let data: Vec<_> = models.iter().map(|(id, _)| anthropic_model(id)).collect();
    let id_of = |model: Option<&(&str, &str)>| model.map(|(id, _)| (*id).to_owned());
    let list = json!({
        "data": data,
        "has_more": false,
        "first_id": id_of(models.first()),
        "last_id": id_of(models.last()),
    });
    Bytes::from(list.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"models":[{"slug":"gpt-5.5","visibility":"list","new":{"x":1.50}},{"slug":"internal","visibility":"hide"}]}"#;

    fn json_of(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn all_shapes_come_from_one_catalogue() {
        let catalogue = Catalogue::read(Bytes::from(TEXT)).unwrap();
        assert_eq!(catalogue.for_codex(), TEXT);
        let list = json_of(&catalogue.for_openai());
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        assert_eq!(list["data"][0]["id"], "gpt-5.5");
        assert!(Catalogue::read(Bytes::from_static(b"{\"data\":[]}")).is_err());
    }

    #[test]
    fn models_of_other_upstreams_stand_beside_it_each_once() {
        let listed = |id: &str, owner| ListedModel { id: id.to_owned(), owner };
        let others = vec![listed("claude-x", "anthropic"), listed("gpt-5.5", "openai")];
        let catalogue = Catalogue::read(Bytes::from(TEXT)).unwrap().with_listed(others.clone());
        assert_eq!(catalogue.listed(), others);
        assert_eq!(catalogue.for_codex(), TEXT);
        let list = json_of(&catalogue.for_openai());
        let told: Vec<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| (model["id"].as_str().unwrap(), model["owned_by"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [("gpt-5.5", "openai"), ("claude-x", "anthropic")]);
        let list = json_of(&catalogue.for_anthropic());
        assert_eq!(list["data"][1]["display_name"], "claude-x");
        assert_eq!((&list["first_id"], &list["last_id"]), (&json!("gpt-5.5"), &json!("claude-x")));
        assert_eq!(json_of(&catalogue.one_for_openai("claude-x").unwrap())["owned_by"], "anthropic");
        assert_eq!(json_of(&catalogue.one_for_anthropic("gpt-5.5").unwrap())["type"], "model");
        for unknown in ["internal", "", "gpt"] {
            assert!(
                catalogue.one_for_openai(unknown).is_none() && catalogue.one_for_anthropic(unknown).is_none()
            );
        }
        let empty = json_of(&Catalogue::empty().for_anthropic());
        assert_eq!(empty["first_id"], Value::Null);
    }
}
