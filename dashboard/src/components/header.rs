//! The top of every page: where one is, where one can go, whether the picture is live.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_location;

use super::icon::{Icon, icon};
use crate::desk::Desk;
use crate::live::Link;
use crate::logic::answer::Problem;
use crate::theme::Theme;
use crate::{api, browser};

/// The sign.
pub(crate) fn brand() -> impl IntoView {
    view! {
        <span class="brand">
            <span class="brand-mark">{icon(Icon::Track)}</span>
            <span class="brand-name">"Switchyard"</span>
        </span>
    }
}

/// The header of a signed-in page.
#[component]
pub(crate) fn Header() -> impl IntoView {
    view! {
        <header class="top">
            <a
                class="skip-link"
                href="#main"
                on:click=move |event| {
                    event.prevent_default();
                    browser::focus_heading();
                }
            >
                "Skip to the content"
            </a>
            <div class="top-inner">
                <a href="/" class="brand-link" aria-label="Switchyard, overview">
                    {brand()}
                </a>
                <nav aria-label="Main">
                    <NavLink href="/" label="Overview" />
                    <NavLink href="/accounts" label="Accounts" />
                    <NavLink href="/proxies" label="Proxies" />
                    <NavLink href="/decisions" label="Decisions" />
                    <NavLink href="/keys" label="Keys" />
                </nav>
                <div class="top-end">
                    <LiveDot />
                    <ThemeToggle />
                    <SignOut />
                </div>
            </div>
        </header>
    }
}

#[component]
fn NavLink(href: &'static str, label: &'static str) -> impl IntoView {
    let path = use_location().pathname;
    let is_here = move || match (href, path.get().as_str()) {
        ("/", path) => path == "/",
        (href, path) => path.starts_with(href),
    };
    view! {
        <a href=href aria-current=move || is_here().then_some("page")>
            {label}
        </a>
    }
}

#[component]
fn LiveDot() -> impl IntoView {
    let live = Desk::get().live;
    let words = move || match live.link() {
        Link::Opening => ("opening", "Connecting"),
        Link::Open => ("open", "Live"),
        Link::Lost => ("lost", "Offline"),
    };
    view! {
        <span class="live-dot" data-link=move || words().0>
            <span class="dot" aria-hidden="true"></span>
            <span class="live-word">{move || words().1}</span>
        </span>
    }
}

/// Goes through automatic, light and dark.
#[component]
pub(crate) fn ThemeToggle() -> impl IntoView {
    let theme = Desk::get().theme;
    let looks = move || match theme.get() {
        Theme::Auto => (Icon::Auto, "Theme: automatic"),
        Theme::Light => (Icon::Sun, "Theme: light"),
        Theme::Dark => (Icon::Moon, "Theme: dark"),
    };
    view! {
        <button
            type="button"
            class="icon-button"
            data-testid="theme-toggle"
            data-theme-choice=move || theme.get().key()
            aria-label=move || looks().1
            title=move || looks().1
            on:click=move |_| theme.advance()
        >
            {move || icon(looks().0)}
        </button>
    }
}

#[component]
fn SignOut() -> impl IntoView {
    let desk = Desk::get();
    let leave = move |_| {
        spawn_local(async move {
            match api::logout().await {
                Ok(view) => desk.session.enter(view),
                Err(Problem::SignedOut) => desk.session.ended(),
                Err(problem) => desk.failed(&problem),
            }
        });
    };
    view! {
        <button
            type="button"
            class="icon-button"
            data-testid="sign-out"
            aria-label="Sign out"
            title="Sign out"
            on:click=leave
        >
            {icon(Icon::Leave)}
        </button>
    }
}
