//! Why an account cannot be reached, in words, and how its proxy is doing.

use std::time::Duration;

use gateway_api::ProxyHealthView;
use gateway_core::egress::{ProxyHealth, ProxyState};
use gateway_domain::Timestamp;
use gateway_scheduler::Way;

/// Why nobody is sent this way; `None` when it is open.
pub(super) fn why_closed(way: &Way) -> Option<String> {
    match way {
        Way::Open => None,
        Way::Off => Some("its egress proxy is switched off or gone".to_owned()),
        Way::Down(proxy) => {
            Some(format!("its egress proxy {} is down since {}", proxy.name, moment(proxy.since)))
        }
    }
}

/// In UTC, to the second.
fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs()).map_or_else(|_| "-".to_owned(), |moment| moment.to_string())
}

/// What is known of a proxy; nothing before its first probe.
pub(super) fn health_view(health: &ProxyHealth) -> Option<ProxyHealthView> {
    let works = match health.state {
        ProxyState::Unknown => return None,
        ProxyState::Up => true,
        ProxyState::Down => false,
    };
    Some(ProxyHealthView {
        works,
        since: health.since?.as_millis(),
        probed_at: health.probed_at.map(Timestamp::as_millis),
        latency_ms: health.latency.map(millis),
        trouble: health.trouble.clone(),
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_scheduler::DownProxy;
    use std::sync::Arc;

    #[test]
    fn a_closed_way_names_the_proxy_and_the_time() {
        let down = DownProxy { name: "eu".into(), since: Timestamp::from_millis(1_800_000_000_123) };
        let why = why_closed(&Way::Down(Arc::new(down))).unwrap();
        assert_eq!(why, "its egress proxy eu is down since 2027-01-15T08:00:00Z");
        assert!(why_closed(&Way::Off).unwrap().contains("off or gone"));
        assert_eq!(why_closed(&Way::Open), None);
    }
}
