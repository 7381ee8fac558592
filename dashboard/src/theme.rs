//! Light, dark, or as the system has it. The choice is this browser's; `boot.js` applies it before the first paint.

use leptos::prelude::*;

use crate::browser;

const KEY: &str = "switchyard.theme";

/// What the reader chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system has it.
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    fn from_key(key: &str) -> Self {
        match key {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }

    /// The value in storage and in `data-theme`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The next one of the toggle.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Auto,
        }
    }
}

/// The choice as a signal that also applies and keeps it.
#[derive(Clone, Copy)]
pub(crate) struct ThemeChoice(RwSignal<Theme>);

impl ThemeChoice {
    /// The choice of an earlier visit.
    pub(crate) fn restore() -> Self {
        let theme = browser::stored(KEY).map_or(Theme::Auto, |key| Theme::from_key(&key));
        Self(RwSignal::new(theme))
    }

    /// Tracked.
    pub(crate) fn get(self) -> Theme {
        self.0.get()
    }

    /// Goes on to the next theme.
    pub(crate) fn advance(self) {
        let theme = self.0.get_untracked().next();
        browser::store(KEY, theme.key());
        browser::set_root_attribute("data-theme", (theme != Theme::Auto).then(|| theme.key()));
        self.0.set(theme);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toggle_goes_round_and_keys_come_back() {
        let mut theme = Theme::Auto;
        for expected in [Theme::Light, Theme::Dark, Theme::Auto] {
            theme = theme.next();
            assert_eq!(theme, expected);
            assert_eq!(Theme::from_key(theme.key()), theme);
        }
        assert_eq!(Theme::from_key("purple"), Theme::Auto);
    }
}
