//! The engine together with the list of the words it was taught: the reference and the definitions file are written
//! from this list, so they cannot name a word that does not exist. Refuses nothing; it only notes.

use rhai::Engine;

/// How a word is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `accounts.len`
    Property,
    /// `accounts.usable()`
    Method,
    /// `left(used, 0.5)`
    Function,
    /// `a + b`
    Operator,
}

/// One word and what it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) form: Form,
    /// The type it belongs to, or the heading of a free function.
    pub(crate) of: &'static str,
    /// `len: int` for a property, `top(n: int) -> Candidates` for the others.
    pub(crate) signature: &'static str,
    pub(crate) about: &'static str,
}

/// An engine in the making.
pub(crate) struct Book {
    pub(crate) engine: Engine,
    pub(crate) words: Vec<Word>,
}

impl Book {
    pub(crate) const fn new(engine: Engine) -> Self {
        Self { engine, words: Vec::new() }
    }

    pub(crate) fn note(
        &mut self,
        form: Form,
        of: &'static str,
        signature: &'static str,
        about: &'static str,
    ) {
        self.words.push(Word { form, of, signature, about });
    }
}

/// What stands before the arguments or the type.
pub(crate) fn name_of(signature: &'static str) -> &'static str {
    signature.split(['(', ':']).next().unwrap_or(signature).trim()
}

/// Teaches and notes: `say!(book, Method, "Candidates"; "usable() -> Candidates" "who could serve" => |list| ..;)`.
/// A macro because the library's bounds cannot be named outside of it.
macro_rules! say {
    ($book:expr, $form:ident, $of:literal; $($signature:literal $about:literal => $function:expr;)+) => {$(
        $book.note($crate::vocabulary::book::Form::$form, $of, $signature, $about);
        say!(@ $form, $book.engine, $crate::vocabulary::book::name_of($signature), $function);
    )+};
    (@ Property, $engine:expr, $name:expr, $function:expr) => { $engine.register_get($name, $function) };
    (@ $form:ident, $engine:expr, $name:expr, $function:expr) => { $engine.register_fn($name, $function) };
}

pub(crate) use say;
