//! The mistake in a form: shown below its field, or below the form when it belongs to no field, and focused.

use leptos::prelude::*;

use super::field::form_error;
use crate::browser;
use crate::desk::Desk;
use crate::logic::answer::Problem;
use crate::logic::form::Mistake;

/// The last mistake of one form.
#[derive(Clone, Copy)]
pub(crate) struct Mistakes {
    last: RwSignal<Option<Mistake>>,
    /// The fields that show theirs: the name on the wire, and the id on the page.
    fields: &'static [(&'static str, &'static str)],
}

impl Mistakes {
    /// None so far.
    pub(crate) fn new(fields: &'static [(&'static str, &'static str)]) -> Self {
        Self { last: RwSignal::new(None), fields }
    }

    /// Trying again.
    pub(crate) fn clear(self) {
        let _gone = self.last.try_set(None);
    }

    /// Shows one and brings the reader there.
    pub(crate) fn show(self, mistake: Mistake) {
        let place = self.fields.iter().find(|(field, _)| mistake.field.as_deref() == Some(*field));
        if let Some((_, id)) = place {
            browser::focus(id);
        }
        let _gone = self.last.try_set(Some(mistake));
    }

    /// Shows why the gateway refused.
    pub(crate) fn take(self, desk: Desk, problem: &Problem) {
        self.take_at(desk, problem, None);
    }

    /// The same, for a form in which only one field can collide with what exists: the gateway names none then.
    pub(crate) fn take_at(self, desk: Desk, problem: &Problem, conflict: Option<&str>) {
        if *problem == Problem::SignedOut {
            desk.session.ended();
            return;
        }
        let field = problem.field().or(conflict.filter(|_| problem.is_conflict()));
        self.show(Mistake { field: field.map(str::to_owned), message: problem.message() });
    }

    /// The mistake in one field. Tracked.
    pub(crate) fn at(self, field: &str) -> Option<String> {
        self.last.with(|last| {
            last.as_ref().filter(|one| one.field.as_deref() == Some(field)).map(|one| one.message.clone())
        })
    }

    /// The mistake that no field shows. Tracked.
    fn elsewhere(self) -> Option<String> {
        let is_shown = |field: &str| self.fields.iter().any(|(known, _)| *known == field);
        self.last.with(|last| {
            let last = last.as_ref()?;
            (!last.field.as_deref().is_some_and(is_shown)).then(|| last.message.clone())
        })
    }

    /// Where that one stands: at the end of the form.
    pub(crate) fn place(self) -> AnyView {
        form_error(move || self.elsewhere()).into_any()
    }
}
