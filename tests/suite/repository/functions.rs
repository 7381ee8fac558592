//! How long functions are. A rough reader of Rust: it knows texts, comments and braces, not the grammar.

/// One function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// The line of its `fn`, from 1.
    pub(super) line: usize,
    /// From its `fn` to its last brace.
    pub(super) lines: usize,
}

/// All functions of a source text.
pub(super) fn functions(source: &str) -> Vec<Function> {
    let code = without_texts(source);
    let words: Vec<(usize, &str)> = words(&code);
    let mut found = Vec::new();
    for (nth, (at, word)) in words.iter().enumerate() {
        let name = words.get(nth + 1).map_or("", |(_, name)| *name);
        if *word != "fn" || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue;
        }
        if let Some(end) = body_end(&code, *at) {
            let lines = code.get(*at..end).unwrap_or_default().matches('\n').count() + 1;
            let line = code.get(..*at).unwrap_or_default().matches('\n').count() + 1;
            found.push(Function { name: name.to_owned(), line, lines });
        }
    }
    found
}

/// Identifiers and where they begin.
fn words(code: &str) -> Vec<(usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = code;
    let mut at = 0;
    while let Some(begin) = rest.find(is_word) {
        let after = rest.get(begin..).unwrap_or_default();
        let length = after.find(|c| !is_word(c)).unwrap_or(after.len());
        words.push((at + begin, after.get(..length).unwrap_or_default()));
        at += begin + length;
        rest = after.get(length..).unwrap_or_default();
    }
    words
}

/// Where the body of the function that begins here ends; none for a declaration without one.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let (mut parens, mut braces) = (0_i32, 0_i32);
    for (at, c) in code.get(from..)?.char_indices() {
        match c {
            '(' | '[' if braces == 0 => parens += 1,
            ')' | ']' if braces == 0 => parens -= 1,
            ';' if parens == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(from + at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The source with every comment, text and character blanked out; lines stay where they are.
fn without_texts(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = comment(rest).or_else(|| text(rest)).or_else(|| character(rest));
        let skipped = length.unwrap_or(0);
        if skipped == 0 {
            // A word is taken whole, so that the end of `for` is not the `r` of a raw text.
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first.len_utf8());
            out.push_str(rest.get(..word).unwrap_or_default());
            rest = rest.get(word..).unwrap_or_default();
            continue;
        }
        let gone = rest.get(..skipped).unwrap_or_default();
        out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = rest.get(skipped..).unwrap_or_default();
    }
    out
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.strip_prefix("/*").map(|inner| inner.find("*/").map_or(rest.len(), |end| end + 4))
}

/// A text, raw or not, with or without `b` and `c` before it.
fn text(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or_default();
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = rest.strip_prefix(prefix)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let begin = prefix.len() + hashes + 1;
    let inner = rest.get(begin..)?;
    if prefix.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(inner.find(&close).map_or(rest.len(), |end| begin + end + close.len()));
    }
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(begin + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// A character; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        let end = escape.get(first..)?.find('\'')?;
        return Some(2 + first + end + 1);
    }
    let first = inner.chars().next()?.len_utf8();
    inner.get(first..)?.starts_with('\'').then_some(1 + first + 1)
}

#[test]
fn the_reader_sees_through_texts_and_comments() {
    let source = r####"
fn one() {
    let brace = "}"; // }
}
trait T { fn declared(&self); fn with_body(&self) -> [u8; 2] { [b'{', b'"'] } }
/* fn commented() { } */
fn generic<'a, F: Fn(&'a str) -> bool>(f: F) -> impl Iterator<Item = char>
where
    F: Clone,
{
    let raw = r#"fn not() { " } "#;
    let quote = '\'';
    let for_each = |x: u8| { x };
    "a\"b{".chars()
}
type Pointer = fn(u8) -> u8;
"####;
    let found: Vec<_> = functions(source).into_iter().map(|one| (one.name, one.line, one.lines)).collect();
    let expected = [("one", 2, 3), ("with_body", 5, 1), ("generic", 7, 9)];
    assert_eq!(found, expected.map(|(name, line, lines)| (name.to_owned(), line, lines)));
}
