//! The settings of one account as a form holds them: text, until it is saved.

use std::collections::{BTreeMap, BTreeSet};

use gateway_api::{AccountDetail, AccountPatch, AccountSettingsPatch, EgressView, PreferenceView};

use serde::de::DeserializeOwned;

use super::form::{Mistake, list_of, list_text, number_of, some};

/// How an account leaves, as the value of a list: these two, or `proxy:` and an id.
const INHERIT: &str = "inherit";
const DIRECT: &str = "direct";
const THROUGH: &str = "proxy:";

/// The preferences: value and words.
pub(crate) const PREFERENCES: [(PreferenceView, &str, &str); 3] = [
    (PreferenceView::BurnFirst, "burn_first", "Burn first: before the others"),
    (PreferenceView::Normal, "normal", "Normal"),
    (PreferenceView::Preserve, "preserve", "Preserve: only when nobody else can"),
];

/// One header that is overridden. Values that are stored never come back to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderDraft {
    /// Its name.
    pub(crate) name: String,
    /// A new value; empty: the stored one stays.
    pub(crate) value: String,
    /// Whether the gateway has it already.
    pub(crate) is_stored: bool,
    /// Whether it is to be taken away.
    pub(crate) is_removed: bool,
}

/// Everything that can be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) notes: String,
    pub(crate) groups: String,
    pub(crate) tags: String,
    pub(crate) weight: String,
    pub(crate) priority: String,
    pub(crate) preference: String,
    pub(crate) max_concurrency: String,
    pub(crate) allowed_models: String,
    pub(crate) headers: Vec<HeaderDraft>,
    pub(crate) egress: String,
    pub(crate) base_url: String,
    pub(crate) dialects: BTreeSet<String>,
    pub(crate) co_owned: String,
    pub(crate) warm_up: bool,
}

impl Draft {
    /// As it is stored.
    pub(crate) fn of(detail: &AccountDetail) -> Self {
        let settings = &detail.settings;
        let preference = PREFERENCES.iter().find(|(known, ..)| *known == settings.preference);
        let header =
            |name: &String| HeaderDraft { name: name.clone(), is_stored: true, ..Default::default() };
        Self {
            name: detail.account.name.clone(),
            notes: settings.notes.clone(),
            groups: list_text(&settings.groups),
            tags: list_text(&settings.tags),
            weight: settings.weight.to_string(),
            priority: settings.priority.to_string(),
            preference: preference.map_or("normal", |(_, key, _)| key).to_owned(),
            max_concurrency: settings.max_concurrency.map(|most| most.to_string()).unwrap_or_default(),
            allowed_models: list_text(&settings.allowed_models),
            headers: settings.headers.iter().map(header).collect(),
            egress: egress_key(&settings.egress),
            base_url: settings.base_url.clone().unwrap_or_default(),
            dialects: settings.dialects.clone(),
            co_owned: settings.co_owned.clone().unwrap_or_default(),
            warm_up: settings.warm_up,
        }
    }

    /// What differs from what is stored; none when nothing does.
    pub(crate) fn patch(&self, stored: &AccountDetail) -> Result<Option<AccountPatch>, Mistake> {
        let before = Self::of(stored);
        if *self == before {
            return Ok(None);
        }
        let name = some(&self.name).ok_or_else(|| Mistake::at("name", "An account needs a name."))?;
        let settings = AccountSettingsPatch {
            notes: changed(&before.notes, &self.notes).then(|| self.notes.clone()),
            groups: changed(&before.groups, &self.groups).then(|| list_of(&self.groups)),
            tags: changed(&before.tags, &self.tags).then(|| list_of(&self.tags)),
            weight: self.number(
                &before.weight,
                &self.weight,
                "weight",
                "A weight is a number such as 1 or 2.5.",
            )?,
            priority: self.number(
                &before.priority,
                &self.priority,
                "priority",
                "A priority is a whole number.",
            )?,
            preference: changed(&before.preference, &self.preference)
                .then(|| preference_of(&self.preference)),
            max_concurrency: self.concurrency(&before)?,
            allowed_models: changed(&before.allowed_models, &self.allowed_models)
                .then(|| list_of(&self.allowed_models)),
            headers: self.headers()?,
            egress: changed(&before.egress, &self.egress).then(|| egress_of(&self.egress)),
            base_url: changed(&before.base_url, &self.base_url).then(|| some(&self.base_url)),
            dialects: changed(&before.dialects, &self.dialects).then(|| self.dialects.clone()),
            co_owned: changed(&before.co_owned, &self.co_owned).then(|| some(&self.co_owned)),
            warm_up: changed(&before.warm_up, &self.warm_up).then_some(self.warm_up),
        };
        Ok(Some(AccountPatch {
            name: changed(&before.name, &name).then_some(name),
            paused: None,
            settings: changed(&AccountSettingsPatch::default(), &settings).then_some(settings),
        }))
    }

    fn number<T: DeserializeOwned>(
        &self,
        before: &str,
        now: &str,
        field: &str,
        hint: &str,
    ) -> Result<Option<T>, Mistake> {
        if before == now { Ok(None) } else { number_of(now, field, hint).map(Some) }
    }

    fn concurrency(&self, before: &Self) -> Result<Option<Option<u32>>, Mistake> {
        if before.max_concurrency == self.max_concurrency {
            return Ok(None);
        }
        let hint = "A whole number, or nothing for the pool's default.";
        let number = some(&self.max_concurrency).map(|text| number_of(&text, "max_concurrency", hint));
        number.transpose().map(Some)
    }

    fn headers(&self) -> Result<BTreeMap<String, Option<String>>, Mistake> {
        let mut changes = BTreeMap::new();
        for header in &self.headers {
            let name = header.name.trim().to_owned();
            match (header.is_stored, header.is_removed) {
                (true, true) => drop(changes.insert(name, None)),
                (true, false) if header.value.is_empty() => {}
                (false, true) => {}
                // A row that was added and left empty.
                (false, false) if name.is_empty() && header.value.is_empty() => {}
                (false, false) if name.is_empty() => return Err(Mistake::at("headers", "Name the header.")),
                (false, false) if header.value.is_empty() => {
                    return Err(Mistake::at("headers", format!("Give {name} a value.")));
                }
                _ => drop(changes.insert(name, Some(header.value.clone()))),
            }
        }
        Ok(changes)
    }
}

fn changed<T: PartialEq + ?Sized>(before: &T, now: &T) -> bool {
    before != now
}

fn preference_of(key: &str) -> PreferenceView {
    PREFERENCES.iter().find(|(_, known, _)| *known == key).map_or_else(Default::default, |(found, ..)| *found)
}

fn egress_key(egress: &EgressView) -> String {
    match egress {
        EgressView::Inherit => INHERIT.to_owned(),
        EgressView::Direct => DIRECT.to_owned(),
        EgressView::Proxy { proxy } => format!("{THROUGH}{proxy}"),
    }
}

fn egress_of(key: &str) -> EgressView {
    match key.strip_prefix(THROUGH) {
        Some(proxy) => EgressView::Proxy { proxy: proxy.to_owned() },
        None if key == DIRECT => EgressView::Direct,
        None => EgressView::Inherit,
    }
}

/// The ways out to choose from: value and words. A proxy that is gone stays visible as long as it is chosen.
pub(crate) fn egress_choices(proxies: &[gateway_api::ProxyView], chosen: &str) -> Vec<(String, String)> {
    let mut choices =
        vec![(INHERIT.to_owned(), "Like its groups".to_owned()), (DIRECT.to_owned(), "Straight".to_owned())];
    choices.extend(proxies.iter().map(|proxy| {
        let note = if proxy.enabled { "" } else { " (switched off)" };
        (format!("{THROUGH}{}", proxy.id), format!("Through {}{note}", proxy.name))
    }));
    if choices.iter().all(|(key, _)| key != chosen) {
        choices.push((chosen.to_owned(), "Through a proxy that is gone".to_owned()));
    }
    choices
}

/// The way out in a few words.
pub(crate) fn egress_words(egress: &EgressView) -> &'static str {
    match egress {
        EgressView::Inherit => "Like its groups",
        EgressView::Direct => "Straight",
        EgressView::Proxy { .. } => "A proxy of its own",
    }
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
