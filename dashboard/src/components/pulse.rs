//! The live figures: requests a second over the last minute, and the totals since the start.

use gateway_api::Overview;
use leptos::prelude::*;

use crate::logic::number::{UNKNOWN, compact, count, percent, rate, share};
use crate::logic::spark::{self, HEIGHT, WIDTH};
use crate::logic::time::{span, took};

/// The board at the top of the overview.
#[component]
pub(crate) fn Pulse(overview: Memo<Option<Overview>>) -> impl IntoView {
    move || overview.get().map(|overview| board(&overview))
}

fn board(overview: &Overview) -> impl IntoView + use<> {
    view! {
        <section class="panel pulse" aria-labelledby="pulse-title">
            <div class="pulse-now">
                <h2 id="pulse-title" class="eyebrow">
                    "Requests per second"
                </h2>
                <p class="pulse-rate" data-testid="rps">
                    {rate(overview.requests_per_second)}
                </p>
                <p class="pulse-note">{format!("{} running now", count(overview.in_flight.into()))}</p>
            </div>
            {chart(overview)}
            {figures(overview)}
        </section>
    }
}

fn chart(overview: &Overview) -> impl IntoView + use<> {
    let drawn = spark::spark(&overview.rate);
    let words = spark::in_words(&overview.rate);
    let peak = (drawn.peak > 0).then(|| format!("peak {}", drawn.peak));
    view! {
        <figure class="chart">
            <svg
                class="spark"
                viewBox=format!("0 0 {WIDTH} {HEIGHT}")
                preserveAspectRatio="none"
                role="img"
                aria-label=words
            >
                <path class="spark-area" d=drawn.area />
                <path class="spark-line" d=drawn.line />
                <path class="spark-failures" d=drawn.failures />
            </svg>
            <figcaption class="chart-foot">
                <span>"60 s ago"</span>
                <span>{peak}</span>
                <span>"now"</span>
            </figcaption>
        </figure>
    }
}

fn figures(overview: &Overview) -> impl IntoView + use<> {
    let failed = share(overview.failures, overview.requests).map_or_else(
        || "none failed".to_owned(),
        |share| {
            if overview.failures == 0 {
                "none failed".to_owned()
            } else {
                format!("{} failed", percent(share))
            }
        },
    );
    let cached = share(overview.tokens.input_cached, overview.tokens.input)
        .map(|share| format!("{} cached", percent(share)));
    let reasoning = share(overview.tokens.reasoning, overview.tokens.output)
        .map(|share| format!("{} reasoning", percent(share)));
    let first = overview.ttft_p50_ms.map_or_else(|| UNKNOWN.to_owned(), took);
    let up = span(overview.now.saturating_sub(overview.started_at));
    view! {
        <dl class="figures">
            {figure("Requests", count(overview.requests), Some(failed))}
            {figure("First event", first, Some("median".to_owned()))}
            {figure("Tokens in", compact(overview.tokens.input), cached)}
            {figure("Tokens out", compact(overview.tokens.output), reasoning)}
            {figure("Running for", up, None)}
        </dl>
    }
}

fn figure(label: &'static str, value: String, note: Option<String>) -> impl IntoView {
    view! {
        <div class="figure">
            <dt>{label}</dt>
            <dd>
                <span class="figure-value">{value}</span>
                <span class="figure-note">{note}</span>
            </dd>
        </div>
    }
}
