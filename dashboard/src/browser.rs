//! The few things of the browser that are not elements: storage, clipboard, focus, title, time and chance.
//!
//! Every call may fail in some browser or setting (blocked storage, plain http); none of that stops the dashboard.

use leptos::prelude::{document, request_animation_frame, window};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlElement;

/// Milliseconds since the Unix epoch by the browser's clock.
#[expect(clippy::cast_possible_truncation, reason = "whole milliseconds, within i64 for ever")]
pub(crate) fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

/// From 0.0 to 1.0.
pub(crate) fn random() -> f64 {
    js_sys::Math::random()
}

/// A moment in the reader's own time zone and language.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit in 53 bits")]
pub(crate) fn local_time(at: i64) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
    String::from(date.to_locale_string("default", &JsValue::UNDEFINED))
}

/// Reads a setting of this browser.
pub(crate) fn stored(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}

/// Keeps a setting of this browser.
pub(crate) fn store(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _kept = storage.set_item(key, value);
    }
}

/// Sets or, with `None`, removes an attribute of the root element.
pub(crate) fn set_root_attribute(name: &str, value: Option<&str>) {
    if let Some(root) = document().document_element() {
        let _set = match value {
            Some(value) => root.set_attribute(name, value),
            None => root.remove_attribute(name),
        };
    }
}

/// The words in the browser's tab.
pub(crate) fn set_title(page: &str) {
    document().set_title(&format!("{page} · Switchyard"));
}

/// After a change of the route: the heading gets the focus, so that a screen reader starts there and the next
/// Tab goes to the page and not back to the navigation.
pub(crate) fn focus_heading() {
    request_animation_frame(|| {
        let heading = document().query_selector("main h1").ok().flatten();
        if let Some(heading) = heading.and_then(|heading| heading.dyn_into::<HtmlElement>().ok()) {
            let _focused = heading.focus();
        }
    });
}

/// The focus goes to the element with this id, such as the field with a mistake in it.
pub(crate) fn focus(id: &'static str) {
    request_animation_frame(move || {
        let found = document().get_element_by_id(id).and_then(|one| one.dyn_into::<HtmlElement>().ok());
        if let Some(element) = found {
            let _focused = element.focus();
        }
    });
}

/// Another part of a long list is shown: its beginning comes into view.
pub(crate) fn scroll_to(id: &'static str) {
    request_animation_frame(move || {
        if let Some(element) = document().get_element_by_id(id) {
            element.scroll_into_view();
        }
    });
}

/// The name of the machine in the address bar.
pub(crate) fn host() -> String {
    window().location().hostname().unwrap_or_default()
}

/// Keeps what a list shows in the address, so that going back or reloading shows it again. The page stays.
pub(crate) fn put_query(query: &str) {
    let location = window().location();
    let Ok(path) = location.pathname() else { return };
    let address = if query.is_empty() { path } else { format!("{path}?{query}") };
    if let Ok(history) = window().history() {
        let state = history.state().unwrap_or(JsValue::NULL);
        let _kept = history.replace_state_with_url(&state, "", Some(&address));
    }
}

/// Whether the page can be seen.
pub(crate) fn is_visible() -> bool {
    document().visibility_state() == web_sys::VisibilityState::Visible
}

/// Copies text. Browsers give a page on plain http no clipboard, so there the old way is taken.
pub(crate) async fn copy(text: String) -> bool {
    let navigator = window().navigator();
    let has_clipboard = js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard"))
        .is_ok_and(|clipboard| clipboard.is_object());
    if has_clipboard && JsFuture::from(navigator.clipboard().write_text(&text)).await.is_ok() {
        return true;
    }
    copy_by_selection(&text).unwrap_or(false)
}

fn copy_by_selection(text: &str) -> Option<bool> {
    let document = document();
    let area: web_sys::HtmlTextAreaElement = document.create_element("textarea").ok()?.dyn_into().ok()?;
    area.set_class_name("visually-hidden");
    area.set_value(text);
    document.body()?.append_child(&area).ok()?;
    area.select();
    let copied = document.dyn_ref::<web_sys::HtmlDocument>()?.exec_command("copy").ok();
    area.remove();
    copied
}

/// A file that was chosen or dropped: its name and its text, or why it could not be read.
pub(crate) type ReadFile = (String, Result<String, String>);

/// Reads files, each within a limit in bytes.
pub(crate) async fn read_files(files: web_sys::FileList, limit: f64) -> Vec<ReadFile> {
    let mut read = Vec::new();
    for file in (0..files.length()).filter_map(|at| files.get(at)) {
        let text = if file.size() > limit {
            Err("is too large".to_owned())
        } else {
            let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
            text.ok_or_else(|| "cannot be read".to_owned())
        };
        read.push((file.name(), text));
    }
    read
}

/// Hands a text over as a file to keep.
pub(crate) fn save_file(name: &str, text: &str) -> Option<()> {
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let options = web_sys::BlobPropertyBag::new();
    options.set_type("application/json");
    let blob = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options).ok()?;
    let address = web_sys::Url::create_object_url_with_blob(&blob).ok()?;
    let link: web_sys::HtmlAnchorElement = document().create_element("a").ok()?.dyn_into().ok()?;
    link.set_href(&address);
    link.set_download(name);
    link.click();
    // Chromium reads it during the click, others a moment later; the text holds tokens, so it does not stay for long.
    leptos::prelude::set_timeout(
        move || drop(web_sys::Url::revoke_object_url(&address)),
        std::time::Duration::from_secs(10),
    );
    Some(())
}

/// The boot screen is part of the page; it goes when the application takes over.
pub(crate) fn remove_boot_screen() {
    if let Some(boot) = document().get_element_by_id("boot") {
        boot.remove();
    }
}

/// A panic ends the module. The page says so instead of freezing, and the console has the place.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&JsValue::from_str(&info.to_string()));
        if let Some(notice) = document().get_element_by_id("crashed") {
            let _shown = notice.remove_attribute("hidden");
        }
    }));
}
