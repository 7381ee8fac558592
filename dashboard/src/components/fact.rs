//! One named value in a list of facts.

use leptos::prelude::*;

/// A short value.
pub(crate) fn fact(label: &'static str, value: impl IntoView + 'static) -> AnyView {
    item("fact", label, value.into_any())
}

/// An id or a path, which needs the room of two.
pub(crate) fn wide_fact(label: &'static str, value: impl IntoView + 'static) -> AnyView {
    item("fact wide", label, value.into_any())
}

fn item(class: &'static str, label: &'static str, value: AnyView) -> AnyView {
    view! {
        <div class=class>
            <dt>{label}</dt>
            <dd>{value}</dd>
        </div>
    }
    .into_any()
}
