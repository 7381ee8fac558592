//! What the operator calls the accounts: labels, plans, providers, groups and tags, read from the roster. A text that
//! is missing is empty, never an error.

use gateway_scheduler::{AccountProfile, AccountRef};
use rhai::{Array, ImmutableString};

use super::book::{Book, say};
use super::candidates::Candidates;
use super::column::{Column, truth};
use super::request::{One, Snapshot};

impl Snapshot {
    /// A handle is the index into the roster.
    fn profile_of(&self, account: AccountRef) -> Option<&AccountProfile> {
        usize::try_from(account.0).ok().and_then(|at| self.roster.accounts.get(at))
    }
}

impl Candidates {
    pub(super) fn profile(&self, row: usize) -> Option<&AccountProfile> {
        self.candidate(row).and_then(|one| self.snapshot.profile_of(one.account))
    }

    fn keep_profile(&self, wanted: impl Fn(&AccountProfile) -> bool) -> Self {
        self.keep_if(|one| self.snapshot.profile_of(one.account).is_some_and(&wanted))
    }

    fn mark_profile(&self, wanted: impl Fn(&AccountProfile) -> bool) -> Column {
        self.column(|one| truth(self.snapshot.profile_of(one.account).is_some_and(&wanted)))
    }
}

impl One {
    fn profile(&self) -> Option<&AccountProfile> {
        self.candidate().and_then(|one| self.snapshot.profile_of(one.account))
    }

    fn text(&self, read: impl FnOnce(&AccountProfile) -> &str) -> ImmutableString {
        self.profile().map(read).unwrap_or_default().into()
    }

    fn texts(&self, read: impl FnOnce(&AccountProfile) -> &Vec<String>) -> Array {
        let texts = self.profile().map(read).map(Vec::as_slice).unwrap_or_default();
        texts.iter().map(|text| text.as_str().into()).collect()
    }
}

fn holds(texts: &[String], wanted: &str) -> bool {
    texts.iter().any(|text| text == wanted)
}

pub(super) fn register(book: &mut Book) {
    say!(book, Method, "Candidates";
        "labelled(label: String) -> Candidates" "the account of that name"
            => |list: &mut Candidates, label: ImmutableString| list.keep_profile(|one| one.label == *label);
        "plan(plan: String) -> Candidates" "those of that plan"
            => |list: &mut Candidates, plan: ImmutableString| list.keep_profile(|one| one.plan == *plan);
        "provider(kind: String) -> Candidates" "those of that kind (`codex`, `openai` ..)"
            => |list: &mut Candidates, kind: ImmutableString| list.keep_profile(|one| one.provider == *kind);
        "group(name: String) -> Candidates" "those in that group"
            => |list: &mut Candidates, name: ImmutableString| list.keep_profile(|one| holds(&one.groups, &name));
        "tag(name: String) -> Candidates" "those with that tag"
            => |list: &mut Candidates, name: ImmutableString| list.keep_profile(|one| holds(&one.tags, &name));
        "is_labelled(label: String) -> Column" "a condition: the account of that name"
            => |list: &mut Candidates, label: ImmutableString| list.mark_profile(|one| one.label == *label);
        "in_group(name: String) -> Column" "a condition: it is in that group"
            => |list: &mut Candidates, name: ImmutableString| list.mark_profile(|one| holds(&one.groups, &name));
        "has_tag(name: String) -> Column" "a condition: it has that tag"
            => |list: &mut Candidates, name: ImmutableString| list.mark_profile(|one| holds(&one.tags, &name));
    );
    register_one(book);
}

fn register_one(book: &mut Book) {
    say!(book, Property, "Candidate";
        "label: String" "the operator's name for it" => |one: &mut One| one.text(|profile| &profile.label);
        "id: String" "the gateway's id for it" => |one: &mut One| one.text(|profile| profile.id.as_str());
        "provider: String" "its kind (`codex`, `openai` ..)" => |one: &mut One| one.text(|profile| &profile.provider);
        "plan: String" "its plan, empty when unknown" => |one: &mut One| one.text(|profile| &profile.plan);
        "groups: Array" "the groups it is in" => |one: &mut One| one.texts(|profile| &profile.groups);
        "tags: Array" "its tags" => |one: &mut One| one.texts(|profile| &profile.tags);
    );
    say!(book, Method, "Candidate";
        "in_group(name: String) -> bool" "it is in that group"
            => |one: &mut One, name: ImmutableString| one.profile().is_some_and(|one| holds(&one.groups, &name));
        "has_tag(name: String) -> bool" "it has that tag"
            => |one: &mut One, name: ImmutableString| one.profile().is_some_and(|one| holds(&one.tags, &name));
    );
}
