//! Reads the binary without compiling or running any of it.

use wasmparser::{Parser, Payload, Validator};

/// Type-only imports every component of our contract may have: they ask for nothing.
const OUR_TYPES: &str = "switchyard:plugin/types@";

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

/// Whether it imports nothing but our types.
pub(super) fn imports(bytes: &[u8]) -> Result<(), String> {
    // Modules and components inside have imports too, which the component around them satisfies.
    let mut nested = 0_usize;
    let mut refused = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => nested += 1,
            Payload::End(_) => nested = nested.saturating_sub(1),
            Payload::ComponentImportSection(section) if nested == 0 => {
                for import in section {
                    let name = import.map_err(|error| error.to_string())?.name.name;
                    if !name.starts_with(OUR_TYPES) {
                        refused.push(format!("`{name}`"));
                    }
                }
            }
            _ => {}
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it imports {}, but a scheduler decides from its arguments alone; build it for wasm32-unknown-unknown \
         and leave out what reaches for the system",
        refused.join(", ")
    ))
}
