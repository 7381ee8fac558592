//! What changes only with the members: who can serve what, and in which order the operator wants them used.
//!
//! Members that can serve the same requests form a class, so a request is checked against a few classes instead of
//! against every account.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gateway_domain::{AccountId, AccountSettings, Dialect, ModelName};

use crate::slot::Slot;
use crate::{AccountRef, Preference};

/// What a request needs that not every account has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// One of these dialects, spoken by the upstream itself; any when empty.
    pub dialects: BTreeSet<Dialect>,
    /// A member of one of these groups, or one of `accounts`; anybody when both are empty.
    pub groups: BTreeSet<String>,
    /// One of these, or a member of one of `groups`.
    pub accounts: BTreeSet<AccountId>,
    /// One of these account kinds; any when empty.
    pub providers: BTreeSet<String>,
    /// It asks for no model, so it does not matter which ones an account may serve.
    pub any_model: bool,
}

impl Needs {
    /// Whether only some of the pool may serve, whatever they are able to.
    #[must_use]
    pub fn is_scoped(&self) -> bool {
        !self.groups.is_empty() || !self.accounts.is_empty()
    }
}

/// What members of one class have in common.
#[derive(Debug, PartialEq, Eq, Hash, Clone)]
struct Class {
    allowed_models: BTreeSet<String>,
    serves: BTreeSet<Dialect>,
    groups: BTreeSet<String>,
    provider: String,
}

impl Class {
    fn of(slot: &Slot) -> Self {
        Self {
            allowed_models: slot.settings.allowed_models.clone(),
            serves: slot.settings.serves.clone(),
            groups: slot.settings.groups.clone(),
            provider: slot.profile.provider.clone(),
        }
    }

    fn can_serve(&self, rule: &AccountSettings, model: &ModelName, needs: &Needs) -> bool {
        let speaks =
            needs.dialects.is_empty() || self.serves.is_empty() || !self.serves.is_disjoint(&needs.dialects);
        let of_kind = needs.providers.is_empty() || needs.providers.contains(&self.provider);
        speaks && of_kind && (needs.any_model || rule.allows(model.as_str()))
    }

    fn belongs(&self, needs: &Needs) -> bool {
        !needs.is_scoped() || !self.groups.is_disjoint(&needs.groups)
    }
}

/// The operator's order: a higher one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    pinned: bool,
    preference: Preference,
    priority: i32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Which members it was made for.
    generation: u64,
    /// The domain's rule of allowed models, one for each class.
    classes: Vec<(Class, AccountSettings)>,
    /// For each slot.
    class_of: Vec<u32>,
    /// Live members, those of the highest wish first.
    wishes: Vec<Vec<AccountRef>>,
    /// Live members in the order of their handles.
    live: Vec<AccountRef>,
}

impl Layout {
    /// Makes it anew when the members changed.
    pub(crate) fn refresh(&mut self, slots: &[Slot], generation: u64) {
        if self.generation == generation && self.class_of.len() == slots.len() {
            return;
        }
        let mut numbers: HashMap<Class, u32> = HashMap::new();
        let mut wishes: BTreeMap<Wish, Vec<AccountRef>> = BTreeMap::new();
        *self = Self { generation, ..Self::default() };
        for slot in slots {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let class = Class::of(slot);
            let number = *numbers.entry(class).or_insert_with_key(|class| {
                let rule =
                    AccountSettings { allowed_models: class.allowed_models.clone(), ..Default::default() };
                self.classes.push((class.clone(), rule));
                next
            });
            self.class_of.push(number);
            if !slot.removed {
                self.live.push(slot.profile.account);
                let settings = &slot.settings;
                let (pinned, preference, priority) =
                    (settings.pinned, settings.preference, settings.priority);
                wishes.entry(Wish { pinned, preference, priority }).or_default().push(slot.profile.account);
            }
        }
        self.wishes = wishes.into_values().rev().collect();
    }

    /// Live members in the order of their handles.
    pub(crate) fn live(&self) -> &[AccountRef] {
        &self.live
    }

    /// Whom the operator wants first; an account that is pinned, if one is.
    pub(crate) fn first(&self) -> Option<AccountRef> {
        self.wishes.first()?.first().copied()
    }

    /// Which classes can serve a request. `named` are the handles of the accounts that it needs by name.
    pub(crate) fn serving(
        &self,
        model: &ModelName,
        needs: &Needs,
        named: BTreeSet<AccountRef>,
    ) -> Serving<'_> {
        let able: Vec<bool> =
            self.classes.iter().map(|(class, rule)| class.can_serve(rule, model, needs)).collect();
        if !needs.is_scoped() {
            return Serving { layout: self, able, inside: None };
        }
        let belongs = self.classes.iter().map(|(class, _)| class.belongs(needs)).collect();
        Serving { layout: self, able, inside: Some(Inside { belongs, named }) }
    }

    /// Live members in the operator's order; among equals each question begins elsewhere.
    pub(crate) fn in_order(&self, seq: u64) -> impl Iterator<Item = AccountRef> + '_ {
        // Steps of the golden ratio cover a circle evenly, however many equals there are.
        let turn = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        self.wishes.iter().flat_map(move |equals| {
            let first = usize::try_from((turn * equals.len() as u64) >> 32).unwrap_or(0);
            equals.iter().skip(first).chain(equals.iter().take(first)).copied()
        })
    }
}

/// Who is able to serve one request.
pub(crate) struct Serving<'a> {
    layout: &'a Layout,
    able: Vec<bool>,
    inside: Option<Inside>,
}

/// Who belongs to the part of the pool that a request may use.
struct Inside {
    /// For each class.
    belongs: Vec<bool>,
    named: BTreeSet<AccountRef>,
}

impl Serving<'_> {
    pub(crate) fn by(&self, account: AccountRef) -> bool {
        let Some(class) = usize::try_from(account.0).ok().and_then(|at| self.layout.class_of.get(at)) else {
            return false;
        };
        let Ok(class) = usize::try_from(*class) else { return false };
        let of = |classes: &[bool]| classes.get(class).copied().unwrap_or(false);
        of(&self.able)
            && self
                .inside
                .as_ref()
                .is_none_or(|inside| of(&inside.belongs) || inside.named.contains(&account))
    }
}
