//! A share as a bar. Lengths are SVG attributes, which the content security policy leaves alone.

use gateway_api::WindowView;
use leptos::prelude::*;

use crate::logic::number::percent;
use crate::logic::windows::{self, Level};

fn length(share: f64) -> String {
    format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
}

/// A bar with, if known, a tick at the share that would be even use.
pub(crate) fn bar(used: f64, level: Level, tick: Option<f64>) -> impl IntoView {
    view! {
        <svg class="bar" data-level=level.label() width="100%" height="8" aria-hidden="true">
            <rect class="bar-track" width="100%" height="8" rx="4" />
            <rect class="bar-fill" width=length(used) height="8" rx="4" />
            {tick.map(|share| view! { <rect class="bar-tick" x=length(share) width="2" height="8" /> })}
        </svg>
    }
}

/// One quota window with its figures: how full, and when it starts again.
pub(crate) fn window_bar(window: &WindowView, now: i64) -> impl IntoView + use<> {
    let reading = windows::read(window, now);
    let words = windows::in_words(&window.label, &reading);
    let used = percent(reading.used);
    view! {
        <div
            class="window"
            role="meter"
            data-testid="window-bar"
            data-level=reading.level.label()
            aria-label=format!("{} window", window.label)
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow=format!("{:.0}", reading.used * 100.0)
            aria-valuetext=words
        >
            <div class="window-head">
                <span class="window-label">{window.label.clone()}</span>
                <span class="window-used">{used}</span>
            </div>
            {bar(reading.used, reading.level, reading.elapsed)}
            <div class="window-note">{reading.note}</div>
        </div>
    }
}

/// A share in a table cell: a short bar and its figure, or a dash.
pub(crate) fn share_cell(used: Option<f64>, note: Option<String>) -> AnyView {
    match used {
        Some(used) => view! {
            <div class="share-cell">
                <span class="share-figure">{percent(used)}</span>
                {bar(used, Level::of(used), None)}
                {note.map(|note| view! { <span class="share-note">{note}</span> })}
            </div>
        }
        .into_any(),
        None => view! { <span class="unknown">"–"</span> }.into_any(),
    }
}
