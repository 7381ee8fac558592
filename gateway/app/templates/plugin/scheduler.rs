//! Ranks accounts: whoever has the fewest requests running goes first.

use switchyard_plugin_sdk::{About, Decision, RankRequest, Scheduler, export_scheduler};

#[derive(Default)]
struct Plugin;

export_scheduler!(Plugin);

impl Scheduler for Plugin {
    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Fewest running requests first.",
        ..About::PLAIN
    };

    // Everything there is to know is in the request: time and chance too. Keep nothing of it for the next one.
    fn rank(&self, request: &RankRequest) -> Decision {
        let mut free: Vec<_> = request.candidates().filter(|one| request.may_serve(one)).collect();
        free.sort_by(|a, b| a.in_flight().total_cmp(&b.in_flight()));
        if free.is_empty() {
            return Decision::delegate("no account can take it now");
        }
        Decision::ranked(free.iter().map(|one| one.account).collect(), Vec::new(), "fewest requests running")
    }
}
