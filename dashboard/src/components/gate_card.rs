//! The frame of the pages before one is signed in: the sign, one card, the theme.

use leptos::prelude::*;

use super::header::{ThemeToggle, brand};
use super::title::Title;

/// A page with one thing to do.
#[component]
pub(crate) fn GateCard(title: &'static str, lead: &'static str, children: Children) -> impl IntoView {
    view! {
        <div class="gate">
            <div class="gate-head">{brand()} <ThemeToggle /></div>
            <main class="gate-card">
                <Title text=title.to_owned() />
                <p class="lead">{lead}</p>
                {children()}
            </main>
        </div>
    }
}
