//! A script as a ranking policy: compiled once, called once per request, keeping nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{
    PolicyError, PolicyLanguage, PolicyVersion, RankDecision, RankInput, RankingPolicy, Roster,
};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};
use sha2::{Digest as _, Sha256};

use crate::deadline::Running;
use crate::engine;
use crate::error::{ScriptError, ScriptErrorKind, policy_error};
use crate::vocabulary::{Candidates, Request, Snapshot, Verdict};

/// Time for one answer unless the host was told otherwise.
const DEADLINE: Duration = Duration::from_millis(5);
/// Time for the constants and the trial run while loading. Far more than honest code needs, so that a busy
/// machine does not refuse it.
const SETUP_TIME: Duration = Duration::from_millis(250);
/// The longest script.
const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// The hook's function and the number of its arguments.
const RANK: (&str, usize) = ("rank", 1);

/// Runs scripts.
pub struct RhaiHost {
    engine: Arc<Engine>,
    /// Does not insist on known variables; only for finding a script's constants.
    first_pass: Engine,
    deadline: Duration,
}

impl Default for RhaiHost {
    fn default() -> Self {
        Self::new()
    }
}

impl RhaiHost {
    /// Builds the engine, once per process.
    #[must_use]
    pub fn new() -> Self {
        let mut first_pass = engine::build();
        first_pass.set_strict_variables(false);
        Self { engine: Arc::new(engine::build()), first_pass, deadline: DEADLINE }
    }

    /// The time that scripts loaded from now on have for one answer; 5 ms unless set.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Compiles a script and tries it on made-up requests. Takes some milliseconds.
    ///
    /// # Errors
    /// It does not compile, has no `fn rank(request)`, or fails the trial; the place is told where it is known.
    pub fn load(&self, name: &str, source: &str) -> Result<RhaiPolicy, ScriptError> {
        if source.len() > MAX_SOURCE_BYTES {
            let text = format!("{} KiB are more than the {} KiB a script may have", source.len() / 1024, 256);
            return Err(ScriptError::new(name, ScriptErrorKind::Syntax, text));
        }
        let ast = self.compile(name, source)?;
        check_functions(name, &ast)?;
        let policy = RhaiPolicy {
            version: PolicyVersion {
                name: name.to_owned(),
                language: PolicyLanguage::Rhai,
                digest: digest(source.as_bytes()),
            },
            engine: Arc::clone(&self.engine),
            ast,
            deadline: self.deadline,
        };
        policy.try_out()?;
        Ok(policy)
    }

    /// Two passes: a function sees no variable outside of it, so the constants at the top are found first and
    /// written into the functions that use them.
    fn compile(&self, name: &str, source: &str) -> Result<AST, ScriptError> {
        let parse_error = |error| ScriptError::from_parse(name, &error);
        let outline = self.first_pass.compile(source).map_err(parse_error)?;
        let mut top = Scope::new();
        let run = {
            let _running = Running::for_at_most(SETUP_TIME);
            self.first_pass.run_ast_with_scope(&mut top, &outline)
        };
        run.map_err(|error| ScriptError::from_run(name, *error))?;
        let mut constants = Scope::new();
        for (constant, _, value) in top.iter().filter(|(_, is_constant, _)| *is_constant) {
            check_constant(name, constant, &value)?;
            constants.push_constant_dynamic(constant, value);
        }
        self.engine.compile_with_scope(&constants, source).map_err(parse_error)
    }
}

/// Only plain values can be written into functions.
fn check_constant(policy: &str, constant: &str, value: &Dynamic) -> Result<(), ScriptError> {
    if value.is_int() || value.is_float() || value.is_bool() || value.is_string() {
        return Ok(());
    }
    let text = format!(
        "constant {constant} must be a number, a text or a truth; build a {} inside the function",
        value.type_name()
    );
    Err(ScriptError::new(policy, ScriptErrorKind::Syntax, text))
}

fn check_functions(policy: &str, ast: &AST) -> Result<(), ScriptError> {
    let (name, arity) = RANK;
    let found: Vec<usize> = ast
        .iter_functions()
        .filter(|function| function.name == name)
        .map(|function| function.params.len())
        .collect();
    let text = match found.as_slice() {
        arities if arities.contains(&arity) => return Ok(()),
        [] => "it defines no policy; write fn rank(request) { .. }".to_owned(),
        [other, ..] => {
            format!("rank takes {other} arguments, but is given one; write fn rank(request) {{ .. }}")
        }
    };
    Err(ScriptError::new(policy, ScriptErrorKind::MissingFunction, text))
}

/// A compiled script that ranks candidates.
pub struct RhaiPolicy {
    version: PolicyVersion,
    engine: Arc<Engine>,
    ast: AST,
    deadline: Duration,
}

/// Why there is no verdict.
enum Failure {
    Script(Box<EvalAltResult>),
    NoVerdict(String),
}

impl RhaiPolicy {
    fn ask(
        &self,
        budget: Duration,
        roster: &Arc<Roster>,
        input: &Arc<RankInput>,
    ) -> Result<RankDecision, Failure> {
        let snapshot = Snapshot { roster: Arc::clone(roster), input: Arc::clone(input) };
        let _running = Running::for_at_most(budget);
        // The top of the script is not run again; its constants are in the functions already.
        let options = CallFnOptions::new().eval_ast(false);
        let request = Request(Arc::new(snapshot));
        let answer: Dynamic = self
            .engine
            .call_fn_with_options(options, &mut Scope::new(), &self.ast, RANK.0, (request,))
            .map_err(Failure::Script)?;
        verdict(answer)
    }

    /// Most mistakes of a script show only when it runs.
    fn try_out(&self) -> Result<(), ScriptError> {
        let name = &self.version.name;
        let mut corpus = Corpus::new(1)
            .map_err(|error| ScriptError::new(name, ScriptErrorKind::Runtime, error.to_string()))?;
        for candidates in [5, 5, 1, 0] {
            let (roster, input) = corpus.question(candidates);
            self.ask(SETUP_TIME, &roster, &input).map_err(|failure| match failure {
                Failure::Script(error) => ScriptError::from_run(name, *error),
                Failure::NoVerdict(text) => ScriptError::new(name, ScriptErrorKind::WrongAnswer, text),
            })?;
        }
        Ok(())
    }
}

/// A list is short for `ranked(list)`.
fn verdict(answer: Dynamic) -> Result<RankDecision, Failure> {
    let found = answer.type_name();
    let answer = match answer.try_cast_result::<Verdict>() {
        Ok(verdict) => return Ok(verdict.0),
        Err(answer) => answer,
    };
    answer.try_cast::<Candidates>().map(|list| Verdict::ranked(&list).0).ok_or_else(|| {
        let found = if found == "()" { "nothing" } else { found };
        Failure::NoVerdict(format!(
            "rank must answer ranked(list), wait_ms(n), refuse(..) or delegate(), but answered {found}"
        ))
    })
}

impl fmt::Debug for RhaiPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RhaiPolicy").field(&self.version).finish()
    }
}

impl RankingPolicy for RhaiPolicy {
    fn version(&self) -> &PolicyVersion {
        &self.version
    }

    fn rank(&self, roster: &Arc<Roster>, input: &Arc<RankInput>) -> Result<RankDecision, PolicyError> {
        self.ask(self.deadline, roster, input).map_err(|failure| match failure {
            Failure::Script(error) => policy_error(*error),
            Failure::NoVerdict(text) => PolicyError::InvalidOutput(text),
        })
    }
}

/// The first 16 hexadecimal digits of the SHA-256.
fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().take(8).fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
