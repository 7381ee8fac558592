//! The tries of one request on one time axis.

use gateway_api::{AttemptView, DecisionView};

/// One try as shares of the whole request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// Where it starts.
    pub(crate) start: f64,
    /// How long it waited for the first event.
    pub(crate) waiting: f64,
    /// How long it streamed after that.
    pub(crate) streaming: f64,
}

/// The bars in the order of the tries. A request that still runs ends, for the drawing, at its last known moment.
pub(crate) fn bars(view: &DecisionView) -> Vec<Bar> {
    let latest = view.attempts.iter().map(last_moment).fold(0.0, f64::max);
    let whole = view.summary.duration_ms.filter(|ms| ms.is_finite()).unwrap_or(latest).max(latest);
    if whole <= 0.0 {
        return view.attempts.iter().map(|_| Bar { start: 0.0, waiting: 0.0, streaming: 1.0 }).collect();
    }
    let ends = view.attempts.iter().skip(1).map(|next| next.started_ms).chain([whole]);
    view.attempts
        .iter()
        .zip(ends)
        .map(|(attempt, end)| {
            let start = attempt.started_ms.clamp(0.0, whole);
            let end = end.clamp(start, whole);
            let first = attempt.first_event_ms.map_or(end, |ms| (start + ms).clamp(start, end));
            Bar { start: start / whole, waiting: (first - start) / whole, streaming: (end - first) / whole }
        })
        .collect()
}

fn last_moment(attempt: &AttemptView) -> f64 {
    let moment = attempt.started_ms + attempt.first_event_ms.unwrap_or(0.0);
    if moment.is_finite() { moment } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use gateway_api::DecisionSummary;

    use super::*;

    fn view(duration_ms: Option<f64>, tries: &[(f64, Option<f64>)]) -> DecisionView {
        DecisionView {
            summary: DecisionSummary {
                request_id: "r".to_owned(),
                at: 0,
                model: "m".to_owned(),
                client: "local".to_owned(),
                account_id: None,
                account_name: None,
                reason: String::new(),
                outcome: "completed".to_owned(),
                status: None,
                duration_ms,
                attempts: 0,
            },
            route: String::new(),
            transport: String::new(),
            streaming: true,
            session: None,
            body_bytes: 0,
            usage: None,
            edits: Vec::new(),
            extensions: Vec::new(),
            mapped_to: None,
            tags: Vec::new(),
            rankings: Vec::new(),
            attempts: tries
                .iter()
                .map(|(started_ms, first_event_ms)| AttemptView {
                    account_id: String::new(),
                    account_name: String::new(),
                    outcome: String::new(),
                    upstream_status: None,
                    transport: None,
                    started_ms: *started_ms,
                    first_event_ms: *first_event_ms,
                    ranking: 0,
                })
                .collect(),
        }
    }

    #[test]
    fn a_failed_try_ends_where_the_next_starts() {
        let drawn = bars(&view(Some(1_000.0), &[(0.0, None), (200.0, Some(300.0))]));
        assert_eq!(drawn[0], Bar { start: 0.0, waiting: 0.2, streaming: 0.0 });
        assert_eq!(drawn[1], Bar { start: 0.2, waiting: 0.3, streaming: 0.5 });
    }

    #[test]
    fn a_running_request_ends_at_what_is_known() {
        let drawn = bars(&view(None, &[(10.0, Some(90.0))]));
        assert_eq!(drawn[0], Bar { start: 0.1, waiting: 0.9, streaming: 0.0 });
        assert_eq!(bars(&view(None, &[(0.0, None)]))[0].streaming, 1.0);
    }

    #[test]
    fn nothing_leaves_the_axis() {
        for bar in bars(&view(Some(100.0), &[(40.0, Some(900.0)), (20.0, None)])) {
            assert!(bar.start >= 0.0 && bar.start + bar.waiting + bar.streaming <= 1.0 + 1e-9, "{bar:?}");
        }
    }
}
