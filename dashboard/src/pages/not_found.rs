//! The page for an address that leads nowhere.

use leptos::prelude::*;

use crate::components::title::Title;

/// Says so and leads back.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    view! {
        <div class="empty tall">
            <Title text="No such page".to_owned() />
            <p>"This track ends here: the address belongs to no page of the dashboard."</p>
            <div class="actions">
                <a class="button primary" href="/">
                    "To the overview"
                </a>
                <a class="button" href="/decisions">
                    "Recent decisions"
                </a>
            </div>
        </div>
    }
}
