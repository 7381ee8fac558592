//! Plugins on the command line, from an empty folder to a signed component that the gateway would take.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use switchyard_tests::repository;

use super::cli::{Ran, run};

fn plugin(folder: &Path, arguments: &[&str]) -> Result<Ran> {
    run(folder, &[&["plugin"], arguments].concat(), &[], "")
}

fn json(ran: &Ran) -> Result<Value> {
    serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))
}

/// A folder with a shipped component and its manifest.
fn with_shipped(name: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for ending in ["wasm", "toml"] {
        let file = format!("{name}.{ending}");
        let from = repository().join("plugins/dist").join(&file);
        std::fs::copy(&from, folder.path().join(&file))
            .with_context(|| format!("{}: run cargo xtask build first", from.display()))?;
    }
    Ok(folder)
}

/// Every world: written, really compiled, admitted, conforming. One target folder for all, kept between runs.
#[test]
fn a_new_plugin_builds_and_conforms() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let target = repository().join("target/plugin-kit").to_string_lossy().into_owned();
    for world in ["scheduler", "model-mapper", "prompt-filter", "observer"] {
        let name = format!("my-{world}");
        let ran = plugin(folder.path(), &["new", &name, "--world", world])?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ran = plugin(folder.path(), &["build", &name, "--target-dir", &target])?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let component = format!("{name}/{name}.wasm");
        let ran = plugin(folder.path(), &["check", &component, "--grant", "--json"])?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let told = json(&ran)?;
        assert_eq!((&told["passed"], &told["trust"]), (&true.into(), &"unsigned".into()), "{told}");
        assert!(told["probes"].as_array().is_some_and(|probes| !probes.is_empty()), "{told}");
    }
    let again = plugin(folder.path(), &["new", "my-observer", "--world", "observer"])?;
    assert!(again.code == Some(1) && again.err.contains("is there already"), "{again:?}");
    Ok(())
}

#[test]
fn admission_is_told_step_by_step() -> Result<()> {
    let folder = with_shipped("redactor")?;
    let good = plugin(folder.path(), &["check", "redactor.wasm"])?;
    assert_eq!(good.code, Some(0), "{good:?}");
    for part in
        ["read         ok", "probe        ok", "redactor is admitted (unsigned)", "a megabyte of one letter"]
    {
        assert!(good.out.contains(part), "{part}: {}", good.out);
    }
    let manifest = std::fs::read_to_string(folder.path().join("redactor.toml"))?;
    let wasm = std::fs::read(folder.path().join("redactor.wasm"))?;
    let changed = |manifest: &str, wasm: &[u8]| -> Result<Ran> {
        std::fs::write(folder.path().join("redactor.toml"), manifest)?;
        std::fs::write(folder.path().join("redactor.wasm"), wasm)?;
        plugin(folder.path(), &["check", "redactor.wasm", "--json"])
    };
    let mut broken = wasm.clone();
    broken.truncate(wasm.len() / 2);
    let pinned = format!("digest = \"{}\"\n{manifest}", "0".repeat(64));
    for (manifest, wasm, step) in [
        (manifest.replace("\"redactor\"", "\"other\""), wasm.clone(), "read"),
        (pinned, wasm.clone(), "digest"),
        (manifest.clone(), broken, "parse"),
        (manifest.clone(), b"\0asm\x01\0\0\0".to_vec(), "parse"),
        (manifest.replace("\"0.1.0\"", "\"9.9.9\""), wasm.clone(), "describe"),
        (format!("{manifest}\n[config]\nspeed = 11\n"), wasm, "config"),
    ] {
        let ran = changed(&manifest, &wasm)?;
        assert_eq!(ran.code, Some(1), "{step}: {ran:?}");
        let told = json(&ran)?;
        let last = told["steps"].as_array().and_then(|steps| steps.last()).context("no steps")?;
        assert_eq!((&last["step"], &last["outcome"]), (&step.into(), &"failed".into()), "{told}");
        assert!(ran.err.contains(&format!("not admitted at {step}")), "{ran:?}");
    }
    let missing = plugin(folder.path(), &["check", "nowhere.wasm"])?;
    assert_eq!(missing.code, Some(3), "{missing:?}");
    Ok(())
}

#[test]
fn what_is_signed_is_trusted_and_what_was_changed_is_not() -> Result<()> {
    let folder = with_shipped("usage-counters")?;
    let made = plugin(folder.path(), &["keygen", "my.key"])?;
    assert_eq!(made.code, Some(0), "{made:?}");
    let public =
        made.out.lines().last().and_then(|line| line.rsplit(' ').next()).context("no key")?.to_owned();
    let secret = std::fs::read_to_string(folder.path().join("my.key"))?;
    assert!(!made.out.contains(secret.trim()), "the private key is not told");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(folder.path().join("my.key"))?.permissions().mode() & 0o777, 0o600);
    assert_eq!(plugin(folder.path(), &["keygen", "my.key"])?.code, Some(1), "a key is never written over");

    let signed = plugin(folder.path(), &["sign", "usage-counters.wasm", "--key", "my.key"])?;
    assert!(signed.code == Some(0) && signed.out.contains("and its manifest"), "{signed:?}");
    let check = |more: &[&str]| {
        plugin(folder.path(), &[&["check", "usage-counters.wasm", "--grant", "--json"], more].concat())
    };
    let trusted = check(&["--trust", &public])?;
    assert_eq!(json(&trusted)?["trust"], "signed", "{trusted:?}");
    let stranger = check(&[])?;
    assert!(
        stranger.code == Some(1) && stranger.err.contains("not among the operator's keys"),
        "{stranger:?}"
    );
    let inspected = json(&plugin(folder.path(), &["inspect", "usage-counters.wasm", "--json"])?)?;
    assert!(inspected["signed_by"].as_str().is_some_and(|id| id.len() == 16), "{inspected}");
    assert!(inspected["refused"].as_str().is_some_and(|why| why.contains("signature")), "{inspected}");

    let manifest = folder.path().join("usage-counters.toml");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(&manifest, text.replace("[\"metrics\"]", "[\"metrics\", \"secrets\"]"))?;
    let changed = check(&["--trust", &public])?;
    assert!(changed.code == Some(1) && changed.err.contains("changed after it was signed"), "{changed:?}");
    let wrong = plugin(folder.path(), &["sign", "usage-counters.wasm", "--key", "usage-counters.toml"])?;
    assert!(wrong.code == Some(2) && wrong.err.contains("keygen"), "{wrong:?}");
    Ok(())
}

#[test]
fn a_component_is_shown_and_measured() -> Result<()> {
    let folder = with_shipped("headroom")?;
    let told = json(&plugin(folder.path(), &["inspect", "headroom.wasm", "--json"])?)?;
    assert_eq!(told.pointer("/described/hooks/0"), Some(&"schedule".into()), "{told}");
    assert_eq!(told["digest"].as_str().map(str::len), Some(64));
    let exports = told["exports"].as_array().context("no exports")?;
    assert!(
        exports.iter().any(|name| name.as_str().is_some_and(|name| name.contains("plugin/scheduling@0.1")))
    );
    let none = plugin(folder.path(), &["inspect", "headroom.toml"])?;
    assert!(none.code == Some(2) && none.err.contains("is no plugin"), "{none:?}");

    let times = json(&plugin(folder.path(), &["bench", "headroom.wasm", "--json"])?)?;
    let times = times.as_array().context("no times")?;
    for isolation in ["pooled", "fresh"] {
        for size in ["5 candidates", "50 candidates", "500 candidates"] {
            let time = times.iter().find(|time| time["isolation"] == isolation && time["size"] == size);
            let time = time.with_context(|| format!("{isolation} {size}: {times:?}"))?;
            assert!(time["rounds"].as_u64() >= Some(5) && time["median_us"].as_f64() > Some(0.0), "{time}");
        }
    }
    Ok(())
}

#[test]
fn a_project_that_cannot_be_is_refused_before_anything_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["My-Plugin", "../out", "a b", ""] {
        let ran = plugin(folder.path(), &["new", name, "--world", "observer"])?;
        assert!(ran.code == Some(2) && ran.err.contains("is no name for a plugin"), "{name}: {ran:?}");
    }
    assert_eq!(plugin(folder.path(), &["new", "x", "--world", "moon"])?.code, Some(2));
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
    let ran = plugin(folder.path(), &["build", "nothing"])?;
    assert!(ran.code == Some(1) && ran.err.contains("plugin new"), "{ran:?}");
    Ok(())
}
