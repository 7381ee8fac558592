//! What is wrong with a script and where, in words for its author.

use gateway_scheduler::PolicyError;
use rhai::{EvalAltResult, ParseError, Position};

/// Which kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScriptErrorKind {
    /// It does not compile: grammar, an unknown variable, too deep.
    Syntax,
    /// `fn rank(request)` is missing or takes other arguments.
    MissingFunction,
    /// It failed when it was asked to rank a made-up request.
    Runtime,
    /// It used up its operations or its time.
    Limit,
    /// It answered something that is no decision.
    WrongAnswer,
}

impl ScriptErrorKind {
    /// The word used in logs and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::MissingFunction => "missing_function",
            Self::Runtime => "runtime",
            Self::Limit => "limit",
            Self::WrongAnswer => "wrong_answer",
        }
    }
}

/// Why a script was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy}: {message}{}", at(*.line, *.column))]
pub struct ScriptError {
    /// Which kind of mistake it is.
    pub kind: ScriptErrorKind,
    /// The script's name.
    pub policy: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Counting from 1, when the place is known.
    pub line: Option<usize>,
    /// Counting from 1, when the place is known.
    pub column: Option<usize>,
}

impl ScriptError {
    pub(crate) fn new(policy: &str, kind: ScriptErrorKind, message: impl Into<String>) -> Self {
        Self { kind, policy: policy.to_owned(), message: message.into(), line: None, column: None }
    }

    fn placed(self, position: Position) -> Self {
        Self { line: position.line(), column: position.position(), ..self }
    }

    pub(crate) fn from_parse(policy: &str, error: &ParseError) -> Self {
        Self::new(policy, ScriptErrorKind::Syntax, error.err_type().to_string()).placed(error.position())
    }

    pub(crate) fn from_run(policy: &str, error: EvalAltResult) -> Self {
        let (root, position) = root_cause(error);
        let kind = if is_limit(&root) { ScriptErrorKind::Limit } else { ScriptErrorKind::Runtime };
        Self::new(policy, kind, describe(&root)).placed(position)
    }
}

/// The same for a script that fails in service.
pub(crate) fn policy_error(error: EvalAltResult) -> PolicyError {
    let (root, position) = root_cause(error);
    let text = format!("{}{}", describe(&root), at(position.line(), position.position()));
    if is_limit(&root) { PolicyError::TimedOut(text) } else { PolicyError::Failed(text) }
}

fn at(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        (Some(line), None) => format!(" (line {line})"),
        (None, _) => String::new(),
    }
}

/// The innermost error, and the innermost place that is known.
fn root_cause(mut error: EvalAltResult) -> (EvalAltResult, Position) {
    let mut position = Position::NONE;
    loop {
        let here = error.position();
        if !here.is_none() {
            position = here;
        }
        match error {
            EvalAltResult::ErrorInFunctionCall(_, _, inner, _)
            | EvalAltResult::ErrorInModule(_, inner, _) => {
                error = *inner;
            }
            root => return (root, position),
        }
    }
}

fn is_limit(error: &EvalAltResult) -> bool {
    matches!(error, EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..))
}

/// Where an author finds the words.
const LIST_OF_WORDS: &str = "policies/README.md lists them";

fn describe(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorTerminated(..) => "it ran out of time".to_owned(),
        EvalAltResult::ErrorTooManyOperations(_) => "it ran out of operations".to_owned(),
        EvalAltResult::ErrorRuntime(thrown, _) => format!("it threw: {thrown}"),
        EvalAltResult::ErrorFunctionNotFound(call, _) => {
            format!("there is no function {call}; {LIST_OF_WORDS}")
        }
        EvalAltResult::ErrorDotExpr(text, _) if text.starts_with("Unknown property") => {
            let property = text.split('\'').nth(1).unwrap_or_default();
            format!("there is no property {property} here; {LIST_OF_WORDS}")
        }
        other => {
            // The place is told apart from the message.
            let mut bare = other.to_string();
            if let Some(at) = bare.rfind(" (line ") {
                bare.truncate(at);
            }
            bare
        }
    }
}
