//! The lines a plugin writes: a few a second, the last ones kept, the rest counted.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::Mutex;

/// Lines kept.
const KEPT: usize = 500;
/// Lines taken in a row, and again after a second.
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 20.0;
/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 1024;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For who writes the plugin.
    Debug,
    /// For who runs it.
    Info,
    /// Something is odd.
    Warn,
    /// Something is wrong.
    Error,
}

impl LogLevel {
    /// The word used in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Counts the plugin's lines, those left out included.
    pub number: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
}

#[derive(Debug)]
pub(crate) struct Log {
    plugin: String,
    started: Instant,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    lines: VecDeque<LogLine>,
    written: u64,
    left_out: u64,
    tokens: f64,
    refilled_at: f64,
}

impl Log {
    pub(crate) fn new(plugin: &str) -> Self {
        let book = Book { lines: VecDeque::new(), written: 0, left_out: 0, tokens: BURST, refilled_at: 0.0 };
        Self { plugin: plugin.to_owned(), started: Instant::now(), book: Mutex::new(book) }
    }

    pub(crate) fn write(&self, level: LogLevel, message: String) {
        self.write_at(self.started.elapsed().as_secs_f64(), level, message);
    }

    fn write_at(&self, now: f64, level: LogLevel, message: String) {
        let message = fit(message);
        let mut book = self.book.lock();
        book.written += 1;
        if !book.take_token(now) {
            book.left_out += 1;
            return;
        }
        let number = book.written;
        if book.lines.len() == KEPT {
            book.lines.pop_front();
        }
        book.lines.push_back(LogLine { number, level, message: message.clone() });
        drop(book);
        let plugin = self.plugin.as_str();
        match level {
            LogLevel::Debug => tracing::debug!(plugin, "{message}"),
            LogLevel::Info => tracing::info!(plugin, "{message}"),
            LogLevel::Warn => tracing::warn!(plugin, "{message}"),
            LogLevel::Error => tracing::error!(plugin, "{message}"),
        }
    }

    /// The last lines, oldest first, and how many were left out so far.
    pub(crate) fn lines(&self) -> (Vec<LogLine>, u64) {
        let book = self.book.lock();
        (book.lines.iter().cloned().collect(), book.left_out)
    }
}

impl Book {
    fn take_token(&mut self, now: f64) -> bool {
        self.tokens = (self.tokens + (now - self.refilled_at) * PER_SECOND).min(BURST);
        self.refilled_at = now;
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

/// One line, without what would forge another one.
fn fit(mut message: String) -> String {
    if message.len() > MAX_LINE_BYTES {
        let end = (0..=MAX_LINE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
    }
    if message.chars().any(char::is_control) {
        message = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_next_second_is_heard_again() {
        let log = Log::new("loud");
        for n in 0..1_000 {
            log.write_at(0.0, LogLevel::Info, format!("line {n}"));
        }
        let (lines, left_out) = log.lines();
        assert_eq!((lines.len(), left_out), (20, 980));
        log.write_at(1.0, LogLevel::Warn, "again".to_owned());
        let last = log.lines().0.pop().unwrap();
        assert_eq!((last.number, last.message.as_str()), (1001, "again"));
    }

    #[test]
    fn the_last_lines_are_kept_and_each_is_one_short_line() {
        let log = Log::new("steady");
        for second in 0..600 {
            log.write_at(
                f64::from(second),
                LogLevel::Debug,
                format!("{second}\nERROR forged {}", "é".repeat(900)),
            );
        }
        let (lines, left_out) = log.lines();
        assert_eq!((lines.len(), left_out), (500, 0));
        assert!(lines.iter().all(|line| line.message.len() <= 1024 && !line.message.contains('\n')));
        assert_eq!(lines[0].number, 101);
    }
}
