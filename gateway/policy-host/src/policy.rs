//! A script as a ranking policy: compiled once, called once per request, keeping nothing.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{Attachment, Guard, Health, Hook, HookError};
use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{
    PolicyError, PolicyLanguage, PolicyVersion, RankDecision, RankInput, RankingPolicy, Roster,
};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};

use crate::compile::{Compiler, SETUP_TIME, TEST_PREFIX, check_function};
use crate::deadline::Running;
use crate::error::{ScriptError, ScriptErrorKind, policy_error};
use crate::hooked::Wishes;
use crate::vocabulary::{Candidates, Counters, Request, Snapshot, Verdict};

/// Time for one answer unless the host was told otherwise.
const DEADLINE: Duration = Duration::from_millis(5);

/// The hook's function and the number of its arguments.
const RANK: (&str, usize) = ("rank", 1);

/// Runs scripts.
pub struct RhaiHost {
    compiler: Compiler,
    deadline: Duration,
    is_guarding: bool,
}

impl Default for RhaiHost {
    fn default() -> Self {
        Self::new()
    }
}

impl RhaiHost {
    /// Builds the engine, once per process. Scripts cannot import anything.
    #[must_use]
    pub fn new() -> Self {
        Self { compiler: Compiler::new(None, |_| {}), deadline: DEADLINE, is_guarding: false }
    }

    /// Scripts may import the modules inside this folder, and nothing outside of it.
    #[must_use]
    pub fn with_modules(self, folder: &Path) -> Self {
        Self { compiler: Compiler::new(Some(folder), |_| {}), ..self }
    }

    /// The time that scripts loaded from now on have for one answer; 5 ms unless set.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Scripts loaded from now on serve: one that keeps failing is not asked for a while, and its calls are counted. Not
    /// for replays and tools, where every question deserves its answer.
    #[must_use]
    pub fn guarding(self) -> Self {
        Self { is_guarding: true, ..self }
    }

    /// Compiles a script and tries it on made-up requests. Takes some milliseconds.
    ///
    /// # Errors
    /// It does not compile, has no `fn rank(request)`, or fails the trial; the place is told where it is known.
    pub fn load(&self, name: &str, source: &str) -> Result<RhaiPolicy, ScriptError> {
        let mut policy = self.compile(name, source)?;
        policy.try_out()?;
        // After the trial, so that made-up questions are not counted.
        policy.guard = self.is_guarding.then(Guard::default);
        Ok(policy)
    }

    /// Without the trial.
    pub(crate) fn compile(&self, name: &str, source: &str) -> Result<RhaiPolicy, ScriptError> {
        let compiled = self.compiler.compile(name, source)?;
        let wishes = Wishes::read(name, &compiled.ast)?;
        if wishes.hooks.is_empty() {
            check_function(name, &compiled.ast, RANK, "fn rank(request) { .. }")?;
        }
        let mut ast = compiled.ast;
        ast.retain_functions(|_, _, function, _| !function.starts_with(TEST_PREFIX));
        Ok(RhaiPolicy {
            version: PolicyVersion {
                name: name.to_owned(),
                language: PolicyLanguage::Rhai,
                digest: compiled.digest,
            },
            engine: Arc::clone(&self.compiler.engine),
            ast,
            modules: compiled.modules.into_keys().collect(),
            deadline: self.deadline,
            wishes,
            counters: Counters::default(),
            guard: None,
        })
    }
}

impl fmt::Debug for RhaiHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RhaiHost").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// A compiled script that ranks candidates.
pub struct RhaiPolicy {
    version: PolicyVersion,
    pub(crate) engine: Arc<Engine>,
    pub(crate) ast: AST,
    modules: Vec<String>,
    deadline: Duration,
    pub(crate) wishes: Wishes,
    pub(crate) counters: Counters,
    guard: Option<Guard>,
}

/// Why there is no verdict.
pub(crate) enum Failure {
    Script(Box<EvalAltResult>),
    NoVerdict(String),
}

impl Failure {
    /// As a mistake that is found before the script serves.
    pub(crate) fn into_mistake(self, policy: &str) -> ScriptError {
        match self {
            Self::Script(error) => ScriptError::from_run(policy, *error),
            Self::NoVerdict(text) => ScriptError::new(policy, ScriptErrorKind::WrongAnswer, text),
        }
    }
}

impl RhaiPolicy {
    /// The modules it imports, by their path in the policies folder.
    #[must_use]
    pub fn modules(&self) -> &[String] {
        &self.modules
    }

    /// Whether it ranks accounts.
    #[must_use]
    pub fn ranks(&self) -> bool {
        self.has(Hook::Schedule)
    }

    /// Whether it wants to be called for this hook.
    #[must_use]
    pub fn has(&self, hook: Hook) -> bool {
        self.wishes.hooks.contains(&hook)
    }

    /// How it fares, when it serves.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.guard.as_ref().map(Guard::health)
    }

    /// A call of a hook beside `rank`, behind the guard if there is one.
    pub(crate) fn guarded<R>(
        &self,
        hook: Hook,
        ask: impl FnOnce() -> Result<R, HookError>,
    ) -> Result<R, HookError> {
        match &self.guard {
            Some(guard) => guard.call(hook, ask),
            None => ask(),
        }
    }

    /// Where it asks to be attached.
    #[must_use]
    pub fn attachments(&self) -> Vec<Attachment> {
        self.wishes.attachments.clone()
    }

    #[cfg(test)]
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.ast.iter_functions().any(|function| function.name == name)
    }

    pub(crate) fn ask(
        &self,
        budget: Duration,
        roster: &Arc<Roster>,
        input: &Arc<RankInput>,
    ) -> Result<RankDecision, Failure> {
        let snapshot = Snapshot { roster: Arc::clone(roster), input: Arc::clone(input) };
        let _running = Running::for_at_most(budget);
        // The top of a script is run again only where it imports; its constants are in the functions already.
        let options = CallFnOptions::new().eval_ast(!self.modules.is_empty());
        let request = Request(Arc::new(snapshot));
        let answer: Dynamic = self
            .engine
            .call_fn_with_options(options, &mut Scope::new(), &self.ast, RANK.0, (request,))
            .map_err(Failure::Script)?;
        verdict(answer)
    }

    /// Most mistakes of a script show only when it runs.
    pub(crate) fn try_out(&self) -> Result<(), ScriptError> {
        self.try_hooks()?;
        let name = &self.version.name;
        if !self.ranks() {
            return Ok(());
        }
        let mut corpus = Corpus::new(1)
            .map_err(|error| ScriptError::new(name, ScriptErrorKind::Runtime, error.to_string()))?;
        for candidates in [5, 5, 1, 0] {
            let (roster, input) = corpus.question(candidates);
            self.ask(SETUP_TIME, &roster, &input).map_err(|failure| failure.into_mistake(name))?;
        }
        Ok(())
    }
}

/// A list is short for `ranked(list)`.
pub(crate) fn verdict(answer: Dynamic) -> Result<RankDecision, Failure> {
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
        let ask = || {
            self.ask(self.deadline, roster, input).map_err(|failure| match failure {
                Failure::Script(error) => policy_error(*error),
                Failure::NoVerdict(text) => PolicyError::InvalidOutput(text),
            })
        };
        match &self.guard {
            Some(guard) => guard.rank(ask),
            None => ask(),
        }
    }
}
