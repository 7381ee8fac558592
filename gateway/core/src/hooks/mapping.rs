//! The hook `map-model`: from the asked model to what goes upstream.

use std::sync::Arc;

use gateway_scheduler::Rejection;

use super::{ExtensionVersion, HookError, RequestContext};

/// One model of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The name clients ask for.
    pub id: String,
    /// Which kind of account serves it.
    pub provider: String,
    /// Tokens of prompt and answer together, when known.
    pub context_window: Option<u32>,
    /// Tokens of the answer, when known.
    pub max_output_tokens: Option<u32>,
}

/// One thing to ask of an upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The upstream's name of the model.
    pub model: String,
    /// Only accounts of this kind.
    pub provider: Option<String>,
    /// Only accounts of this group.
    pub group: Option<String>,
    /// Asked of the upstream instead of what the client asked for.
    pub reasoning_effort: Option<String>,
}

/// What the asked model stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapping {
    /// Itself.
    Unchanged,
    /// The first of these; the others when nobody can serve it.
    Targets(Vec<Target>),
    /// Nothing: the client is told so.
    Refuse(Rejection),
}

/// A mapping's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What it stands for.
    pub mapping: Mapping,
    /// What `model` says in responses; `None` echoes what was asked for.
    pub report_as: Option<String>,
}

impl Resolution {
    /// The asked model goes upstream.
    pub const UNCHANGED: Self = Self { mapping: Mapping::Unchanged, report_as: None };
}

/// Resolves models. Implemented by the Rhai host and the WASM host.
pub trait ModelMapper: Send + Sync {
    /// Which extension this is.
    fn version(&self) -> &ExtensionVersion;

    /// Resolves one request's model. Runs inline, so an implementation bounds its own time (5 ms).
    ///
    /// # Errors
    /// It failed, ran out of time, or gave no usable answer.
    fn resolve(&self, context: &Arc<RequestContext>) -> Result<Resolution, HookError>;

    /// What the list of models shows instead of the catalogue.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    fn publish(&self, catalog: &[CatalogEntry]) -> Result<Vec<CatalogEntry>, HookError>;
}
