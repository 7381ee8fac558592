//! What the tool tells the person who waits: one line per step, on standard error, so that pipes stay clean.

/// One line about what is being done now.
#[expect(clippy::print_stderr, reason = "this is a command-line tool and this is its one mouth")]
pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}
