//! Short notices about what an action did. They leave by themselves; nothing important is only here.

use std::time::Duration;

use leptos::prelude::*;

/// How a notice is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It worked.
    Good,
    /// It did not.
    Bad,
}

impl Tone {
    /// The value of `data-tone`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) id: u32,
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

/// All notices on the page.
#[derive(Clone, Copy)]
pub(crate) struct Toasts {
    shown: RwSignal<Vec<Toast>>,
    last_id: StoredValue<u32>,
}

impl Toasts {
    pub(crate) fn new() -> Self {
        Self { shown: RwSignal::new(Vec::new()), last_id: StoredValue::new(0) }
    }

    /// Tracked.
    pub(crate) fn shown(self) -> Vec<Toast> {
        self.shown.get()
    }

    /// It worked.
    pub(crate) fn good(self, text: impl Into<String>) {
        self.show(Tone::Good, text.into());
    }

    /// It did not; these stay longer, there is more to read.
    pub(crate) fn bad(self, text: impl Into<String>) {
        self.show(Tone::Bad, text.into());
    }

    /// Takes one away.
    pub(crate) fn dismiss(self, id: u32) {
        self.shown.update(|shown| shown.retain(|toast| toast.id != id));
    }

    fn show(self, tone: Tone, text: String) {
        let id = self.last_id.get_value().wrapping_add(1);
        self.last_id.set_value(id);
        self.shown.update(|shown| {
            // The same failure again replaces itself instead of piling up.
            shown.retain(|toast| toast.text != text);
            shown.push(Toast { id, tone, text });
        });
        let seconds = if tone == Tone::Good { 5 } else { 9 };
        set_timeout(move || self.dismiss(id), Duration::from_secs(seconds));
    }
}
