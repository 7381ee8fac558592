//! Where an extension is attached: at which hook, for which requests, in which order, and what its failure means.
//! The same for scripts and components, whether its manifest asks for it or the operator decided it.

use serde::{Deserialize, Serialize};

use super::{Failing, Mode};

/// What an extension can be called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Rank accounts.
    Schedule,
    /// Resolve models.
    MapModel,
    /// Judge prompts.
    FilterRequest,
    /// Judge response streams.
    FilterResponse,
    /// Watch what is used.
    ObserveUsage,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Schedule, Self::MapModel, Self::FilterRequest, Self::FilterResponse, Self::ObserveUsage];

    /// The word used in manifests and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::MapModel => "map-model",
            Self::FilterRequest => "filter-request",
            Self::FilterResponse => "filter-response",
            Self::ObserveUsage => "observe-usage",
        }
    }

    /// What becomes of a request when the extension fails and nobody said otherwise.
    #[must_use]
    pub const fn failing(self) -> Failing {
        match self {
            Self::Schedule => Failing::Fallback,
            Self::MapModel | Self::ObserveUsage => Failing::Open,
            // A filter that fails open filters nothing.
            Self::FilterRequest | Self::FilterResponse => Failing::Closed,
        }
    }
}

/// In the middle, so that there is room on both sides.
pub const DEFAULT_ORDER: i32 = 100;

/// Where a hook is attached. An empty list leaves nobody out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Which hook.
    pub hook: Hook,
    /// Lower ones run first.
    pub order: i32,
    /// Whether its answers are carried out.
    pub mode: Mode,
    /// What becomes of a request when it fails.
    pub failing: Failing,
    /// Only these routes.
    pub routes: Vec<String>,
    /// Only requests of client keys in these groups: what stands before the slash of their label.
    pub groups: Vec<String>,
    /// Only requests of these client keys.
    pub clients: Vec<String>,
    /// Only these asked models; `*` stands for any run of characters.
    pub models: Vec<String>,
}

impl Attachment {
    /// Everywhere, enforced, with the hook's own failure policy.
    #[must_use]
    pub const fn of(hook: Hook) -> Self {
        Self {
            hook,
            order: DEFAULT_ORDER,
            mode: Mode::Enforce,
            failing: hook.failing(),
            routes: Vec::new(),
            groups: Vec::new(),
            clients: Vec::new(),
            models: Vec::new(),
        }
    }

    /// Whether a request is among those it is for.
    #[must_use]
    pub fn covers(&self, route: &str, client: &str, model: &str) -> bool {
        let group = client.split_once('/').map(|(group, _)| group);
        let any =
            |list: &[String], of: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|one| of(one));
        any(&self.routes, &|one| one == route)
            && any(&self.clients, &|one| one == client)
            && any(&self.groups, &|one| Some(one) == group)
            && any(&self.models, &|one| fits(one, model))
    }
}

/// Whether a name fits a pattern with at most one `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_narrows_it_and_an_empty_one_does_not() {
        let list = |one: &str| if one.is_empty() { Vec::new() } else { vec![one.to_owned()] };
        for (routes, groups, clients, models, covers) in [
            ("", "", "", "", true),
            ("/v1/messages", "", "", "", true),
            ("/v1/responses", "", "", "", false),
            ("", "team", "", "", true),
            ("", "tea", "", "", false),
            ("", "", "team/ann", "", true),
            ("", "", "ann", "", false),
            ("", "", "", "gpt-5*", true),
            ("", "", "", "gpt-*-mini", true),
            ("", "", "", "gpt-5.5-mini-x", false),
            ("", "", "", "*5.5-mini*", false),
            ("/v1/messages", "team", "team/ann", "claude", false),
        ] {
            let at = Attachment {
                routes: list(routes),
                groups: list(groups),
                clients: list(clients),
                models: list(models),
                ..Attachment::of(Hook::FilterRequest)
            };
            let got = at.covers("/v1/messages", "team/ann", "gpt-5.5-mini");
            assert_eq!(got, covers, "{routes} {groups} {clients} {models}");
        }
    }
}
