//! The dashboard: a Leptos application that runs in the operator's browser and talks to the admin API.
//!
//! It knows the gateway only through `gateway-api`. Words, numbers and orders come from [`logic`], which is plain
//! functions tested on the host; `components` and `pages` turn them into elements; `api`, `live` and `browser` are
//! the only places that touch the network or the browser. No style is set inline and no markup is built from text,
//! so the strict content security policy costs nothing.

mod api;
mod app;
mod browser;
mod clock;
mod components;
mod desk;
mod live;
mod load;
mod logic;
mod pages;
mod session;
mod theme;
mod toasts;

/// Mounts the dashboard on the page.
pub fn start() {
    browser::report_panics();
    browser::remove_boot_screen();
    leptos::mount::mount_to_body(app::App);
}
