//! Numbers for Prometheus. Label values are bounded words of ours, never input.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gateway_core::Gateway;
use gateway_core::ports::{Ended, Observer, RankingSeen};
use gateway_domain::Failure;
use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::rescue;

/// From 100 µs to 10 min: a gateway's own share and a long answer on one scale.
const SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
    120.0, 600.0,
];
/// From 1 µs to 10 ms.
const RANKING_SECONDS: [f64; 10] = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 5e-4, 2e-3, 1e-2];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    outcome: &'static str,
    origin: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RankingLabels {
    language: &'static str,
    fallback: &'static str,
}

/// The kinds of tokens: cached ones are part of the input, reasoning of the output.
const TOKEN_KINDS: [&str; 4] = ["input", "cached", "output", "reasoning"];

/// All metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    first_event: Histogram,
    overhead: Histogram,
    /// By [`TOKEN_KINDS`]; looked up once, because every request counts here.
    tokens: [Counter; TOKEN_KINDS.len()],
    rankings: Family<RankingLabels, Counter>,
    ranking_duration: Histogram,
    rotations: Family<KindLabel, Counter>,
    settlements_dropped: Counter,
    in_flight: Gauge,
    accounts: Family<KindLabel, Gauge>,
    usable_share: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let tokens = Family::<KindLabel, Counter>::default();
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("switchyard")),
            requests: Family::default(),
            duration: Histogram::new(SECONDS),
            first_event: Histogram::new(SECONDS),
            overhead: Histogram::new(SECONDS),
            tokens: TOKEN_KINDS.map(|kind| tokens.get_or_create_owned(&KindLabel { kind })),
            rankings: Family::default(),
            ranking_duration: Histogram::new(RANKING_SECONDS),
            rotations: Family::default(),
            settlements_dropped: Counter::default(),
            in_flight: Gauge::default(),
            accounts: Family::default(),
            usable_share: Gauge::default(),
        };
        metrics.register(tokens);
        metrics
    }
}

impl Metrics {
    fn register(&self, tokens: Family<KindLabel, Counter>) {
        let mut registry = self.registry.lock();
        let r = &mut *registry;
        let secs = || Unit::Seconds;
        r.register(
            "requests",
            "requests that ended, by route, outcome and whose doing a failure was",
            self.requests.clone(),
        );
        r.register_with_unit("request_duration", "from arrival to the end", secs(), self.duration.clone());
        r.register_with_unit(
            "first_event",
            "from arrival to the first event",
            secs(),
            self.first_event.clone(),
        );
        r.register_with_unit(
            "gateway_overhead",
            "from arrival to the first sending upstream",
            secs(),
            self.overhead.clone(),
        );
        r.register("tokens", "tokens served, by kind (cached is part of input, reasoning of output)", tokens);
        r.register(
            "rankings",
            "rankings made, by language and by why the built-in stepped in",
            self.rankings.clone(),
        );
        r.register_with_unit(
            "ranking_duration",
            "how long a ranking took",
            secs(),
            self.ranking_duration.clone(),
        );
        r.register("token_rotations", "token rotations, by how they ended", self.rotations.clone());
        r.register(
            "settlements_dropped",
            "settlements that could not be queued",
            self.settlements_dropped.clone(),
        );
        r.register("requests_in_flight", "requests running now", self.in_flight.clone());
        r.register("accounts", "accounts, by health", self.accounts.clone());
        r.register(
            "accounts_usable_ratio",
            "share of accounts that can serve now",
            self.usable_share.clone(),
        );
    }

    /// All of it as text.
    pub(crate) fn text(&self, gateway: &Gateway) -> String {
        self.read_pool(gateway);
        let mut text = String::new();
        if encode(&mut text, &self.registry.lock()).is_err() {
            tracing::error!("the metrics could not be written");
        }
        text
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of accounts are small")]
    fn read_pool(&self, gateway: &Gateway) {
        let now = gateway.now();
        let healths: Vec<_> =
            gateway.with_pool(|pool| pool.members().map(|slot| slot.health(None, now)).collect());
        self.accounts.clear();
        for health in &healths {
            self.accounts.get_or_create(&KindLabel { kind: health.label() }).inc();
        }
        let usable = healths.iter().filter(|health| health.is_usable()).count();
        self.usable_share.set(usable as f64 / healths.len().max(1) as f64);
        self.in_flight.set(i64::from(gateway.with_traffic(|traffic| traffic.in_flight)));
    }

    /// A request that was refused before the pipeline saw it.
    pub(crate) fn refused(&self, route: &'static str, failure: &Failure, duration: Duration) {
        self.count(route, failure.kind.label(), failure.origin.label(), duration);
    }

    fn count(&self, route: &'static str, outcome: &'static str, origin: &'static str, duration: Duration) {
        self.requests.get_or_create(&RequestLabels { route, outcome, origin }).inc();
        self.duration.observe(duration.as_secs_f64());
    }
}

impl Observer for Metrics {
    fn status_of(&self, failure: &Failure) -> u16 {
        rescue::status_of(failure).as_u16()
    }

    fn ended(&self, ended: Ended<'_>) {
        let origin = ended.failure.map_or("", |failure| failure.origin.label());
        self.count(ended.route.label(), ended.outcome.label(), origin, ended.duration);
        if let Some(span) = ended.first_event {
            self.first_event.observe(span.as_secs_f64());
        }
        if let Some(span) = ended.overhead {
            self.overhead.observe(span.as_secs_f64());
        }
        if let Some(usage) = ended.usage {
            let counts = [usage.input, usage.input_cached, usage.output, usage.reasoning];
            for (counter, count) in self.tokens.iter().zip(counts) {
                counter.inc_by(count);
            }
        }
    }

    fn ranked(&self, ranking: RankingSeen) {
        let fallback = ranking.fallback.unwrap_or("");
        self.rankings.get_or_create(&RankingLabels { language: ranking.language, fallback }).inc();
        self.ranking_duration.observe(ranking.took.as_secs_f64());
    }

    fn settlement_dropped(&self) {
        self.settlements_dropped.inc();
    }

    fn refreshed(&self, outcome: &'static str) {
        self.rotations.get_or_create(&KindLabel { kind: outcome }).inc();
    }
}
