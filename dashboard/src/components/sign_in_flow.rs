//! One sign-in under way: what to open, what to type or paste, how long it still waits, and what became of it.

use gateway_api::{SignInStage, SignInView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::copy_button::CopyButton;
use super::field::{Field, text_field};
use super::icon::{Icon, icon};
use super::mistakes::Mistakes;
use super::sign_in_panel::Flows;
use crate::desk::Desk;
use crate::logic::answer::path_part;
use crate::logic::form::Mistake;
use crate::logic::sign_ins::{check_address, comes_back_here, ended_words};
use crate::logic::time::span;
use crate::{api, browser};

/// The card. It is drawn again only when the stage changes, so that what is being pasted stays.
#[component]
pub(super) fn SignInFlow(flow: Memo<Option<SignInView>>, flows: Flows) -> impl IntoView {
    let stage = Memo::new(move |_| flow.get().map(|view| view.stage));
    let ends = Memo::new(move |_| flow.get().map_or(0, |view| view.expires_at));
    let id = untrack(|| flow.get()).map(|view| view.id).unwrap_or_default();
    let is_stranded = {
        let id = id.clone();
        Memo::new(move |_| flows.is_stranded(&id) || !comes_back_here(true, &browser::host()))
    };
    let mistakes = Mistakes::new(&[("address", "sign-in-address")]);
    move || {
        let id = id.clone();
        match stage.get()? {
            SignInStage::Waiting { url, user_code: Some(code) } => {
                let body = device(url, code);
                Some(card("Sign in with a code", body, ends, cancel(id, flows)))
            }
            SignInStage::Waiting { url, user_code: None } => {
                let body =
                    view! { {open(url)} <Paste is_stranded=is_stranded flows=flows mistakes=mistakes /> };
                Some(card("Sign in with the browser", body.into_any(), ends, cancel(id, flows)))
            }
            SignInStage::Exchanging => {
                let body = view! { <p role="status">"Fetching the tokens …"</p> };
                Some(card("Almost there", body.into_any(), ends, None))
            }
            stage => ended(&stage),
        }
    }
}

fn card(title: &'static str, body: AnyView, ends: Memo<i64>, cancel: Option<AnyView>) -> AnyView {
    let clock = Desk::get().clock;
    let left = move || span(ends.get() - clock.now());
    view! {
        <section class="flow" data-testid="sign-in-flow">
            <div class="flow-head">
                <h2>{title}</h2>
                <span class="sub">"ends in " {left}</span>
                {cancel}
            </div>
            {body}
        </section>
    }
    .into_any()
}

fn cancel(id: String, flows: Flows) -> Option<AnyView> {
    let desk = Desk::get();
    let cancel = move |_| {
        let id = id.clone();
        spawn_local(async move {
            match api::cancel_sign_in(&id).await {
                Ok(view) => flows.put(view),
                Err(problem) => {
                    desk.failed(&problem);
                    flows.look(desk);
                }
            }
        });
    };
    let button = view! {
        <button type="button" class="button small" data-testid="sign-in-cancel" on:click=cancel>
            "Cancel"
        </button>
    };
    Some(button.into_any())
}

/// A link and not a window that opens by itself: browsers block those, and the link can be taken elsewhere.
fn open(url: String) -> AnyView {
    view! {
        <div class="actions">
            <a class="button primary" href=url.clone() target="_blank" rel="noopener noreferrer" data-testid="sign-in-link">
                "Open the sign-in page"
            </a>
            <CopyButton text=url what="the link" />
        </div>
    }
    .into_any()
}

fn device(url: String, code: String) -> AnyView {
    view! {
        <ol class="steps">
            <li>
                "Open "
                <a href=url.clone() target="_blank" rel="noopener noreferrer" data-testid="sign-in-link">{url.clone()}</a>
                " on any device and sign in."
            </li>
            <li>"Type this code there:"</li>
        </ol>
        <div class="user-code">
            <code data-testid="sign-in-code">{code.clone()}</code>
            <CopyButton text=code what="the code" />
        </div>
        <p class="hint" role="status">"This page goes on by itself as soon as the code is confirmed."</p>
    }
    .into_any()
}

/// The way back for a browser that does not come back by itself.
#[component]
fn Paste(is_stranded: Memo<bool>, flows: Flows, mistakes: Mistakes) -> impl IntoView {
    let desk = Desk::get();
    let address = RwSignal::new(String::new());
    let is_busy = RwSignal::new(false);
    let finish = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let text = address.get_untracked();
        let text = match check_address(&text) {
            Ok(text) => text.to_owned(),
            Err(message) => return mistakes.show(Mistake::at("address", message)),
        };
        mistakes.clear();
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::finish_sign_in(text).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(view) => flows.put(view),
                Err(problem) => {
                    mistakes.take(desk, &problem);
                    // It may have ended with this; the card then says why.
                    flows.look(desk);
                }
            }
        });
    };
    let lead = move || {
        if is_stranded.get() {
            "The gateway runs on another machine than this browser, so the browser ends on a page that cannot be shown. \
             Copy the address of that page from the address bar:"
        } else {
            "The browser comes back by itself. Should it end on a page that cannot be shown, copy its address from the \
             address bar:"
        }
    };
    let field = Field {
        id: "sign-in-address",
        name: "address",
        label: "Address on which the browser ended",
        hint: "It looks like http://localhost:1455/auth/callback?code=…&state=…",
    };
    view! {
        <form class="form" on:submit=finish>
            <p class="sub">{lead}</p>
            {text_field(field, address, mistakes)}
            {mistakes.place()}
            <div class="actions">
                <button type="submit" class="button" data-testid="sign-in-finish" disabled=move || is_busy.get()>
                    "Finish signing in"
                </button>
            </div>
        </form>
    }
}

fn ended(stage: &SignInStage) -> Option<AnyView> {
    let (tone, words) = ended_words(stage)?;
    let link = match stage {
        SignInStage::Done { account, .. } => Some(format!("/accounts/{}", path_part(account))),
        _ => None,
    };
    let link = link.map(|href| view! { <a class="button small" href=href>"Open the account"</a> });
    let view = view! {
        <div class="notice" data-tone=tone role="status" data-testid="sign-in-ended">
            <p class="notice-line">
                {icon(Icon::of_tone(tone))} <span>{words}</span> {link}
            </p>
        </div>
    };
    Some(view.into_any())
}
