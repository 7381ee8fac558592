//! What stands where there is nothing to show: waiting, nothing yet, not possible.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::load::{Load, Loader};
use crate::logic::answer::Problem;

/// Grey lines in the shape of what comes.
pub(crate) fn skeleton(lines: usize) -> impl IntoView {
    view! {
        <div class="skeleton" role="status">
            <span class="visually-hidden">"Loading"</span>
            {(0..lines).map(|_| view! { <div class="skeleton-line"></div> }).collect_view()}
        </div>
    }
}

/// Nothing yet, and what to do about it.
pub(crate) fn empty(heading: &'static str, text: &'static str) -> impl IntoView {
    view! {
        <div class="empty">
            <p class="empty-heading">{heading}</p>
            <p>{text}</p>
        </div>
    }
}

/// It did not work, and the way to try again.
pub(crate) fn trouble<Retry: Fn() + 'static>(problem: &Problem, retry: Retry) -> impl IntoView + use<Retry> {
    let message = problem.message();
    let heading = if problem.is_missing() { "Not found" } else { "This could not be loaded" };
    view! {
        <div class="empty" role="alert">
            {icon(Icon::Warning)}
            <p class="empty-heading">{heading}</p>
            <p>{message}</p>
            <div class="actions">
                <button type="button" class="button" on:click=move |_| retry()>
                    "Try again"
                </button>
                <a class="button quiet" href="/">
                    "To the overview"
                </a>
            </div>
        </div>
    }
}

/// Shows a loaded value, or what stands in its place.
pub(crate) fn loaded<T: Clone + Send + Sync + 'static>(
    loader: Loader<T>,
    lines: usize,
    show: impl Fn(T) -> AnyView + Send + 'static,
) -> impl IntoView {
    move || match loader.get() {
        Load::Waiting => skeleton(lines).into_any(),
        Load::Ready(value) => show(value),
        Load::Failed(problem) => trouble(&problem, move || loader.reload()).into_any(),
    }
}
