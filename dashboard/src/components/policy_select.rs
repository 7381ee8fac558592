//! Which policy decides, and the way to let another one.

use gateway_api::PolicyView;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::badge::language_badge;
use crate::api;
use crate::desk::Desk;
use crate::logic::policies::by_language;

/// The switch on the overview. What is active comes from the live picture, so a switch elsewhere shows here too.
#[component]
pub(crate) fn PolicySelect(active: Memo<Option<PolicyView>>) -> impl IntoView {
    let desk = Desk::get();
    let policies = RwSignal::new(Vec::<PolicyView>::new());
    let load = move || {
        spawn_local(async move {
            match api::policies().await {
                // Only when it moved: redrawing the options would close an open list.
                Ok(found) if policies.get_untracked() == found => {}
                Ok(found) => policies.set(found),
                Err(problem) => desk.failed(&problem),
            }
        });
    };
    // A policy that appears or changes while the page is open: the active one then has a digest not in the list.
    Effect::new(move || {
        let active = active.get();
        let is_known = active.is_none_or(|active| {
            policies.with_untracked(|known| {
                known.iter().any(|one| one.id == active.id && one.digest == active.digest)
            })
        });
        if !is_known {
            load();
        }
    });
    let choose = move |event| {
        let select: web_sys::HtmlSelectElement = event_target(&event);
        let id = select.value();
        spawn_local(async move {
            match api::choose_policy(id).await {
                Ok(policy) => {
                    desk.toasts.good(format!("{} decides from now on.", policy.name));
                    desk.live.refresh();
                }
                Err(problem) => {
                    desk.failed(&problem);
                    if let Some(active) = active.get_untracked() {
                        select.set_value(&active.id);
                    }
                }
            }
        });
    };
    let language = move || active.get().map(|policy| language_badge(&policy.language));
    view! {
        <div class="policy">
            <label for="policy-select">"Policy"</label>
            <select id="policy-select" data-testid="policy-select" class="select" on:change=choose on:focus=move |_| load()>
                {move || options(active.get(), policies.get())}
            </select>
            {language}
        </div>
    }
}

/// The policies by language with the active one chosen; before the list is here, the active one alone.
fn options(active: Option<PolicyView>, mut policies: Vec<PolicyView>) -> impl IntoView {
    let chosen = active.as_ref().map(|active| active.id.clone());
    if let Some(active) = active.filter(|active| policies.iter().all(|one| one.id != active.id)) {
        policies.push(active);
    }
    // Names repeat between languages on purpose: the same policy exists in each.
    by_language(policies)
        .into_iter()
        .map(|(language, policies)| {
            let options = policies
                .into_iter()
                .map(|policy| {
                    let is_chosen = chosen.as_ref() == Some(&policy.id);
                    view! {
                        <option value=policy.id prop:selected=is_chosen>
                            {policy.name}
                        </option>
                    }
                })
                .collect_view();
            view! { <optgroup label=language>{options}</optgroup> }
        })
        .collect_view()
}
