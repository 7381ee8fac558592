//! `switchyard plugin check`: the admission step by step, then the conformance kit.

use std::time::Duration;

use anyhow::bail;
use gateway_plugin_host::{
    AdmissionError, Capability, Grants, Limits, Manifest, Package, Plugin, PluginHost, Probe, Step, Vouching,
    conformance,
};
use serde::Serialize;

use super::super::text::{plain, span_us};
use super::super::{tell, tell_json};
use super::{Checked, Files, trusted};

/// One step of the admission, for programs.
#[derive(Serialize)]
struct StepTold {
    step: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// One probe of the kit, for programs.
#[derive(Serialize)]
struct ProbeTold {
    hook: &'static str,
    about: &'static str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    slowest_us: f64,
    limit_us: f64,
    slow: bool,
}

/// All of it, for programs.
#[derive(Serialize)]
struct CheckTold {
    plugin: String,
    passed: bool,
    admitted: bool,
    trust: Option<&'static str>,
    steps: Vec<StepTold>,
    probes: Vec<ProbeTold>,
}

/// Checks a component.
pub(super) fn run(args: &Checked) -> anyhow::Result<()> {
    let files = Files::read(&args.file)?;
    let admitted = admit(&files, args, Vouching::Signature)?;
    let steps = steps(&files, admitted.as_ref().err());
    let probes = match &admitted {
        // With instances that are kept, as once somebody answers for it: that is where a memory of other requests shows.
        Ok(_) => conformance(&admit(&files, args, Vouching::Operator)??)?,
        Err(_) => Vec::new(),
    };
    let told = CheckTold {
        plugin: files.name.clone(),
        passed: admitted.is_ok() && probes.iter().all(|probe| probe.problem.is_none()),
        admitted: admitted.is_ok(),
        trust: admitted.as_ref().ok().map(|plugin| plugin.trust().label()),
        steps,
        probes: probes.iter().map(probe_told).collect(),
    };
    if args.json {
        tell_json(&told)?;
    } else {
        tell(&in_words(&told));
    }
    if let Err(error) = admitted {
        bail!("{error}");
    }
    match told.probes.iter().filter(|probe| !probe.passed).count() {
        0 => Ok(()),
        1 => bail!("one probe failed"),
        many => bail!("{many} probes failed"),
    }
}

/// Takes a component in as a gateway would that was granted what the flags say.
pub(super) fn admit(
    files: &Files,
    args: &Checked,
    vouching: Vouching,
) -> anyhow::Result<Result<Plugin, AdmissionError>> {
    let host = PluginHost::new()?.with_limits(Limits::default()).trusting(trusted(&args.trust)?);
    let asked = files.manifest.as_deref().and_then(|text| Manifest::parse(text).ok());
    let capabilities = asked.filter(|_| args.grant).map(|manifest| manifest.wants).unwrap_or_default();
    let harmless = |one: &Capability| !one.needs_trust();
    let grants =
        Grants { capabilities: capabilities.into_iter().filter(harmless).collect(), ..Grants::default() };
    let package = Package {
        manifest: files.manifest.as_deref(),
        signature: files.signature.as_deref(),
        vouching,
        grants,
        ..Package::found(&files.name, &files.component)
    };
    Ok(host.admit(package))
}

fn steps(files: &Files, error: Option<&AdmissionError>) -> Vec<StepTold> {
    let mut steps = Vec::new();
    for step in Step::ALL {
        let label = step.label();
        match error {
            Some(error) if error.step == step => {
                steps.push(StepTold { step: label, outcome: "failed", why: Some(error.message.clone()) });
                break;
            }
            _ => {
                let why = nothing_to_do(files, step);
                let outcome = if why.is_some() { "skipped" } else { "passed" };
                steps.push(StepTold { step: label, outcome, why: why.map(str::to_owned) });
            }
        }
    }
    steps
}

fn nothing_to_do(files: &Files, step: Step) -> Option<&'static str> {
    let pins = || {
        let manifest = files.manifest.as_deref().and_then(|text| Manifest::parse(text).ok());
        manifest.is_some_and(|manifest| manifest.digest.is_some())
    };
    match step {
        Step::Digest if !pins() => Some("its manifest pins none"),
        Step::Signature if files.signature.is_none() => {
            Some("it is not signed: it will get an instance for each call, no secrets and no network")
        }
        _ => None,
    }
}

fn probe_told(probe: &Probe) -> ProbeTold {
    let micros = |span: Duration| span.as_secs_f64() * 1e6;
    ProbeTold {
        hook: probe.hook.label(),
        about: probe.about,
        passed: probe.problem.is_none(),
        why: probe.problem.clone(),
        slowest_us: micros(probe.slowest),
        limit_us: micros(probe.limit),
        slow: probe.is_slow(),
    }
}

fn in_words(told: &CheckTold) -> String {
    let mut lines = vec!["admission".to_owned()];
    for step in &told.steps {
        let why = step.why.as_deref().map(plain).unwrap_or_default();
        lines.push(match step.outcome {
            "passed" => format!("  {:11}  ok", step.step),
            "skipped" => format!("  {:11}  -   {why}", step.step),
            _ => format!("  {:11}  FAILED\n    {why}", step.step),
        });
    }
    if let Some(trust) = told.trust {
        lines.push(format!("{} is admitted ({trust})", plain(&told.plugin)));
    }
    if !told.probes.is_empty() {
        lines.push("conformance".to_owned());
    }
    for probe in &told.probes {
        let outcome = match &probe.why {
            Some(why) => format!("FAILED\n    {}", plain(why)),
            None if probe.slow => {
                format!("ok, but slow here: {} of {}", span_us(probe.slowest_us), span_us(probe.limit_us))
            }
            None => format!("ok  {}", span_us(probe.slowest_us)),
        };
        lines.push(format!("  {:15}  {:62}  {outcome}", probe.hook, probe.about));
    }
    lines.join("\n")
}
