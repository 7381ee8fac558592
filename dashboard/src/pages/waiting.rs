//! Before the gateway has said where the visitor stands.

use leptos::prelude::*;

use crate::components::gate_card::GateCard;
use crate::components::state::skeleton;
use crate::logic::answer::Problem;

/// Waits quietly at first; once the gateway did not answer, says what is wrong.
#[component]
pub(crate) fn WaitingPage(problem: Option<Problem>) -> impl IntoView {
    match problem {
        None => view! { <div class="gate">{skeleton(3)}</div> }.into_any(),
        Some(problem) => view! {
            <GateCard title="Waiting for the gateway" lead="This page goes on by itself as soon as it answers.">
                <p class="form-error" role="alert">
                    {problem.message()}
                </p>
            </GateCard>
        }
        .into_any(),
    }
}
