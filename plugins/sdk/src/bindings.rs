//! The bindings generated from `wit/`: change the contract there, never here.
//!
//! Plugins use the names that the crate root re-exports; this module is public only because
//! [`crate::export_scheduler!`] expands inside the plugin's own crate.

wit_bindgen::generate!({
    path: "../../wit",
    world: "scheduler",
    pub_export_macro: true,
    export_macro_name: "export_world",
    default_bindings_module: "switchyard_plugin_sdk::bindings",
});
