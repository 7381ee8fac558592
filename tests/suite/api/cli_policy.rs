//! Policies on the command line: checked with their place, tested, laid out, explained, measured.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use switchyard_tests::repository;

use super::cli::{Ran, run};

const IDLE: &str = "fn rank(request) {\n    ranked(request.candidates.available().min_by(\"in_flight\"), \"fewest running\")\n}\n\nfn test_idle() {\n    let answer = ask(#{ accounts: [#{ label: \"busy\", in_flight: 2 }, #{ label: \"idle\" }] });\n    assert_eq(answer.order, [\"idle\", \"busy\"]);\n}\n";
const CASE: &str = r#"{
  "about": "the idle one goes first",
  "question": { "accounts": [
    { "label": "busy", "in_flight": 2 }, { "label": "idle" }, { "label": "gone", "health": "blocked" } ] },
  "expect": { "order": ["idle", "busy"] }
}"#;

fn policies() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("idle.rhai"), IDLE)?;
    std::fs::create_dir_all(folder.path().join("cases/idle"))?;
    std::fs::write(folder.path().join("cases/idle/one.json"), CASE)?;
    Ok(folder)
}

fn ask(folder: &tempfile::TempDir, arguments: &[&str]) -> Result<Ran> {
    run(folder.path(), &[&["policy"], arguments].concat(), &[], "")
}

fn json(ran: &Ran) -> Result<Value> {
    serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))
}

#[test]
fn a_good_policy_passes_every_step() -> Result<()> {
    let folder = policies()?;
    let ran = ask(&folder, &["check", "idle.rhai"])?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for step in ["read", "compile", "trial", "corpus", "test test_idle", "case one.json"] {
        let line = ran.out.lines().find(|line| line.trim_start().starts_with(step));
        assert!(line.is_some_and(|line| line.ends_with("ok")), "{step}: {}", ran.out);
    }
    let tested = ask(&folder, &["test", "idle.rhai", "--json"])?;
    let report = json(&tested)?;
    let steps = report.pointer("/0/steps").and_then(Value::as_array).context("no steps")?;
    let names: Vec<_> = steps.iter().filter_map(|step| step.get("step")?.as_str()).collect();
    assert_eq!(names, ["read", "compile", "test test_idle", "case one.json"]);
    Ok(())
}

#[test]
fn a_mistake_is_shown_with_its_line() -> Result<()> {
    let folder = policies()?;
    for (source, kind, line, says) in [
        ("fn rank(request) {\n    let x = 1;\n    ranked(y)\n}\n", "syntax", 3, "ranked(y)"),
        (
            "fn rank(request) {\n    request.candidates.fastest()\n}\n",
            "runtime",
            2,
            "request.candidates.fastest()",
        ),
    ] {
        std::fs::write(folder.path().join("bad.rhai"), source)?;
        let ran = ask(&folder, &["check", "bad.rhai"])?;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains(&format!("--> bad.rhai:{line}:")), "{}", ran.out);
        let shown = ran.out.lines().position(|text| text.contains(says)).context("the line is not shown")?;
        let mark = ran.out.lines().nth(shown + 1).context("no mark")?;
        assert!(mark.trim_start().starts_with('|') && mark.ends_with('^'), "{}", ran.out);
        let report = json(&ask(&folder, &["check", "bad.rhai", "--json"])?)?;
        let failed = report.pointer("/0/steps").and_then(Value::as_array).context("no steps")?;
        let failed = failed.iter().find(|step| step["outcome"] == "failed").context("none failed")?;
        assert_eq!((failed["kind"].as_str(), failed["line"].as_i64()), (Some(kind), Some(line)), "{failed}");
        assert_eq!(failed["source"].as_str().map(str::trim), Some(says));
    }
    // What never ends has no place, but an end.
    std::fs::write(folder.path().join("bad.rhai"), "fn rank(request) {\n    loop {}\n}\n")?;
    let ran = ask(&folder, &["check", "bad.rhai"])?;
    assert!(ran.code == Some(1) && ran.out.contains("it ran out of"), "{ran:?}");
    // A mistake in a module is shown in the module.
    std::fs::write(folder.path().join("part.rhai"), "fn broken(x) {\n    x +\n}\n")?;
    std::fs::write(
        folder.path().join("uses.rhai"),
        "import \"part\" as part;\nfn rank(request) { delegate() }\n",
    )?;
    let ran = ask(&folder, &["check", "uses.rhai"])?;
    assert!(ran.code == Some(1) && ran.out.contains("part.rhai:"), "{ran:?}");
    // What a case wants and does not get.
    std::fs::write(
        folder.path().join("cases/idle/one.json"),
        CASE.replace("\"idle\", \"busy\"", "\"busy\""),
    )?;
    let ran = ask(&folder, &["test", "idle.rhai"])?;
    assert!(ran.code == Some(1) && ran.out.contains("expected order busy, found idle, busy"), "{ran:?}");
    let ran = ask(&folder, &["check", "missing.rhai"])?;
    assert!(ran.code == Some(1) && ran.out.contains("missing.rhai"), "{ran:?}");
    let ran = ask(&folder, &["check", "a.wasm"])?;
    assert!(ran.code == Some(2) && ran.err.contains("plugin check"), "{ran:?}");
    Ok(())
}

#[test]
fn a_mess_is_laid_out_and_says_the_same() -> Result<()> {
    let folder = policies()?;
    let mess = IDLE.lines().map(|line| format!("   {}\t\n", line.trim())).collect::<String>();
    std::fs::write(folder.path().join("idle.rhai"), &mess)?;
    let looked = ask(&folder, &["fmt", "--check", "idle.rhai"])?;
    assert!(looked.code == Some(1) && looked.out.contains("idle.rhai is not laid out"), "{looked:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("idle.rhai"))?, mess, "it only looked");
    assert_eq!(ask(&folder, &["fmt", "idle.rhai"])?.code, Some(0));
    assert_eq!(std::fs::read_to_string(folder.path().join("idle.rhai"))?, IDLE);
    assert_eq!(ask(&folder, &["fmt", "--check", "idle.rhai"])?.code, Some(0));
    std::fs::write(folder.path().join("idle.rhai"), "fn rank(request) { \"no end }\n")?;
    let ran = ask(&folder, &["fmt", "idle.rhai"])?;
    assert!(ran.code == Some(1) && ran.err.contains("line 1"), "{ran:?}");
    Ok(())
}

#[test]
fn shipped_policies_are_checked_and_laid_out() -> Result<()> {
    let folder = repository().join("policies");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rhai") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    ensure!(files.len() >= 18, "{files:?}");
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let work = tempfile::tempdir()?;
    for command in [&["policy", "check"][..], &["policy", "fmt", "--check"]] {
        let ran = run(work.path(), &[command, &names].concat(), &[], "")?;
        assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    }
    Ok(())
}

#[test]
fn it_tells_who_wins_and_why() -> Result<()> {
    let folder = policies()?;
    let ran = ask(&folder, &["explain", "idle.rhai", "--case", "cases/idle/one.json"])?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("the idle one goes first"), "{}", ran.out);
    assert!(ran.out.contains("chooses idle: fewest running"), "{}", ran.out);
    let row = |name: &str| {
        ran.out.lines().find(|line| line.contains(name) && line.contains('/')).unwrap_or_default()
    };
    assert!(row("gone").starts_with('-') && row("gone").contains("blocked"), "{}", ran.out);
    let builtin = ask(&folder, &["explain", "builtin", "--case", "cases/idle/one.json", "--json"])?;
    let told = json(&builtin)?;
    assert_eq!(told["action"], "idle");
    let candidates = told["candidates"].as_array().context("no candidates")?;
    let scores: Vec<_> = candidates.iter().map(|one| one["score"].as_f64()).collect();
    assert!(scores[0] > scores[1] && scores[2].is_none(), "{told}");
    let nothing = ask(&folder, &["explain", "idle.rhai"])?;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    Ok(())
}

#[test]
fn answers_are_measured_at_every_size() -> Result<()> {
    let folder = policies()?;
    let times = json(&ask(&folder, &["bench", "builtin", "--json"])?)?;
    let sizes: Vec<_> =
        times.as_array().context("no times")?.iter().map(|time| time["candidates"].as_u64()).collect();
    assert_eq!(sizes, [Some(5), Some(50), Some(500)]);
    for time in times.as_array().context("no times")? {
        assert!(
            time["median_us"].as_f64() > Some(0.0) && time["p99_us"].as_f64() >= time["median_us"].as_f64()
        );
    }
    Ok(())
}
