//! Mappings and the catalogue.

use gateway_core::hooks::{CatalogEntry, Mapping, Resolution, Target};

use super::rejection_of;
use crate::bindings::model_mapping as wit;

pub(crate) fn resolution(answer: wit::Resolution) -> Resolution {
    let mapping = match answer.mapping {
        wit::Mapping::Unchanged => Mapping::Unchanged,
        wit::Mapping::Targets(targets) => Mapping::Targets(targets.into_iter().map(target).collect()),
        wit::Mapping::Refuse(rejection) => Mapping::Refuse(rejection_of(rejection)),
    };
    Resolution { mapping, report_as: answer.report_as }
}

fn target(of: wit::Target) -> Target {
    Target { model: of.model, provider: of.provider, group: of.group, reasoning_effort: of.reasoning_effort }
}

pub(crate) fn catalog(entries: &[CatalogEntry]) -> Vec<wit::CatalogEntryParam<'_>> {
    entries
        .iter()
        .map(|of| wit::CatalogEntryParam {
            id: &of.id,
            provider: &of.provider,
            context_window: of.context_window,
            max_output_tokens: of.max_output_tokens,
        })
        .collect()
}

pub(crate) fn catalog_back(entries: Vec<wit::CatalogEntryResult>) -> Vec<CatalogEntry> {
    entries
        .into_iter()
        .map(|of| CatalogEntry {
            id: of.id,
            provider: of.provider,
            context_window: of.context_window,
            max_output_tokens: of.max_output_tokens,
        })
        .collect()
}
