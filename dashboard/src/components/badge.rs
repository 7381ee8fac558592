//! A state in a colour, an icon and a word.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::logic::decisions::{health_tone, outcome_tone, outcome_word, sentence_case};
use crate::logic::policies::language_word;

/// A badge of any tone.
pub(crate) fn badge(tone: &'static str, words: String) -> impl IntoView {
    view! {
        <span class="badge" data-tone=tone>
            {icon(Icon::of_tone(tone))}
            {words}
        </span>
    }
}

/// How a request or a try ended.
pub(crate) fn outcome_badge(outcome: &str) -> impl IntoView + use<> {
    badge(outcome_tone(outcome), outcome_word(outcome))
}

/// How a candidate was doing.
pub(crate) fn health_badge(health: &str) -> impl IntoView + use<> {
    badge(health_tone(health), sentence_case(health))
}

/// The language a policy is written in.
pub(crate) fn language_badge(language: &str) -> impl IntoView + use<> {
    view! { <span class="tag">{language_word(language)}</span> }
}
