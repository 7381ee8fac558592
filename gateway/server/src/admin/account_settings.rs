//! What an operator decides about accounts: between the domain's settings and their wire shapes.

use std::collections::BTreeSet;

use gateway_api::{AccountSettingsPatch, AccountSettingsView, EgressView, PreferenceView};
use gateway_domain::{AccountSettings, Dialect, Egress, ProxyId, RoutingPreference, Secret};

use super::error::Refusal;

/// As they are shown.
pub(crate) fn view(settings: &AccountSettings) -> AccountSettingsView {
    AccountSettingsView {
        notes: settings.notes.clone(),
        groups: settings.groups.clone(),
        tags: settings.tags.clone(),
        weight: settings.weight,
        priority: settings.priority,
        preference: match settings.preference {
            RoutingPreference::BurnFirst => PreferenceView::BurnFirst,
            RoutingPreference::Normal => PreferenceView::Normal,
            RoutingPreference::Preserve => PreferenceView::Preserve,
        },
        max_concurrency: settings.max_concurrency,
        allowed_models: settings.allowed_models.clone(),
        headers: settings.headers.keys().cloned().collect(),
        egress: match &settings.egress {
            Egress::Inherit => EgressView::Inherit,
            Egress::Direct => EgressView::Direct,
            Egress::Proxy { proxy } => EgressView::Proxy { proxy: proxy.to_string() },
        },
        base_url: settings.base_url.clone(),
        dialects: settings.dialects.iter().map(|dialect| dialect.as_str().to_owned()).collect(),
        co_owned: settings.co_owned.as_ref().map(|path| path.display().to_string()),
        warm_up: settings.warm_up,
    }
}

/// With what is to change changed. Limits are checked by the core.
pub(crate) fn patched(
    mut settings: AccountSettings,
    patch: AccountSettingsPatch,
) -> Result<AccountSettings, Refusal> {
    fn put<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    put(&mut settings.notes, patch.notes);
    put(&mut settings.groups, patch.groups);
    put(&mut settings.tags, patch.tags);
    put(&mut settings.weight, patch.weight);
    put(&mut settings.priority, patch.priority);
    put(&mut settings.preference, patch.preference.map(preference));
    put(&mut settings.max_concurrency, patch.max_concurrency);
    put(&mut settings.allowed_models, patch.allowed_models);
    put(&mut settings.egress, patch.egress.map(egress).transpose()?);
    put(&mut settings.base_url, patch.base_url);
    put(&mut settings.dialects, patch.dialects.as_ref().map(dialects).transpose()?);
    put(&mut settings.co_owned, patch.co_owned.map(|path| path.map(Into::into)));
    put(&mut settings.warm_up, patch.warm_up);
    for (name, value) in patch.headers {
        match value {
            Some(value) => settings.headers.insert(name, Secret::new(value)),
            None => settings.headers.remove(&name),
        };
    }
    Ok(settings)
}

const fn preference(view: PreferenceView) -> RoutingPreference {
    match view {
        PreferenceView::BurnFirst => RoutingPreference::BurnFirst,
        PreferenceView::Normal => RoutingPreference::Normal,
        PreferenceView::Preserve => RoutingPreference::Preserve,
    }
}

fn egress(view: EgressView) -> Result<Egress, Refusal> {
    Ok(match view {
        EgressView::Inherit => Egress::Inherit,
        EgressView::Direct => Egress::Direct,
        EgressView::Proxy { proxy } => {
            let proxy = ProxyId::parse(&proxy);
            Egress::Proxy { proxy: proxy.map_err(|error| Refusal::field("egress", error.to_string()))? }
        }
    })
}

fn dialects(words: &BTreeSet<String>) -> Result<BTreeSet<Dialect>, Refusal> {
    let known = || Dialect::ALL.map(Dialect::as_str).join(", ");
    words
        .iter()
        .map(|word| {
            Dialect::parse(word)
                .ok_or_else(|| Refusal::field("dialects", format!("`{word}` is none of {}", known())))
        })
        .collect()
}
