//! Lays a script out: four spaces for each open bracket and for a line that goes on, no blanks at the end of a line, no two
//! empty lines in a row, one newline at the end. Refuses to touch what stands inside a line, and everything inside of texts:
//! only blanks between lines change, and the tokens before and after are compared before anything is handed out.

use std::ops::Range;

/// Spaces for one step.
const STEP: usize = 4;

/// Why a script was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A text or a comment has no end.
    #[error("line {line}: what begins here has no end; run `switchyard policy check` first")]
    Endless {
        /// Where it begins, counting from 1.
        line: usize,
    },
    /// The result would say something else: a mistake of the formatter.
    #[error("the formatter would change what the script says; it was left as it is")]
    Changed,
}

/// One piece of a script that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Comment,
    /// A text with everything in it.
    Text,
    Word,
    Sign(char),
}

/// The same script, laid out.
///
/// # Errors
/// It cannot be taken apart.
pub fn format(source: &str) -> Result<String, FormatError> {
    let tokens = tokens(source)?;
    let laid_out = lay_out(source, &tokens);
    let same = {
        let again = self::tokens(&laid_out).map_err(|_| FormatError::Changed)?;
        let said = |source: &'_ str, tokens: &[Token]| -> Vec<(Kind, String)> {
            tokens.iter().map(|token| (token.kind, words(source, token))).collect()
        };
        said(source, &tokens) == said(&laid_out, &again)
    };
    if same { Ok(laid_out) } else { Err(FormatError::Changed) }
}

/// What a token says. Blanks at the end of a comment say nothing.
fn words(source: &str, token: &Token) -> String {
    let text = source.get(token.at.clone()).unwrap_or_default();
    if token.kind == Kind::Comment { text.trim_end().to_owned() } else { text.to_owned() }
}

/// The lines of the result.
struct Layout<'a> {
    lines: Vec<String>,
    /// On which line each open bracket was opened.
    open: Vec<usize>,
    /// The last token that is no comment.
    last: Option<Kind>,
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token>>,
    /// Where the token ends that goes over the end of the line.
    inside_until: usize,
}

fn lay_out(source: &str, tokens: &[Token]) -> String {
    let mut layout = Layout {
        lines: Vec::new(),
        open: Vec::new(),
        last: None,
        tokens: tokens.iter().peekable(),
        inside_until: 0,
    };
    let mut start = 0;
    for (number, line) in source.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        layout.line(source, number, start..end);
        start = end;
    }
    while layout.lines.last().is_some_and(String::is_empty) {
        layout.lines.pop();
    }
    let mut text = layout.lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

impl Layout<'_> {
    fn line(&mut self, source: &str, number: usize, at: Range<usize>) {
        let begins_inside = at.start < self.inside_until;
        let text = source.get(at.clone()).unwrap_or_default();
        let bare = text.strip_suffix('\n').unwrap_or(text);
        let indent = self.take_tokens(number, &at, begins_inside);
        let ends_inside = at.end < self.inside_until;
        let kept = if ends_inside { bare } else { bare.trim_end() };
        let line = if begins_inside {
            kept.to_owned()
        } else {
            let words = kept.trim_start();
            if words.is_empty() { String::new() } else { format!("{}{words}", " ".repeat(indent * STEP)) }
        };
        let repeats_empty = line.is_empty() && self.lines.last().is_none_or(String::is_empty);
        if begins_inside || !repeats_empty {
            self.lines.push(line);
        }
    }

    /// Goes over the tokens that begin on this line; answers how far it is indented.
    fn take_tokens(&mut self, number: usize, at: &Range<usize>, begins_inside: bool) -> usize {
        let (mut indent, mut is_first, mut leads) = (0, !begins_inside, !begins_inside);
        while let Some(token) = self.tokens.next_if(|token| token.at.start < at.end) {
            let closes = matches!(token.kind, Kind::Sign(')' | ']' | '}'));
            if is_first {
                let goes_on = !closes && self.goes_on() && token.kind != Kind::Comment;
                indent = self.depth() + usize::from(goes_on);
                is_first = false;
            }
            if closes {
                self.open.pop();
            }
            // A line may begin with several closing brackets; the outermost counts.
            leads &= closes;
            if leads {
                indent = self.depth();
            }
            if matches!(token.kind, Kind::Sign('(' | '[' | '{')) {
                self.open.push(number);
            }
            if token.kind != Kind::Comment {
                self.last = Some(token.kind);
            }
            self.inside_until = self.inside_until.max(token.at.end);
        }
        indent
    }

    /// Brackets opened on the same line count once.
    fn depth(&self) -> usize {
        let mut lines = self.open.clone();
        lines.dedup();
        lines.len()
    }

    /// Whether the line before was not finished.
    fn goes_on(&self) -> bool {
        !matches!(self.last, None | Some(Kind::Sign('{' | '}' | ';' | ',' | '(' | '[')))
    }
}

fn tokens(source: &str) -> Result<Vec<Token>, FormatError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = token(rest).ok_or_else(|| {
            let line = 1 + source.bytes().take(at).filter(|byte| *byte == b'\n').count();
            FormatError::Endless { line }
        })?;
        tokens.push(Token { kind, at: at..at + length });
        at += length;
    }
    Ok(tokens)
}

/// The token that a text begins with, and its length; `None` when it has no end.
fn token(rest: &str) -> Option<(Kind, usize)> {
    let first = rest.chars().next()?;
    if rest.starts_with("//") {
        return Some((Kind::Comment, rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return block_comment(rest).map(|length| (Kind::Comment, length));
    }
    if let Some(length) = raw_text(rest) {
        return length.map(|length| (Kind::Text, length));
    }
    match first {
        '"' | '`' => text(rest, first).map(|length| (Kind::Text, length)),
        '\'' => Some(character(rest).map_or((Kind::Sign(first), 1), |length| (Kind::Text, length))),
        _ if is_word(first) => Some((Kind::Word, rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()))),
        other => Some((Kind::Sign(other), other.len_utf8())),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Comments may stand in comments.
fn block_comment(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let here = rest.get(at..).filter(|here| !here.is_empty())?;
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next()?.len_utf8();
        }
    }
}

/// `#"..."#` with any number of `#`; the outer `None` when it is something else, such as a map.
fn raw_text(rest: &str) -> Option<Option<usize>> {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inside = rest.get(hashes..)?.strip_prefix('"').filter(|_| hashes > 0)?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&end).map(|at| hashes + 1 + at + end.len()))
}

/// `'x'` or `'\n'` or `'\u0041'`.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.get(1..)?;
    let mut at = 0;
    let mut escaped = false;
    for c in inside.chars().take(12) {
        at += c.len_utf8();
        match c {
            '\n' => return None,
            '\\' if !escaped => escaped = true,
            '\'' if !escaped => return Some(1 + at),
            _ => escaped = false,
        }
    }
    None
}

/// A text to its end, with what is computed inside of it. A doubled end stands for one.
fn text(rest: &str, end: char) -> Option<usize> {
    let mut at = end.len_utf8();
    loop {
        let here = rest.get(at..)?;
        let c = here.chars().next()?;
        if c == end {
            at += c.len_utf8();
            if !rest.get(at..)?.starts_with(end) {
                return Some(at);
            }
            at += end.len_utf8();
        } else if c == '\\' && end == '"' {
            at += 1;
            at += rest.get(at..)?.chars().next()?.len_utf8();
        } else if end == '`' && here.starts_with("${") {
            at += 2 + computed(here.get(2..)?)?;
        } else {
            at += c.len_utf8();
        }
    }
}

/// What stands in `${...}`, its closing bracket included.
fn computed(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (1_usize, 0);
    while depth > 0 {
        let here = rest.get(at..)?;
        let (kind, length) = token(here)?;
        match kind {
            Kind::Sign('{') => depth += 1,
            Kind::Sign('}') => depth -= 1,
            _ => {}
        }
        at += length;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shipped() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let scripts = files.filter(|path| path.extension().is_some_and(|ending| ending == "rhai"));
        let scripts: Vec<_> = scripts
            .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
            .collect();
        assert!(scripts.len() > 10);
        scripts
    }

    #[test]
    fn shipped_policies_are_laid_out() {
        for (name, source) in shipped() {
            assert_eq!(format(&source).unwrap(), source, "{name}");
        }
    }

    /// Whatever stands before and behind the words of a line, the result is the same and says the same.
    #[test]
    fn a_mess_is_put_right() {
        for (name, source) in shipped() {
            let mut mess = "\n \n".to_owned();
            for (at, line) in source.lines().enumerate() {
                let blanks = ["", "\t", "      ", " "][at % 4];
                mess.push_str(&format!("{blanks}{}{blanks}\n", line.trim()));
                if line.is_empty() {
                    mess.push_str("\n   \n");
                }
            }
            assert_eq!(format(&mess).unwrap(), source, "{name}");
        }
    }

    #[test]
    fn texts_and_comments_stay_as_they_are() {
        let source = "fn rank(request) {\nlet a = `one\n   two ${ [1, 2\n].len } }\n\n\n  three  \n`;\nlet b = \"}}\\\"{\"; // { \n/* {\n   /* ( */\n*/\nlet c = #\"{\"\n  \"#;\nlet d = '{';\nlet e = '\\'';\nlet f = `a``b {`;\nfoo(#{\nx: 1,\ny: 2\n});\nranked(a)\n}\n";
        let expect = "fn rank(request) {\n    let a = `one\n   two ${ [1, 2\n].len } }\n\n\n  three  \n`;\n    let b = \"}}\\\"{\"; // {\n    /* {\n   /* ( */\n*/\n    let c = #\"{\"\n  \"#;\n    let d = '{';\n    let e = '\\'';\n    let f = `a``b {`;\n    foo(#{\n        x: 1,\n        y: 2\n    });\n    ranked(a)\n}\n";
        assert_eq!(format(source).unwrap(), expect);
        assert_eq!(format(expect).unwrap(), expect);
        assert_eq!(format("").unwrap(), "");
        assert_eq!(format("\n\n").unwrap(), "");
    }

    #[test]
    fn what_has_no_end_is_left_alone() {
        for (source, line) in [("let a = \"x", 1), ("\n`x ${ 1", 2), ("/* /* */", 1), ("x\n\n#\"x\"", 3)] {
            assert_eq!(format(source), Err(FormatError::Endless { line }), "{source}");
        }
    }
}
