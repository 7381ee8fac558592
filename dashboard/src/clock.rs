//! The gateway's clock, as far as this browser knows it: its own clock and the offset last heard.

use std::time::Duration;

use leptos::prelude::*;

use crate::browser;

/// Ticks once a second; every "in 2 h" on the page hangs on it.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    now: RwSignal<i64>,
    offset: StoredValue<i64>,
}

impl Clock {
    /// Starts ticking.
    pub(crate) fn start() -> Self {
        let clock = Self { now: RwSignal::new(browser::now_ms()), offset: StoredValue::new(0) };
        set_interval(move || clock.tick(), Duration::from_secs(1));
        clock
    }

    /// The gateway's time. Tracked.
    pub(crate) fn now(self) -> i64 {
        self.now.get()
    }

    /// The gateway told its time. Shown from the next tick on, so that four events a second do not redraw
    /// every row four times; a clock that was wrong by more than that shows at once.
    pub(crate) fn hear(self, gateway_now: i64) {
        let offset = gateway_now - browser::now_ms();
        let moved = (offset - self.offset.get_value()).abs();
        self.offset.set_value(offset);
        if moved > 1_500 {
            self.tick();
        }
    }

    fn tick(self) {
        self.now.set(browser::now_ms() + self.offset.get_value());
    }
}
