//! What a connection test found.

use gateway_api::AccountTested;
use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::logic::answer::Problem;
use crate::logic::key_account::DIALECTS;
use crate::logic::number::plural;
use crate::logic::time::latency;

/// Latency, dialects and models, or why it failed.
pub(crate) fn test_result(result: &Result<AccountTested, Problem>) -> AnyView {
    match result {
        Ok(tested) => found(tested),
        Err(problem) => view! {
            <div class="notice" data-tone="warn" role="status" data-testid="test-result">
                <p class="notice-line">
                    {icon(Icon::Warning)} <span>"The test failed. " {problem.message()}</span>
                </p>
            </div>
        }
        .into_any(),
    }
}

fn found(tested: &AccountTested) -> AnyView {
    let word = |dialect: &String| {
        let known = DIALECTS.iter().find(|(key, _)| key == dialect);
        known.map_or_else(|| dialect.clone(), |(_, words)| (*words).to_owned())
    };
    let dialects = tested.dialects.iter().map(word).collect::<Vec<_>>().join(", ");
    let models = tested.models.iter().map(|model| view! { <code class="tag">{model.clone()}</code> });
    let number = plural(tested.models.len() as u64, "model", "models");
    view! {
        <div class="notice" data-tone="good" role="status" data-testid="test-result">
            <p class="notice-line">
                {icon(Icon::Check)}
                <span>
                    "Answered in " {latency(tested.latency_ms)}
                    {(!dialects.is_empty()).then(|| format!(". Speaks {dialects}."))}
                </span>
            </p>
            <details class="models">
                <summary>{number}</summary>
                <div class="chips">{models.collect_view()}</div>
            </details>
        </div>
    }
    .into_any()
}
