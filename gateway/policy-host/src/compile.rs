//! From text to a tree that can be called: constants, imports, the functions a hook needs. Refuses what is too long,
//! what does not compile and what imports from outside the policies folder. Runs nothing but the constants.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rhai::{AST, Dynamic, Engine, EvalAltResult, ParseError, Scope};
use sha2::{Digest as _, Sha256};

use crate::deadline::Running;
use crate::engine;
use crate::error::{ScriptError, ScriptErrorKind};
use crate::modules::{FolderModules, Session};
use crate::vocabulary::book::{Book, Word};

/// Time for the constants and the trial run while loading. Far more than honest code needs, so that a busy
/// machine does not refuse it.
pub(crate) const SETUP_TIME: Duration = Duration::from_millis(250);
/// The longest script.
pub(crate) const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Functions that check a script begin with this; they are never part of what serves.
pub(crate) const TEST_PREFIX: &str = "test_";

/// Two engines that know the same words.
pub(crate) struct Compiler {
    pub(crate) engine: Arc<Engine>,
    /// Does not insist on known variables; only for finding a script's constants.
    first_pass: Arc<Engine>,
    words: Vec<Word>,
}

/// A script that can be called.
pub(crate) struct Compiled {
    pub(crate) ast: AST,
    /// The modules it imports, directly or not, and their texts.
    pub(crate) modules: BTreeMap<String, String>,
    /// The first 16 hexadecimal digits of the SHA-256 of it and its modules.
    pub(crate) digest: String,
}

impl Compiler {
    /// `teach` may add words and change limits.
    pub(crate) fn new(modules: Option<&Path>, teach: impl Fn(&mut Book)) -> Self {
        let resolver = FolderModules::new(modules);
        let build = || {
            let mut book = engine::build();
            teach(&mut book);
            book.engine.set_module_resolver(resolver.clone());
            book
        };
        let mut first_pass = build().engine;
        first_pass.set_strict_variables(false);
        let first_pass = Arc::new(first_pass);
        resolver.remember_first_pass(&first_pass);
        let Book { engine, words } = build();
        Self { engine: Arc::new(engine), first_pass, words }
    }

    /// Every word with its explanation.
    pub(crate) fn words(&self) -> &[Word] {
        &self.words
    }

    pub(crate) fn compile(&self, name: &str, source: &str) -> Result<Compiled, ScriptError> {
        if source.len() > MAX_SOURCE_BYTES {
            let (found, most) = (source.len() / 1024, MAX_SOURCE_BYTES / 1024);
            let text = format!("{found} KiB are more than the {most} KiB a script may have");
            return Err(ScriptError::new(name, ScriptErrorKind::Syntax, text));
        }
        let session = Session::begin();
        let ast = two_pass(&self.first_pass, source, |constants| {
            self.engine.compile_into_self_contained(constants, source)
        });
        let ast = ast.map_err(|error| ScriptError::from_run(name, *error))?;
        let modules = session.finish();
        let digest = digest(source, &modules);
        Ok(Compiled { ast, modules, digest })
    }
}

/// A function sees no variable outside of it, so the constants at the top are found first and written into the
/// functions that use them.
pub(crate) fn two_pass<E>(
    first_pass: &Engine,
    source: &str,
    second_pass: impl FnOnce(&Scope<'_>) -> Result<AST, E>,
) -> Result<AST, Box<EvalAltResult>>
where
    Box<EvalAltResult>: From<E>,
{
    let outline =
        first_pass.compile(source).map_err(|ParseError(kind, at)| EvalAltResult::ErrorParsing(*kind, at))?;
    let mut top = Scope::new();
    {
        let _running = Running::for_at_most(SETUP_TIME);
        first_pass.run_ast_with_scope(&mut top, &outline)?;
    }
    let mut constants = Scope::new();
    for (constant, _, value) in top.iter().filter(|(_, is_constant, _)| *is_constant) {
        check_constant(constant, &value)?;
        constants.push_constant_dynamic(constant, value);
    }
    Ok(second_pass(&constants)?)
}

/// Only plain values can be written into functions.
fn check_constant(constant: &str, value: &Dynamic) -> Result<(), Box<EvalAltResult>> {
    if value.is_int() || value.is_float() || value.is_bool() || value.is_string() {
        return Ok(());
    }
    let text = format!(
        "constant {constant} must be a number, a text or a truth; build a {} inside the function",
        value.type_name()
    );
    let error = rhai::LexError::ImproperSymbol(constant.to_owned(), text);
    Err(EvalAltResult::ErrorParsing(rhai::ParseErrorType::BadInput(error), rhai::Position::NONE).into())
}

/// Whether the script has this function with this many arguments.
pub(crate) fn check_function(
    policy: &str,
    ast: &AST,
    (name, arity): (&str, usize),
    written: &str,
) -> Result<(), ScriptError> {
    let functions = ast.iter_functions().filter(|function| function.name == name);
    let found: Vec<usize> = functions.map(|function| function.params.len()).collect();
    let text = match found.as_slice() {
        arities if arities.contains(&arity) => return Ok(()),
        [] => format!("it defines no {name}; write {written}"),
        [other, ..] => format!("{name} takes {other} arguments, but is given {arity}; write {written}"),
    };
    Err(ScriptError::new(policy, ScriptErrorKind::MissingFunction, text))
}

/// Of a script without modules it is the digest of its text.
fn digest(source: &str, modules: &BTreeMap<String, String>) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha256::new_with_prefix(source);
    for part in modules.iter().flat_map(|(path, text)| [path, text]) {
        hash.update([0xff]);
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
