//! Time for guests: a thread that moves the engine's epoch once a millisecond while a guest runs.
//!
//! A thread and not a task: if every worker of the async runtime sits in a guest, a task would never tick. It
//! sleeps for good when nothing has run for a while, so an idle gateway stays idle; it lingers before that, so
//! that steady traffic does not pay for waking it with every call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

const TICK: Duration = Duration::from_millis(1);
/// Ticks without a running guest before the thread parks.
const LINGER_TICKS: u32 = 50;

/// Owns the thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct State {
    running: AtomicU32,
    parked: AtomicBool,
    stopped: AtomicBool,
}

/// A guest runs as long as this lives.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a State);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let engine = engine.weak();
        let theirs = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || theirs.tick_until_stopped(&engine))?;
        Ok(Self { state, thread: thread.thread().clone() })
    }

    /// Call before a deadline is set.
    pub(crate) fn running(&self) -> Running<'_> {
        // Sequentially consistent with the thread's "parked, then look": one of the two sees the other.
        self.state.running.fetch_add(1, Ordering::SeqCst);
        if self.state.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.state)
    }

    #[cfg(test)]
    pub(crate) fn is_parked(&self) -> bool {
        self.state.parked.load(Ordering::SeqCst)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl State {
    fn tick_until_stopped(&self, engine: &EngineWeak) {
        let mut idle_ticks = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            idle_ticks = if self.running.load(Ordering::SeqCst) == 0 { idle_ticks + 1 } else { 0 };
            if idle_ticks >= LINGER_TICKS {
                drop(engine);
                self.park();
                idle_ticks = 0;
            }
        }
    }

    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        let idle = || self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst);
        while idle() {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

/// Epochs that cover `budget`: one more, because the first tick may come at once.
pub(crate) fn ticks(budget: Duration) -> u64 {
    let whole = budget.as_micros().div_ceil(TICK.as_micros().max(1));
    u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_cut_short() {
        assert_eq!(ticks(Duration::from_millis(5)), 6);
        assert_eq!(ticks(Duration::from_micros(1)), 2);
        assert_eq!(ticks(Duration::ZERO), 1);
    }

    #[test]
    fn it_parks_when_idle_and_wakes_for_a_guest() {
        let (engine, _) = crate::engine::start(None).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let wait_until = |parked: bool| {
            for _ in 0..10_000 {
                if ticker.is_parked() == parked {
                    return;
                }
                std::thread::sleep(TICK);
            }
            panic!("parked is still {}", !parked);
        };
        wait_until(true);
        let running = ticker.running();
        wait_until(false);
        drop(running);
        wait_until(true);
    }
}
