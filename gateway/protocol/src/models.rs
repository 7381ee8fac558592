//! The model list in the shapes that clients expect: the Codex catalogue as it came, and the lists of the public APIs,
//! which name the models of other upstreams as well.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::json::Members;

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
    /// What is told instead of both, with its owners.
    told: Option<Vec<(String, String)>>,
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
        let models = models(&text).map_err(|error| CatalogueError(error.to_string()))?;
        let shown = models.into_iter().filter(|(model, _)| !model.is_hidden());
        let slugs = shown.map(|(model, _)| model.slug).collect();
        Ok(Self::new(text, slugs, Vec::new(), None))
    }

    /// The same catalogue with these of its models only, beside what other upstreams list. Models that are not shown
    /// anyway stay when they are kept.
    #[must_use]
    pub fn narrowed(&self, keep: impl Fn(&str) -> bool, listed: Vec<ListedModel>) -> Self {
        let slugs = self.slugs.iter().filter(|slug| keep(slug)).cloned().collect();
        Self::new(self.codex_with(|model| keep(&model.slug)), slugs, listed, None)
    }

    /// The same catalogue told as these names with their owners. The shape for Codex, which describes each model at
    /// length, keeps those of its own that are among them.
    #[must_use]
    pub fn told(&self, names: Vec<(String, String)>) -> Self {
        let known: HashSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        let codex = self.codex_with(|model| model.is_hidden() || known.contains(model.slug.as_str()));
        Self::new(codex, self.slugs.clone(), self.listed.clone(), Some(names))
    }

    /// The text for Codex with some of its models; whatever else it says stays.
    fn codex_with(&self, keep: impl Fn(&CodexModel) -> bool) -> Bytes {
        let (Ok(all), Ok(mut fields)) = (models(&self.codex), Members::read(&self.codex)) else {
            return self.codex.clone();
        };
        let kept: Vec<&str> = all.iter().filter(|(model, _)| keep(model)).map(|(_, raw)| raw.get()).collect();
        if kept.len() == all.len() {
            return self.codex.clone();
        }
        fields.set("models", format!("[{}]", kept.join(",")));
        Bytes::from(fields.write())
    }

    /// An empty catalogue, for a pool without accounts.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Bytes::from_static(br#"{"models":[]}"#), Vec::new(), Vec::new(), None)
    }

    /// The same catalogue beside what other upstreams list.
    #[must_use]
    pub fn with_listed(&self, listed: Vec<ListedModel>) -> Self {
        Self::new(self.codex.clone(), self.slugs.clone(), listed, None)
    }

    fn new(
        codex: Bytes,
        slugs: Vec<String>,
        listed: Vec<ListedModel>,
        told: Option<Vec<(String, String)>>,
    ) -> Self {
        let mut catalogue =
            Self { codex, openai: Bytes::new(), anthropic: Bytes::new(), slugs, listed, told };
        let all: Vec<(&str, &str)> = catalogue.all().collect();
        let openai = openai_list(&all);
        let anthropic = anthropic_list(&all);
        (catalogue.openai, catalogue.anthropic) = (openai, anthropic);
        catalogue
    }

    /// Every model with its owner, each name once; the catalogue's own come first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let told = self.told.iter().flatten().map(|(id, owner)| (id.as_str(), owner.as_str()));
        let untold = self.told.is_none();
        let own = self.slugs.iter().filter(move |_| untold).map(|slug| (slug.as_str(), CATALOGUE_OWNER));
        let others = self.listed.iter().filter(move |model| untold && !self.slugs.contains(&model.id));
        told.chain(own).chain(others.map(|model| (model.id.as_str(), model.owner)))
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

/// What is read of one model of the backend's.
#[derive(Deserialize)]
struct CodexModel {
    slug: String,
    #[serde(default)]
    visibility: Option<String>,
}

impl CodexModel {
    fn is_hidden(&self) -> bool {
        self.visibility.as_deref() == Some("hide")
    }
}

fn models(text: &[u8]) -> Result<Vec<(CodexModel, &RawValue)>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        models: Vec<&'a RawValue>,
    }
    let wire: Wire<'_> = serde_json::from_slice(text)?;
    wire.models.into_iter().map(|raw| Ok((serde_json::from_str(raw.get())?, raw))).collect()
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
    fn a_part_is_told_in_every_shape_and_new_names_in_those_that_can() {
        let catalogue =
            Catalogue::read(Bytes::from(TEXT.replace("]}", r#",{"slug":"o9"}],"etag":7}"#))).unwrap();
        let listed = vec![ListedModel { id: "claude-x".to_owned(), owner: "anthropic" }];
        let part = catalogue.narrowed(|slug| slug == "o9", listed);
        assert_eq!(part.for_codex(), r#"{"models":[{"slug":"o9"}],"etag":7}"#);
        let names = |catalogue: &Catalogue| {
            catalogue.all().map(|(id, owner)| format!("{id} {owner}")).collect::<Vec<_>>()
        };
        assert_eq!(names(&part), ["o9 openai", "claude-x anthropic"]);
        assert!(part.one_for_openai("gpt-5.5").is_none() && part.one_for_anthropic("claude-x").is_some());

        let told = catalogue
            .told(vec![("fast".to_owned(), "ours".to_owned()), ("gpt-5.5".to_owned(), "openai".to_owned())]);
        assert_eq!(names(&told), ["fast ours", "gpt-5.5 openai"]);
        let slugs = json_of(&told.for_codex())["models"].as_array().unwrap().len();
        assert_eq!(slugs, 2, "o9 is gone, what is hidden stays");
        assert_eq!(json_of(&told.one_for_openai("fast").unwrap())["owned_by"], "ours");
        assert_eq!(catalogue.narrowed(|_| true, Vec::new()).for_codex(), catalogue.for_codex());
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
