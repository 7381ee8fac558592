//! What is wrong with a script and where, in words for its author.

use gateway_scheduler::PolicyError;
use rhai::{EvalAltResult, Position};

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
    /// A module it imports is missing, outside of the policies folder, or imports itself.
    Import,
    /// One of its tests or cases does not hold.
    Unmet,
    /// The file cannot be read or is not named like a policy.
    File,
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
            Self::Import => "import",
            Self::Unmet => "unmet",
            Self::File => "file",
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
    /// The imported module that the place is in; `None` for the script itself.
    pub module: Option<String>,
}

impl ScriptError {
    pub(crate) fn new(policy: &str, kind: ScriptErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            policy: policy.to_owned(),
            message: message.into(),
            line: None,
            column: None,
            module: None,
        }
    }

    pub(crate) fn from_run(policy: &str, error: EvalAltResult) -> Self {
        let Cause { root, position, module } = Cause::of(error);
        let kind = match &root {
            _ if is_limit(&root) => ScriptErrorKind::Limit,
            EvalAltResult::ErrorParsing(..) => ScriptErrorKind::Syntax,
            EvalAltResult::ErrorSystem(..) => ScriptErrorKind::Import,
            EvalAltResult::ErrorRuntime(thrown, _) if thrown.is::<Unmet>() => ScriptErrorKind::Unmet,
            _ => ScriptErrorKind::Runtime,
        };
        Self {
            line: position.line(),
            column: position.position(),
            module: module.clone(),
            ..Self::new(policy, kind, described(&root, module.as_deref()))
        }
    }
}

/// What an assertion of a test throws.
#[derive(Debug, Clone)]
pub(crate) struct Unmet(pub(crate) String);

/// The same for a script that fails in service.
pub(crate) fn policy_error(error: EvalAltResult) -> PolicyError {
    let Cause { root, position, module } = Cause::of(error);
    let text = format!("{}{}", described(&root, module.as_deref()), at(position.line(), position.position()));
    if is_limit(&root) { PolicyError::TimedOut(text) } else { PolicyError::Failed(text) }
}

fn at(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        (Some(line), None) => format!(" (line {line})"),
        (None, _) => String::new(),
    }
}

/// The innermost error, the innermost place that is known, and the module that place is in.
struct Cause {
    root: EvalAltResult,
    position: Position,
    module: Option<String>,
}

impl Cause {
    fn of(mut error: EvalAltResult) -> Self {
        let (mut position, mut module) = (Position::NONE, None);
        loop {
            let here = error.position();
            match error {
                EvalAltResult::ErrorInFunctionCall(_, source, inner, _) => {
                    position = if here.is_none() { position } else { here };
                    if !source.is_empty() {
                        module = Some(source);
                    }
                    error = *inner;
                }
                EvalAltResult::ErrorInModule(source, inner, _) => {
                    position = if here.is_none() { position } else { here };
                    if !source.is_empty() {
                        // A place in the importing script would be read as one in the module.
                        position = Position::NONE;
                        module = Some(source);
                    }
                    error = *inner;
                }
                root => {
                    let position = if here.is_none() { position } else { here };
                    return Self { root, position, module };
                }
            }
        }
    }
}

fn described(error: &EvalAltResult, module: Option<&str>) -> String {
    let text = describe(error);
    module.map_or_else(|| text.clone(), |module| format!("in {module}: {text}"))
}

fn is_limit(error: &EvalAltResult) -> bool {
    matches!(error, EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..))
}

/// Where an author finds the words.
const LIST_OF_WORDS: &str = "policies/reference.md lists them";

fn describe(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorTerminated(..) => "it ran out of time".to_owned(),
        EvalAltResult::ErrorTooManyOperations(_) => "it ran out of operations".to_owned(),
        EvalAltResult::ErrorParsing(kind, _) => kind.to_string(),
        EvalAltResult::ErrorSystem(text, _) => text.clone(),
        EvalAltResult::ErrorRuntime(thrown, _) if thrown.is::<Unmet>() => {
            thrown.clone().try_cast::<Unmet>().map(|unmet| unmet.0).unwrap_or_default()
        }
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
