//! The kit that plugins are written with, as it came with this binary: the SDK's sources, the contract, and a first plugin for
//! each world. A stranger needs nothing of our repository.

use super::World;

/// Path below `vendor/sdk/src` and text.
const SDK: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
/// Name and text of the files in `wit/`.
const WIT: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/wit.rs"));
/// What the SDK depends on, in the words of our own manifest.
const DEPENDENCY: &str = include!(concat!(env!("OUT_DIR"), "/sdk_dependency.rs"));
/// What is said about a project in its own folder.
const README: &str = include_str!("../../../templates/plugin/README.md");

impl World {
    const fn source(self) -> &'static str {
        match self {
            Self::Scheduler => include_str!("../../../templates/plugin/scheduler.rs"),
            Self::ModelMapper => include_str!("../../../templates/plugin/model-mapper.rs"),
            Self::PromptFilter => include_str!("../../../templates/plugin/prompt-filter.rs"),
            Self::Observer => include_str!("../../../templates/plugin/observer.rs"),
        }
    }

    const fn manifest(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Scheduler => ("Fewest running requests first.", "schedule", ""),
            Self::ModelMapper => ("One name for the model of the day.", "map-model", ""),
            Self::PromptFilter => ("Keeps a word inside the house.", "filter-request", ""),
            Self::Observer => ("Counts slow requests.", "observe-usage", "\"metrics\""),
        }
    }
}

/// Path and text of every file of a new project.
pub(super) fn project(name: &str, world: World) -> Vec<(String, String)> {
    let (summary, hook, grants) = world.manifest();
    let mut files = vec![
        ("Cargo.toml".to_owned(), cargo_toml(name)),
        (
            "plugin.toml".to_owned(),
            format!(
                "# Who this plugin is and what it asks for.\nname = \"{name}\"\nversion = \"0.1.0\"\nsummary = \"{summary}\"\nhooks = [\"{hook}\"]\n# Of: logging, metrics, kv, secrets, http-out. Asking is not having.\ngrants = [{grants}]\n"
            ),
        ),
        ("src/lib.rs".to_owned(), world.source().replace("{{name}}", name)),
        ("README.md".to_owned(), README.replace("{{name}}", name)),
        (".gitignore".to_owned(), "/target\n/*.wasm\n".to_owned()),
        ("vendor/sdk/Cargo.toml".to_owned(), sdk_toml()),
    ];
    files.extend(SDK.iter().map(|(path, text)| (format!("vendor/sdk/src/{path}"), (*text).to_owned())));
    files.extend(WIT.iter().map(|(path, text)| (format!("wit/{path}"), (*text).to_owned())));
    files
}

fn cargo_toml(name: &str) -> String {
    format!(
        r#"# A project of its own, wherever it lies.
[workspace]

[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib"]

[dependencies]
switchyard-plugin-sdk = {{ path = "vendor/sdk" }}

# It sits on the way of every request: fast and small.
[profile.release]
opt-level = 3
lto = "fat"
codegen-units = 1
panic = "abort"
strip = true
"#
    )
}

fn sdk_toml() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "[package]\nname = \"switchyard-plugin-sdk\"\nversion = \"{version}\"\nedition = \"2024\"\npublish = false\n\n[lib]\ndoctest = false\n\n[dependencies]\n{DEPENDENCY}\n"
    )
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use gateway_plugin_host::Manifest;

    use super::*;

    #[test]
    fn every_world_has_a_project_that_agrees_with_itself() {
        for world in World::value_variants() {
            let files = project("my-own", *world);
            let text = |path: &str| {
                files.iter().find(|(found, _)| found == path).map(|(_, text)| text.as_str()).unwrap()
            };
            let manifest = Manifest::parse(text("plugin.toml")).unwrap();
            assert_eq!(manifest.name, "my-own");
            let source = text("src/lib.rs");
            assert!(source.contains("name: \"my-own\"") && !source.contains("{{"), "{world:?}");
            assert!(source.contains(&format!("summary: \"{}\"", manifest.summary)), "{world:?}");
            assert!(text("vendor/sdk/Cargo.toml").contains("wit-bindgen = {"));
            // The SDK looks for the contract two folders up.
            assert!(text("vendor/sdk/src/bindings.rs").contains("\"../../wit\""));
            assert!(files.iter().any(|(path, _)| path == "wit/worlds.wit"));
            assert!(!text("README.md").contains("{{"));
        }
    }
}
