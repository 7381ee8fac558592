//! Brings accounts in from text: pasted, chosen or dropped. First a preview of every entry, then the import. The texts
//! hold tokens, so they stay in this form and go when it goes.

use gateway_api::ImportRequest;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::field::{Field, check_field, choice_field, form_error, text_field};
use super::import_table::ImportTable;
use super::mistakes::Mistakes;
use crate::desk::Desk;
use crate::logic::answer::Problem;
use crate::logic::form::{Mistake, some};
use crate::logic::imports::{FORMATS, Line, MAX_BYTES, check_text, format_of, sum, taken};
use crate::logic::number::{bytes, plural};
use crate::{api, browser};

/// A file that was chosen.
#[derive(Clone, PartialEq, Eq)]
struct Source {
    name: String,
    text: String,
}

/// Everything the form holds.
#[derive(Clone, Copy)]
struct Form {
    desk: Desk,
    text: NodeRef<html::Textarea>,
    files: RwSignal<Vec<Source>>,
    name: RwSignal<String>,
    format: RwSignal<String>,
    replace: RwSignal<bool>,
    mistakes: Mistakes,
    /// What is under way, in a word.
    busy: RwSignal<Option<&'static str>>,
    result: RwSignal<Option<Outcome>>,
}

/// What a preview or an import said.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) is_preview: bool,
    pub(crate) lines: Vec<Line>,
}

impl Form {
    /// Every text there is: the files, and what stands in the text area.
    fn sources(self) -> Vec<(Option<String>, String)> {
        let typed = self.text.get_untracked().map(|text| text.value()).unwrap_or_default();
        let files = self.files.get_untracked();
        let has_several = files.len() + usize::from(!typed.trim().is_empty()) > 1;
        let named = |name: &str| has_several.then(|| name.to_owned());
        let mut sources: Vec<_> = files.into_iter().map(|file| (named(&file.name), file.text)).collect();
        if !typed.trim().is_empty() || sources.is_empty() {
            sources.push((named("Pasted text"), typed));
        }
        sources
    }

    /// Something else is to be imported: what was said about it no longer holds.
    fn touch(self) {
        self.result.set(None);
        self.mistakes.clear();
    }

    fn take_files(self, files: web_sys::FileList) {
        self.touch();
        spawn_local(async move {
            for (name, text) in browser::read_files(files, MAX_BYTES).await {
                match text {
                    Ok(text) => {
                        let _gone = self.files.try_update(|files| {
                            files.retain(|known| known.name != name);
                            files.push(Source { name, text });
                        });
                    }
                    Err(why) => self.mistakes.show(Mistake::at("text", format!("{name} {why}."))),
                }
            }
        });
    }

    fn run(self, is_preview: bool) {
        let sources = self.sources();
        for (name, text) in &sources {
            if let Err(message) = check_text(text) {
                let message = name.as_ref().map_or(message.clone(), |name| format!("{name}: {message}"));
                return self.mistakes.show(Mistake::at("text", message));
            }
        }
        self.mistakes.clear();
        self.busy.set(Some(if is_preview { "Looking …" } else { "Importing …" }));
        spawn_local(async move {
            let answer = self.send(sources, is_preview).await;
            let _gone = self.busy.try_set(None);
            match answer {
                Ok(lines) => self.finish(Outcome { is_preview, lines }),
                Err(problem) => self.mistakes.take(self.desk, &problem),
            }
        });
    }

    /// One request for each text, so that every line keeps its file.
    async fn send(self, sources: Vec<(Option<String>, String)>, dry_run: bool) -> Result<Vec<Line>, Problem> {
        let (name, format) = (self.name.get_untracked(), self.format.get_untracked());
        let mut lines = Vec::new();
        for (file, text) in sources {
            let request = ImportRequest {
                text,
                format: format_of(&format),
                name: some(&name),
                dry_run,
                replace: self.replace.get_untracked(),
            };
            let report = api::import(&request).await?;
            lines.extend(report.rows.into_iter().map(|row| Line { file: file.clone(), row }));
        }
        Ok(lines)
    }

    fn finish(self, outcome: Outcome) {
        let desk = self.desk;
        if !outcome.is_preview {
            desk.live.refresh();
            match taken(&outcome.lines) {
                0 => desk.toasts.bad("No account was imported; the table says why."),
                number => {
                    desk.toasts.good(format!("Imported {}.", plural(number as u64, "account", "accounts")));
                    // The tokens have arrived; nothing keeps them here.
                    let _gone = self.files.try_set(Vec::new());
                    if let Some(text) = self.text.get_untracked() {
                        text.set_value("");
                    }
                }
            }
        }
        let _gone = self.result.try_set(Some(outcome));
        browser::scroll_to("import-result");
    }
}

/// The form, and below it what came of it.
#[component]
pub(crate) fn ImportForm() -> impl IntoView {
    let form = Form {
        desk: Desk::get(),
        text: NodeRef::new(),
        files: RwSignal::new(Vec::new()),
        name: RwSignal::new(String::new()),
        format: RwSignal::new("auto".to_owned()),
        replace: RwSignal::new(false),
        mistakes: Mistakes::new(&[("text", "import-text"), ("name", "import-name")]),
        busy: RwSignal::new(None),
        result: RwSignal::new(None),
    };
    // Another format or another name makes another preview.
    Effect::new(move |last: Option<()>| {
        form.format.track();
        form.name.track();
        form.replace.track();
        if last.is_some() {
            form.touch();
        }
    });
    view! {
        <section class="panel" aria-label="What to import">
            <form
                class="form"
                on:submit=move |event: web_sys::SubmitEvent| {
                    event.prevent_default();
                    form.run(true);
                }
            >
                {texts(form)}
                <div class="fields">{options(form)}</div>
                {form.mistakes.place()}
                <div class="actions">
                    <button type="submit" class="button primary" data-testid="import-preview" disabled=move || form.busy.get().is_some()>
                        {move || form.busy.get().unwrap_or("Preview")}
                    </button>
                    <span class="hint">"Nothing is stored before you have seen what would be."</span>
                </div>
            </form>
        </section>
        {move || form.result.get().map(|outcome| result(outcome, form))}
    }
}

fn options(form: Form) -> AnyView {
    let format = Field { id: "import-format", name: "format", label: "Format", hint: "" };
    let name = Field {
        id: "import-name",
        name: "name",
        label: "Name (optional)",
        hint: "For all of them, instead of the names in the text; a number is added where needed.",
    };
    let formats = || FORMATS.map(|(_, key, words)| (key.to_owned(), words.to_owned())).to_vec();
    view! {
        {choice_field(format, form.format, form.mistakes, formats)}
        {text_field(name, form.name, form.mistakes)}
        {check_field(
            "import-replace",
            "Also take older tokens",
            "Otherwise an account that has newer ones keeps them.",
            form.replace,
        )}
    }
    .into_any()
}

/// Where text is pasted and files are dropped.
fn texts(form: Form) -> AnyView {
    let is_over = RwSignal::new(false);
    let over = move |event: web_sys::DragEvent| {
        event.prevent_default();
        is_over.set(true);
    };
    let drop = move |event: web_sys::DragEvent| {
        event.prevent_default();
        is_over.set(false);
        if let Some(files) = event.data_transfer().and_then(|data| data.files()) {
            form.take_files(files);
        }
    };
    view! {
        <div
            class="field drop"
            class:over=move || is_over.get()
            on:dragover=over
            on:dragleave=move |_| is_over.set(false)
            on:drop=drop
        >
            <div class="field-head">
                <label for="import-text">"Tokens, an auth.json or an export"</label>
                {file_button(form)}
            </div>
            <textarea
                node_ref=form.text
                id="import-text"
                data-testid="import-text"
                class="code"
                rows="7"
                spellcheck="false"
                autocomplete="off"
                placeholder="Paste here, or drop files"
                aria-describedby="import-text-note"
                aria-invalid=move || form.mistakes.at("text").map(|_| "true")
                on:input=move |_| form.touch()
            ></textarea>
            {move || chosen_files(form)}
            <div id="import-text-note">
                <p class="hint">
                    "The auth.json of the Codex CLI, refresh or access tokens one a line, or what codex-lb, codex2api or \
                     Switchyard exported."
                </p>
                {form_error(move || form.mistakes.at("text"))}
            </div>
        </div>
    }
    .into_any()
}

fn file_button(form: Form) -> AnyView {
    let input = NodeRef::<html::Input>::new();
    let choose = move |_| {
        let Some(input) = input.get_untracked() else { return };
        if let Some(files) = input.files() {
            form.take_files(files);
        }
    };
    // Choosing the same file again must be a change again.
    let reset = move |_| {
        if let Some(input) = input.get_untracked() {
            input.set_value("");
        }
    };
    view! {
        <label class="button small file-button">
            "Choose files…"
            <input
                node_ref=input
                type="file"
                multiple
                class="visually-hidden"
                data-testid="import-files"
                accept=".json,.txt,.jsonl,application/json,text/plain"
                aria-label="Choose files to import"
                on:click=reset
                on:change=choose
            />
        </label>
    }
    .into_any()
}

fn chosen_files(form: Form) -> Option<AnyView> {
    let files = form.files.get();
    let chips = files.iter().enumerate().map(|(at, file)| {
        let remove = move |_| {
            form.touch();
            form.files.update(|files| drop(files.remove(at)));
        };
        view! {
            <span class="tag removable" data-testid="import-file">
                {file.name.clone()} " · " {bytes(file.text.len() as u64)}
                <button type="button" class="tag-remove" aria-label=format!("Leave out {}", file.name) on:click=remove>
                    "×"
                </button>
            </span>
        }
    });
    (!files.is_empty()).then(|| view! { <div class="chips">{chips.collect_view()}</div> }.into_any())
}

fn result(outcome: Outcome, form: Form) -> AnyView {
    let is_preview = outcome.is_preview;
    let number = taken(&outcome.lines);
    let words = sum(&outcome.lines, is_preview);
    let button = (is_preview && number > 0).then(|| {
        let label = format!("Import {}", plural(number as u64, "account", "accounts"));
        view! {
            <button
                type="button"
                class="button primary"
                data-testid="import-submit"
                disabled=move || form.busy.get().is_some()
                on:click=move |_| form.run(false)
            >
                {label}
            </button>
        }
    });
    let onward = (!is_preview && number > 0).then(|| {
        view! {
            <a class="button" href="/accounts">
                "To the accounts"
            </a>
        }
    });
    view! {
        <section class="panel" id="import-result" aria-labelledby="import-result-title" data-testid="import-result">
            <div class="panel-head">
                <div>
                    <h2 id="import-result-title">{if is_preview { "Preview" } else { "Imported" }}</h2>
                    <p class="sub" role="status" data-testid="import-sum">
                        {words}
                    </p>
                </div>
                {button} {onward}
            </div>
            <ImportTable outcome=outcome />
        </section>
    }
    .into_any()
}
