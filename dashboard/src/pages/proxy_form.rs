//! The form of one proxy, new or known. A known address is not shown again: it may hold a password.

use gateway_api::{ProxyPatch, ProxyView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::components::field::{Field, secret_field, text_field};
use crate::components::mistakes::Mistakes;
use crate::desk::Desk;
use crate::logic::form::{Mistake, list_of, list_text, some};

/// Two may be on the page at once, the new one and the one that is edited; their ids differ.
#[component]
pub(super) fn ProxyForm(
    known: Option<ProxyView>,
    on_done: Callback<ProxyView>,
    on_cancel: Option<Callback<()>>,
) -> impl IntoView {
    let desk = Desk::get();
    let is_new = known.is_none();
    let name = RwSignal::new(known.as_ref().map(|proxy| proxy.name.clone()).unwrap_or_default());
    let url = RwSignal::new(String::new());
    let groups = RwSignal::new(known.as_ref().map(|proxy| list_text(&proxy.groups)).unwrap_or_default());
    let mistakes = Mistakes::new(if is_new { NEW } else { EDITED });
    let is_busy = RwSignal::new(false);
    let id = StoredValue::new(known.as_ref().map(|proxy| proxy.id.clone()));
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let patch = ProxyPatch {
            name: some(&name.get_untracked()),
            url: some(&url.get_untracked()),
            enabled: None,
            groups: Some(list_of(&groups.get_untracked())),
        };
        if is_new && patch.url.is_none() {
            return mistakes
                .show(Mistake::at("url", "A proxy needs its address, such as socks5://10.0.0.5:1080."));
        }
        mistakes.clear();
        is_busy.set(true);
        spawn_local(async move {
            let answer = match id.get_value() {
                Some(id) => api::patch_proxy(&id, &patch).await,
                None => api::add_proxy(&patch).await,
            };
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(proxy) => {
                    for part in [name, url, groups] {
                        let _gone = part.try_set(String::new());
                    }
                    let _gone = on_done.try_run(proxy);
                }
                // Of all that can be changed, only a name can be taken.
                Err(problem) => mistakes.take_at(desk, &problem, Some("name")),
            }
        });
    };
    let [of_name, of_url, of_groups] = fields(is_new);
    let of_name = text_field(of_name, name, mistakes);
    let of_url = secret_field(of_url, url, mistakes);
    // A new one is its address; a known one is its name.
    let [first, second] = if is_new { [of_url, of_name] } else { [of_name, of_url] };
    view! {
        <form class="form" on:submit=send>
            <div class="fields" class:single=!is_new>
                {first} {second}
                {text_field(of_groups, groups, mistakes)}
            </div>
            {mistakes.place()}
            <div class="actions" class:end=!is_new>
                {on_cancel.map(|cancel| {
                    view! {
                        <button type="button" class="button" on:click=move |_| cancel.run(())>
                            "Cancel"
                        </button>
                    }
                })}
                <button
                    type="submit"
                    class="button primary"
                    data-testid=if is_new { "proxy-add" } else { "proxy-save" }
                    disabled=move || is_busy.get()
                >
                    {if is_new { "Add and test" } else { "Save" }}
                </button>
            </div>
        </form>
    }
}

const NEW: &[(&str, &str)] = &[("name", "proxy-name"), ("url", "proxy-url"), ("groups", "proxy-groups")];
const EDITED: &[(&str, &str)] = &[("name", "edit-name"), ("url", "edit-url"), ("groups", "edit-groups")];

fn fields(is_new: bool) -> [Field; 3] {
    let commas = "Groups whose accounts leave through it, separated by commas.";
    let schemes = "http://, https://, socks5:// or socks5h://, with user:password@ where needed.";
    let field = |id, name, label, hint| Field { id, name, label, hint };
    if is_new {
        [
            field("proxy-name", "name", "Name (optional)", "Otherwise its address."),
            field("proxy-url", "url", "Address", schemes),
            field("proxy-groups", "groups", "Groups (optional)", commas),
        ]
    } else {
        [
            field("edit-name", "name", "Name", ""),
            field(
                "edit-url",
                "url",
                "New address",
                "Empty: as it is. It is not shown, because it may hold a password.",
            ),
            field("edit-groups", "groups", "Groups", commas),
        ]
    }
}
