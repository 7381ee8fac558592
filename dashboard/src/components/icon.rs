//! Icons: strokes on a 16-unit grid, coloured by the text around them. Decoration; words stand beside them.

use leptos::prelude::*;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    Check,
    Warning,
    Arrows,
    Clock,
    Pause,
    Cross,
    Copy,
    Sun,
    Moon,
    Auto,
    Leave,
    Trash,
    Eye,
    Play,
    Track,
}

impl Icon {
    /// The icon of a tone, so that no state is told by colour alone.
    pub(crate) fn of_tone(tone: &str) -> Self {
        match tone {
            "good" => Self::Check,
            "warn" => Self::Warning,
            "info" => Self::Arrows,
            "cool" => Self::Clock,
            "bad" => Self::Cross,
            _ => Self::Pause,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Check => "M3.5 8.5 6.5 11.5 12.5 4.5",
            Self::Warning => "M8 2.5 14.3 13.5H1.7ZM8 6.7V9.7M8 11.6V11.7",
            Self::Arrows => "M13 8A5 5 0 0 1 4 11M3 8A5 5 0 0 1 12 5M12.2 2.3V5.2H9.3M3.8 13.7V10.8H6.7",
            Self::Clock => "M8 2A6 6 0 1 0 8 14 6 6 0 1 0 8 2M8 4.8V8L10.2 9.6",
            Self::Pause => "M5.5 4V12M10.5 4V12",
            Self::Cross => "M4 4 12 12M12 4 4 12",
            Self::Copy => "M5.5 5.5V3H13V10.5H10.5M3 5.5H10.5V13H3Z",
            Self::Sun => {
                "M8 5.2A2.8 2.8 0 1 0 8 10.8 2.8 2.8 0 1 0 8 5.2M8 1.5V2.8M8 13.2V14.5M1.5 8H2.8M13.2 8H14.5M3.4 \
                 3.4 4.3 4.3M11.7 11.7 12.6 12.6M12.6 3.4 11.7 4.3M4.3 11.7 3.4 12.6"
            }
            Self::Moon => "M13 9.7A5.6 5.6 0 1 1 6.3 3 4.4 4.4 0 0 0 13 9.7",
            Self::Auto => "M8 2A6 6 0 1 0 8 14 6 6 0 1 0 8 2M8 2V14M8 5 12.6 4.2M8 8H14M8 11 12.6 11.8",
            Self::Leave => "M9.5 3H3.5V13H9.5M7 8H14M11.5 5.5 14 8 11.5 10.5",
            Self::Trash => "M3 4.5H13M6.5 4.5V2.8H9.5V4.5M4.5 4.5 5 13.2H11L11.5 4.5",
            Self::Eye => {
                "M1.5 8C4 3.5 12 3.5 14.5 8 12 12.5 4 12.5 1.5 8M8 6.2A1.8 1.8 0 1 0 8 9.8 1.8 1.8 0 1 0 8 6.2"
            }
            Self::Play => "M5 3.5 12.5 8 5 12.5Z",
            Self::Track => "M2 12H14M2 12C7 12 8 4 14 4M2 8.8V15M14 1V7",
        }
    }
}

/// Draws one.
pub(crate) fn icon(which: Icon) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path d=which.path() />
        </svg>
    }
}
