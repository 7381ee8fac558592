//! The arrows between crates, held to the table of `gateway/ARCHITECTURE.md`: adapters never import each other, only the
//! composition root sees everything, and each heavy dependency has one owner.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use switchyard_tests::repository;

use super::files::files;

/// What each member may use of ours. A member that is not here must not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("gateway-domain", &[]),
    ("gateway-api", &["gateway-domain"]),
    ("gateway-protocol", &["gateway-domain"]),
    ("gateway-scheduler", &["gateway-domain"]),
    ("gateway-core", &["gateway-domain", "gateway-protocol", "gateway-scheduler"]),
    ("gateway-upstream", &["gateway-core", "gateway-domain", "gateway-protocol"]),
    ("gateway-store", &["gateway-core", "gateway-domain"]),
    ("gateway-plugin-host", &["gateway-core", "gateway-domain", "gateway-scheduler"]),
    ("gateway-policy-host", &["gateway-core", "gateway-domain", "gateway-scheduler"]),
    (
        "gateway-server",
        &["gateway-api", "gateway-core", "gateway-domain", "gateway-protocol", "gateway-scheduler"],
    ),
    ("gateway-lab", &[]),
    (
        "gateway-app",
        &[
            "gateway-api",
            "gateway-core",
            "gateway-domain",
            "gateway-lab",
            "gateway-plugin-host",
            "gateway-policy-host",
            "gateway-scheduler",
            "gateway-server",
            "gateway-store",
            "gateway-upstream",
        ],
    ),
    ("gateway-xtask", &[]),
    ("switchyard-dashboard", &["gateway-api"]),
    ("switchyard-plugin-sdk", &[]),
    ("switchyard-plugin-headroom", &["switchyard-plugin-sdk"]),
    ("switchyard-plugin-redactor", &["switchyard-plugin-sdk"]),
    ("switchyard-plugin-aliases", &["switchyard-plugin-sdk", "switchyard-plugin-text"]),
    ("switchyard-plugin-text", &[]),
    ("switchyard-plugin-guard", &["switchyard-plugin-sdk", "switchyard-plugin-text"]),
    ("switchyard-plugin-topics", &["switchyard-plugin-sdk", "switchyard-plugin-text"]),
    ("switchyard-plugin-instructions", &["switchyard-plugin-sdk", "switchyard-plugin-text"]),
    ("switchyard-plugin-output-guard", &["switchyard-plugin-sdk", "switchyard-plugin-text"]),
    ("switchyard-plugin-weekly-pacing", &["switchyard-plugin-sdk"]),
    ("switchyard-plugin-usage-counters", &["switchyard-plugin-sdk"]),
    (
        "switchyard-tests",
        &[
            "gateway-api",
            "gateway-app",
            "gateway-core",
            "gateway-domain",
            "gateway-lab",
            "gateway-plugin-host",
            "gateway-policy-host",
            // The benchmark measures the codecs by themselves.
            "gateway-protocol",
            "gateway-scheduler",
            "gateway-store",
        ],
    ),
];

/// Who alone may use something of others in what is shipped.
const OWNERS: &[(&str, &[&str])] = &[
    ("axum", &["gateway-server", "gateway-lab"]),
    ("tower-http", &["gateway-server", "gateway-lab"]),
    ("hyper", &["gateway-server", "gateway-lab", "gateway-upstream", "switchyard-tests"]),
    ("reqwest", &["gateway-app", "gateway-upstream", "switchyard-tests"]),
    ("tokio-tungstenite", &["gateway-server", "gateway-lab", "gateway-upstream", "switchyard-tests"]),
    ("sqlx", &["gateway-store"]),
    ("chacha20poly1305", &["gateway-store"]),
    ("argon2", &["gateway-server"]),
    ("wasmtime", &["gateway-plugin-host"]),
    ("wit-bindgen", &["switchyard-plugin-sdk"]),
    ("rhai", &["gateway-policy-host"]),
    ("leptos", &["switchyard-dashboard"]),
    ("prometheus-client", &["gateway-server"]),
    ("config", &["gateway-app"]),
    ("clap", &["gateway-app", "gateway-xtask"]),
    ("tracing-subscriber", &["gateway-app"]),
    ("anyhow", &["gateway-app", "gateway-xtask", "switchyard-tests"]),
];

/// Crates that wait for nothing and read no clock.
const PURE: &[&str] = &[
    "gateway-domain",
    "gateway-api",
    "gateway-protocol",
    "gateway-scheduler",
    "gateway-plugin-host",
    "gateway-policy-host",
];

fn members() -> Result<BTreeMap<String, Package>> {
    let metadata = MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()?;
    Ok(metadata.packages.into_iter().map(|package| (package.name.to_string(), package)).collect())
}

/// What is shipped uses these; what only tests use is not looked at.
fn uses(package: &Package) -> BTreeSet<&str> {
    let shipped = package.dependencies.iter().filter(|one| one.kind != DependencyKind::Development);
    shipped.map(|one| one.name.as_str()).collect()
}

#[test]
fn crates_see_only_what_the_table_allows() -> Result<()> {
    let members = members()?;
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(found, known, "the table and the workspace name the same members");
    for (name, allowed) in ARROWS {
        let package = members.get(*name).context("unreachable")?;
        let ours: BTreeSet<&str> = uses(package).into_iter().filter(|used| known.contains(used)).collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let forbidden: Vec<_> = ours.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{name} must not use {forbidden:?}");
    }
    Ok(())
}

#[test]
fn heavy_dependencies_have_one_owner() -> Result<()> {
    let members = members()?;
    for (dependency, owners) in OWNERS {
        for (name, package) in &members {
            let may = owners.contains(&name.as_str());
            assert!(
                may || !uses(package).contains(dependency),
                "{dependency} belongs to {owners:?}, not to {name}"
            );
        }
        let used =
            owners.iter().any(|owner| members.get(*owner).is_some_and(|one| uses(one).contains(dependency)));
        assert!(used, "nobody uses {dependency} any more: take it out of this table");
    }
    Ok(())
}

#[test]
fn pure_crates_know_no_runtime() -> Result<()> {
    let members = members()?;
    for name in PURE {
        let package = members.get(*name).with_context(|| (*name).to_owned())?;
        for used in uses(package) {
            let waits = used.starts_with("tokio") || used.starts_with("futures") || used.starts_with("async");
            assert!(!waits, "{name} must not use {used}");
        }
    }
    Ok(())
}

/// A crate that sets a feature of its own makes every `-p` build compile the world again.
#[test]
fn dependencies_are_declared_once_for_all() -> Result<()> {
    for name in members()?.into_values().map(|package| package.manifest_path) {
        let text = std::fs::read_to_string(&name)?;
        let mut inside = false;
        for line in text.lines() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && line.contains('=') {
                let inherits = line.contains("workspace = true");
                let of_dashboard = name.as_str().contains("/dashboard/");
                assert!(inherits && (of_dashboard || !line.contains("features")), "{name}: {line}");
            }
        }
    }
    Ok(())
}

/// Each crate of ours is in the code map.
#[test]
fn the_code_map_names_every_crate() -> Result<()> {
    let map = std::fs::read_to_string(repository().join("gateway/ARCHITECTURE.md"))?;
    for (name, _) in ARROWS {
        if let Some(short) = name.strip_prefix("gateway-") {
            assert!(map.contains(&format!("| `{short}` |")), "{short} is not in the code map");
        }
    }
    Ok(())
}

/// Words that belong to one crate: status codes to the edge, SQL to the store, the environment to the binary.
#[test]
fn words_stay_where_they_belong() -> Result<()> {
    for (word, places) in [
        // Upstream reads what providers answer; what clients are told is decided at the edge alone.
        ("StatusCode::", &["gateway/server/", "gateway/lab/", "gateway/upstream/", "tests/"][..]),
        ("sqlx::", &["gateway/store/"]),
        (
            "std::env::var",
            &[
                "gateway/app/",
                "gateway/xtask/",
                "gateway/store/tests/",
                // A test that is told how long it runs.
                "gateway/protocol/src/fuzz/",
                "tests/",
                "build.rs",
            ],
        ),
        ("SystemTime::now", &["gateway/core/src/ports/", "gateway/xtask/", "tests/"]),
        ("Uuid::new_v4", &[]),
    ] {
        for file in files(&["rs"])? {
            // This file names them all.
            let here =
                places.iter().any(|place| file.path.contains(place)) || file.path.ends_with("layering.rs");
            let line = file
                .text()
                .lines()
                .position(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(here || line.is_none(), "{}:{}: {word}", file.path, line.unwrap_or_default() + 1);
        }
    }
    Ok(())
}
