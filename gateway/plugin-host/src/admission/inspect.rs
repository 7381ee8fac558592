//! Reads the binary without compiling or running any of it.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload, Validator};

use crate::exports::interface;
use crate::grants::{Capability, Grants};
use crate::manifest::Hook;

/// The package of the contract.
const PACKAGE: &str = "switchyard:plugin/";
/// The versions this gateway speaks: all of this minor.
const VERSIONS: &str = "0.1.";
/// Interfaces that hold types and ask for nothing.
const TYPES: [&str; 2] = ["types", "filtering"];

/// Whether it is a well-formed component, to its last byte.
pub(super) fn parse(bytes: &[u8]) -> Result<(), String> {
    if Parser::is_core_wasm(bytes) {
        return Err("it is a core module; turn it into a component (cargo xtask plugins does, so does \
                    wasm-tools component new)"
            .to_owned());
    }
    if !Parser::is_component(bytes) {
        return Err("it is not WebAssembly".to_owned());
    }
    Validator::new()
        .validate_all(bytes)
        .map(drop)
        .map_err(|error| format!("{} (at byte {:#x}); build it again", error.message(), error.offset()))
}

/// The hooks it exports; an error when they are not of a contract this gateway speaks.
pub(super) fn exports(bytes: &[u8]) -> Result<Vec<Hook>, String> {
    let names = names(bytes)?.exports;
    let mut hooks = Vec::new();
    let mut describes_itself = false;
    for (interface_name, version) in names.iter().filter_map(|name| ours(name)) {
        let hook = Hook::ALL.into_iter().find(|hook| interface(*hook) == interface_name);
        let is_lifecycle = interface_name == "lifecycle";
        if !(is_lifecycle || hook.is_some()) {
            continue;
        }
        if !version.starts_with(VERSIONS) {
            return Err(format!(
                "it was built for {PACKAGE}{interface_name} {version}; this gateway speaks {VERSIONS}x"
            ));
        }
        describes_itself |= is_lifecycle;
        hooks.extend(hook);
    }
    if !describes_itself {
        return Err(format!(
            "it does not export `{PACKAGE}lifecycle`; build it for a world of `wit/worlds.wit`"
        ));
    }
    if hooks.is_empty() {
        return Err(format!("it exports no hook of `{PACKAGE}`; build it for a world of `wit/worlds.wit`"));
    }
    Ok(hooks)
}

/// Whether it imports nothing but types and what it holds.
pub(super) fn imports(
    bytes: &[u8],
    wants: &BTreeSet<Capability>,
    grants: &Grants,
    held: &BTreeSet<Capability>,
) -> Result<(), String> {
    let mut refused = Vec::new();
    for name in names(bytes)?.imports {
        let asked = ours(&name).filter(|(_, version)| version.starts_with(VERSIONS));
        if asked.is_some_and(|(interface, _)| TYPES.contains(&interface)) {
            continue;
        }
        let capability =
            asked.and_then(|(interface, _)| Capability::ALL.into_iter().find(|one| one.label() == interface));
        match capability {
            None => {
                refused.push(format!("`{name}`, which no plugin has; build it for wasm32-unknown-unknown"))
            }
            Some(capability) if held.contains(&capability) => {}
            Some(capability) if !wants.contains(&capability) => {
                refused.push(format!("`{capability}`, which its manifest does not ask for"));
            }
            Some(capability) if !grants.capabilities.contains(&capability) => {
                refused.push(format!("`{capability}`, which was not granted; grant it or leave it out"));
            }
            Some(capability) => {
                refused.push(format!("`{capability}`, which only a signed plugin has; sign it, or raise it"));
            }
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(format!("it imports {}", refused.join("; "))) }
}

/// What can be seen of a component without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// SHA-256 of all of it.
    pub digest: String,
    /// What it imports, by name.
    pub imports: Vec<String>,
    /// What it exports, by name.
    pub exports: Vec<String>,
}

impl Outside {
    /// Reads a component.
    ///
    /// # Errors
    /// It is none, or is broken.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        parse(bytes)?;
        let Names { imports, exports } = names(bytes)?;
        Ok(Self { digest: crate::digest::full(bytes), imports, exports })
    }
}

/// `scheduling` and `0.1.0` of `switchyard:plugin/scheduling@0.1.0`.
fn ours(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// What the component itself imports and exports; modules and components inside have names of their own.
fn names(bytes: &[u8]) -> Result<Names, String> {
    let mut nested = 0_usize;
    let mut names = Names { imports: Vec::new(), exports: Vec::new() };
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => nested += 1,
            Payload::End(_) => nested = nested.saturating_sub(1),
            Payload::ComponentImportSection(section) if nested == 0 => {
                for import in section {
                    names.imports.push(import.map_err(|error| error.to_string())?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if nested == 0 => {
                for export in section {
                    names.exports.push(export.map_err(|error| error.to_string())?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}
