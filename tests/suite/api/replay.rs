//! Recorded rankings: exported, decided again bit for bit, explained, tried with a text that nobody saved.

use anyhow::{Context, Result, ensure};
use gateway_lab::LabConfig;
use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{BuiltIn, RankingPolicy};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, InProcess, turn};

use super::cli::run;
use super::lab;

const LAST: &str = "fn rank(request) { ranked(request.candidates.available().reversed(), \"the last one\") }";

/// A gateway that decided this many requests with a policy.
async fn busy(config: LabConfig, policy: &str, turns: usize) -> Result<(InProcess, Admin)> {
    let gateway = InProcess::start(config).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    admin.choose_policy(policy).await?;
    for number in 0..turns {
        let mut body = turn("hello");
        body["prompt_cache_key"] = json!(format!("conversation-{}", number % 3));
        let answer = gateway.ask(&body).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    }
    Ok((gateway, admin))
}

async fn export(admin: &Admin, query: &str) -> Result<String> {
    let answer = admin.call(Method::GET, &format!("/decisions/trace{query}"), None).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    ensure!(
        answer.header("content-type") == Some("application/x-ndjson"),
        "{:?}",
        answer.header("content-type")
    );
    Ok(answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_reproduces_what_it_decided() -> Result<()> {
    for policy in ["builtin:usage-balanced", "rhai:weekly-pacing", "wasm:headroom"] {
        let (gateway, admin) = busy(lab(3), policy, 9).await?;
        let trace = export(&admin, "").await?;
        assert_eq!(trace.lines().filter(|line| line.starts_with("{\"decision\"")).count(), 9, "{policy}");
        assert!(!trace.contains("hello"), "no text of a prompt");
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("trace.jsonl"), &trace)?;
        let file = match policy.split_once(':') {
            Some(("rhai", name)) => copied(folder.path(), &format!("policies/{name}.rhai"))?,
            Some(("wasm", name)) => copied(folder.path(), &format!("plugins/dist/{name}.wasm"))?,
            _ => "builtin".to_owned(),
        };
        let ran = run(folder.path(), &["replay", "--policy", &file, "trace.jsonl", "--json"], &[], "")?;
        assert_eq!(ran.code, Some(0), "{policy}: {ran:?}");
        let report: Value = serde_json::from_str(&ran.out)?;
        // What ran out of time on a busy machine is nobody's own decision.
        let late = trace.matches("\"fallback\":\"timed_out\"").count();
        let own = json!(9 - late);
        assert!(late < 9, "{policy}: {report}");
        assert_eq!((&report["own"], &report["reproduced"]), (&own, &own), "{policy}: {report}");
        assert_eq!(&report["sessions"], &json!(3), "{policy}: {report}");
        assert!(report["same_bits"].as_u64() >= own.as_u64(), "{policy}: {report}");
        gateway.stop().await?;
    }
    Ok(())
}

fn copied(folder: &std::path::Path, path: &str) -> Result<String> {
    let from = switchyard_tests::repository().join(path);
    let name = from.file_name().context("no name")?.to_string_lossy().into_owned();
    std::fs::copy(&from, folder.join(&name)).with_context(|| from.display().to_string())?;
    Ok(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_is_compared_and_a_forged_trace_is_found() -> Result<()> {
    let (gateway, admin) = busy(lab(3), "builtin:usage-balanced", 8).await?;
    let folder = tempfile::tempdir()?;
    let trace = export(&admin, "?limit=6").await?;
    std::fs::write(folder.path().join("trace.jsonl"), &trace)?;
    std::fs::write(folder.path().join("last.rhai"), LAST)?;
    let replayed = |arguments: &[&str]| run(folder.path(), &[&["replay"], arguments].concat(), &[], "");

    let ran = replayed(&["--policy", "last.rhai", "trace.jsonl"])?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "decided 6 requests again",
        "nothing to reproduce",
        "conversations moved",
        "went elsewhere: req_",
        "the last one",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = replayed(&["--policy", "last.rhai", "--against", "last.rhai", "trace.jsonl", "--json"])?;
    let report: Value = serde_json::from_str(&ran.out)?;
    assert_eq!((&report["same_bits"], &report["against"]), (&json!(6), &json!("rhai:last")));

    // Whoever changes what was decided is told so, and the command fails.
    let forged = trace.replacen("\"reason\":\"", "\"reason\":\"not ", 1);
    std::fs::write(folder.path().join("forged.jsonl"), forged)?;
    let ran = replayed(&["--policy", "builtin", "forged.jsonl"])?;
    assert!(ran.code == Some(1) && ran.err.contains("1 of 6 decisions of this very policy"), "{ran:?}");
    for (arguments, code, says) in [
        (&["--policy", "last.rhai", "nowhere.jsonl"][..], 3, "there is no file"),
        (&["--policy", "last.txt", "trace.jsonl"], 2, "is no policy"),
        (&["--policy", "last.rhai", "last.rhai"], 1, "line 1"),
        (&["trace.jsonl"], 2, "--policy"),
    ] {
        let ran = replayed(arguments)?;
        assert!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }

    // One decision, explained from the trace.
    let first = trace.lines().find(|line| line.starts_with("{\"decision\"")).context("no decision")?;
    let first: Value = serde_json::from_str(first)?;
    let id = first.pointer("/decision/request_id").and_then(Value::as_str).context("no id")?;
    let explained = ["policy", "explain", "last.rhai", "--trace", "trace.jsonl", "--decision", id];
    let ran = run(folder.path(), &explained, &[], "")?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("recorded: builtin:usage-balanced") && ran.out.contains("the last one"),
        "{}",
        ran.out
    );
    let one = export(&admin, &format!("?request_id={id}")).await?;
    assert!(one.contains(id) && one.lines().filter(|line| line.starts_with("{\"decision\"")).count() == 1);
    let missing = admin.call(Method::GET, "/decisions/trace?request_id=req_none", None).await?;
    assert_eq!(missing.status, 404);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_nobody_saved_is_tried_on_recorded_traffic() -> Result<()> {
    let (gateway, admin) = busy(lab(3), "builtin:usage-balanced", 6).await?;
    let draft = |source: &str| json!({ "name": "draft", "source": source });
    let good = admin.expect(200, Method::POST, "/policies/dry-run", Some(&draft(LAST))).await?;
    assert_eq!(good.pointer("/check/passed"), Some(&json!(true)), "{good}");
    assert_eq!(good.pointer("/replay/decisions"), Some(&json!(6)), "{good}");
    assert_eq!(good.pointer("/replay/policy"), Some(&json!("rhai:draft")));
    assert_eq!(good.pointer("/replay/against"), Some(&json!("recorded")));
    let mut against = draft(LAST);
    against["against"] = json!("rhai:round-robin");
    against["limit"] = json!(4);
    let other = admin.expect(200, Method::POST, "/policies/dry-run", Some(&against)).await?;
    assert_eq!(other.pointer("/replay/against"), Some(&json!("rhai:round-robin")));
    assert_eq!(other.pointer("/replay/decisions"), Some(&json!(4)));

    // What does not load is told with its place, and nothing serves it.
    let bad = draft("fn rank(request) {\n    ranked(nobody)\n}");
    let bad = admin.expect(200, Method::POST, "/policies/dry-run", Some(&bad)).await?;
    assert_eq!(bad.pointer("/replay"), Some(&Value::Null));
    let steps = bad.pointer("/check/steps").and_then(Value::as_array).context("no steps")?;
    let failed = steps.iter().find(|step| step["outcome"] == "failed").context("none failed")?;
    assert_eq!(
        (&failed["line"], &failed["source_line"]),
        (&json!(2), &json!("    ranked(nobody)")),
        "{failed}"
    );
    let names = admin.get("/policies").await?;
    assert!(!names.to_string().contains("draft"), "a dry run changes nothing");
    for (body, field) in [
        (json!({ "name": "../x", "source": LAST }), "name"),
        (json!({ "name": "x", "source": LAST, "against": "rhai:none" }), "against"),
    ] {
        let refused = admin.expect(422, Method::POST, "/policies/dry-run", Some(&body)).await?;
        assert_eq!(refused["field"], field, "{refused}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_traced_is_not_kept() -> Result<()> {
    let gateway = InProcess::start_with(lab(2), |settings| settings.trace.kept = 0).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    gateway.ask(&turn("hello")).await?;
    let answer = admin.call(Method::GET, "/decisions/trace", None).await?;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains("decisions.traced"), "{}", answer.text());
    gateway.stop().await
}

/// Ten thousand decisions by a component, as a dry run would ask for them. The time is that of a release build's aim; a debug
/// build gets ten times as much.
#[test]
fn ten_thousand_decisions_take_no_time() -> Result<()> {
    use std::sync::Arc;

    use gateway_core::decisions::Ranking;
    use gateway_core::ranking::decide;
    use gateway_core::replay::{ReplayOptions, replay};
    use gateway_plugin_host::PluginHost;

    let bytes = std::fs::read(switchyard_tests::repository().join("plugins/dist/headroom.wasm"))?;
    let limits = gateway_plugin_host::Limits::default().with_deadline(std::time::Duration::from_secs(5));
    let headroom = PluginHost::new()?.with_limits(limits).load("headroom", &bytes, "")?;
    let builtin = BuiltIn::default();
    let mut corpus = Corpus::new(41)?;
    let questions: Vec<_> = (0..50).map(|_| corpus.question(10)).collect();
    let rankings: Vec<_> = (0..10_000)
        .map(|round| {
            let (roster, input) = &questions[round * questions.len() / 10_000];
            let decided = decide(&headroom, &builtin, roster, input);
            Arc::new(Ranking {
                policy: std::sync::Arc::new(RankingPolicy::version(&headroom).clone()),
                fallback: decided.fallback,
                input: input.clone(),
                roster: roster.clone(),
                closed: Arc::default(),
                scope: None,
                decision: decided.decision,
                took: std::time::Duration::ZERO,
            })
        })
        .collect();
    let report = replay(&rankings, &headroom, None, ReplayOptions::default());
    assert_eq!((report.own, report.reproduced), (10_000, 10_000));
    let aim = if cfg!(debug_assertions) { 10 } else { 1 };
    println!("10000 decisions in wasm: {:?}, median {:?}", report.time.total, report.time.median);
    assert!(report.time.total < std::time::Duration::from_secs(aim), "{:?}", report.time);
    Ok(())
}
