//! Policies that ship twice, as a script and as a component: both decide alike, to the last bit of every score, on a
//! corpus that sits on the edges.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_plugin_host::{Limits, PluginHost};
use gateway_policy_host::RhaiHost;
use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{Action, RankDecision, RankInput, RankingPolicy, Roster};
use switchyard_tests::repository;

/// A busy machine must not decide here.
const PATIENCE: Duration = Duration::from_secs(5);

/// The script and the component.
const TWINS: &[(&str, &str)] = &[("usage-balanced", "headroom"), ("weekly-pacing", "weekly-pacing")];

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}; run cargo xtask build first", path.display()))
}

fn bits(decision: &RankDecision) -> Vec<u64> {
    decision.scores.iter().map(|score| if score.is_nan() { u64::MAX } else { score.to_bits() }).collect()
}

/// A question of the corpus; every third with resets that are unknown, or further away than any window.
fn question(corpus: &mut Corpus, round: usize) -> (Arc<Roster>, Arc<RankInput>) {
    let (roster, mut input) = corpus.question(round % 60);
    if round.is_multiple_of(3) {
        let changed = Arc::make_mut(&mut input);
        for (at, candidate) in changed.candidates.iter_mut().enumerate() {
            let odd = [0, 1, u64::from(u32::MAX), u64::MAX];
            candidate.long_window_resets_in_ms = odd.get((at + round) % 7).copied().unwrap_or(604_800_000);
            candidate.short_window_resets_in_ms = odd.get((at + round) % 5).copied().unwrap_or(9_000_000);
        }
    }
    (roster, input)
}

#[test]
fn a_script_and_its_component_decide_alike() -> Result<()> {
    let limits = Limits::default().with_deadline(PATIENCE);
    let (scripts, components) =
        (RhaiHost::new().with_deadline(PATIENCE), PluginHost::new()?.with_limits(limits));
    for (script, component) in TWINS {
        let source = read(&repository().join(format!("policies/{script}.rhai")))?;
        let script = scripts.load(script, &String::from_utf8(source)?)?;
        let bytes = read(&repository().join(format!("plugins/dist/{component}.wasm")))?;
        let component = components.load(component, &bytes, "{}")?;
        let mut corpus = Corpus::new(77)?;
        let mut ranked = 0;
        for round in 0..2_000 {
            let (roster, input) = question(&mut corpus, round);
            let expected = script.rank(&roster, &input)?;
            let found = component.rank(&roster, &input)?;
            assert_eq!(found.action, expected.action, "{input:#?}");
            if matches!(expected.action, Action::Ranked(_)) {
                assert_eq!(bits(&found), bits(&expected), "{input:#?}");
                assert_eq!(found.reason, expected.reason, "{input:#?}");
                ranked += 1;
            }
        }
        ensure!(ranked > 1_500, "only {ranked} questions had an answer");
    }
    Ok(())
}
