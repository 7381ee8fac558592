//! The bindings generated from `wit/`: change the contract there, never here.
//!
//! Generated once, for all hooks: a plugin exports every one of them and says in its metadata which it wants to be
//! called for. Plugins use the names that the crate root re-exports; this module is public only because the export
//! macros expand inside the plugin's own crate.

wit_bindgen::generate!({
    path: "../../wit",
    world: "extension",
    pub_export_macro: true,
    export_macro_name: "export_world",
    default_bindings_module: "switchyard_plugin_sdk::bindings",
});
