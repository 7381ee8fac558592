//! The chains: for each hook, who is asked in which order. Immutable; a request takes one and keeps it to its end, so
//! its stream finishes on the versions it began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Installed, Placement};
use crate::hooks::{Attachment, Hook};

/// One extension at one place.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) extension: Arc<Installed>,
    pub(crate) at: Attachment,
}

/// All chains.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) mappings: Vec<Attached>,
    pub(crate) requests: Vec<Attached>,
    pub(crate) responses: Vec<Attached>,
    pub(crate) observers: Vec<Attached>,
}

impl Chains {
    /// `None` when nothing is attached anywhere.
    pub(super) fn of(
        installed: &BTreeMap<String, Arc<Installed>>,
        placements: &BTreeMap<String, Placement>,
    ) -> Option<Self> {
        let mut chains = Self::default();
        let default = Placement::default();
        for (id, extension) in installed {
            let placement = placements.get(id).unwrap_or(&default);
            if !placement.enabled.unwrap_or(extension.on_by_default) {
                continue;
            }
            for at in placement.attachments(&extension.attachments) {
                let (chain, has) = match at.hook {
                    Hook::Schedule => continue,
                    Hook::MapModel => (&mut chains.mappings, extension.mapper.is_some()),
                    Hook::FilterRequest => (&mut chains.requests, extension.prompt.is_some()),
                    Hook::FilterResponse => (&mut chains.responses, extension.response.is_some()),
                    Hook::ObserveUsage => (&mut chains.observers, extension.observer.is_some()),
                };
                if has {
                    chain.push(Attached { extension: extension.clone(), at });
                }
            }
        }
        // What is installed is sorted by id, and the sort is stable.
        let every =
            [&mut chains.mappings, &mut chains.requests, &mut chains.responses, &mut chains.observers];
        let mut is_empty = true;
        for chain in every {
            chain.sort_by_key(|one| one.at.order);
            is_empty &= chain.is_empty();
        }
        (!is_empty).then_some(chains)
    }

    /// Whether a request can meet any of them on its way.
    pub(crate) fn touch_requests(&self) -> bool {
        !(self.mappings.is_empty() && self.requests.is_empty() && self.responses.is_empty())
    }
}
