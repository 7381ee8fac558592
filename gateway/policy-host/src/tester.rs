//! The words that only a script's `test_*` functions have: `ask(#{..})` puts a question to the script, `assert` and
//! `assert_eq` say what must come out. Not for serving: the engine of requests does not know them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_scheduler::{Action, RankDecision};
use rhai::{
    AST, CallFnOptions, Dynamic, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext, Position,
    Scope,
};

use crate::case::{Question, action_word};
use crate::compile::{Compiler, TEST_PREFIX};
use crate::deadline::Running;
use crate::error::{ScriptError, Unmet};
use crate::policy::{Failure, verdict};
use crate::vocabulary::book::{Book, Word, say};
use crate::vocabulary::{Request, Snapshot, complaint};

/// Time for one test function.
const TEST_TIME: Duration = Duration::from_secs(2);
/// Operations of one test function, the questions it asks included.
const MAX_TEST_OPERATIONS: u64 = 5_000_000;

/// What `ask` answers.
#[derive(Debug, Clone)]
struct Answer {
    question: Question,
    decision: RankDecision,
}

/// A test by its name and what came out of it.
pub(crate) type Ran = (String, Result<(), ScriptError>);

/// Runs the tests inside a script.
pub(crate) struct Tester {
    compiler: Compiler,
}

impl Tester {
    pub(crate) fn new(modules: Option<&Path>) -> Self {
        Self { compiler: Compiler::new(modules, teach) }
    }

    /// The words of the vocabulary and those of tests.
    pub(crate) fn words(&self) -> &[Word] {
        self.compiler.words()
    }

    /// What a few statements come to.
    pub(crate) fn evaluate(&self, statements: &str) -> Result<Dynamic, Box<EvalAltResult>> {
        let _running = Running::for_at_most(TEST_TIME);
        self.compiler.engine.eval(statements)
    }

    /// Every test, in alphabetical order.
    pub(crate) fn run(&self, name: &str, source: &str) -> Result<Vec<Ran>, ScriptError> {
        let compiled = self.compiler.compile(name, source)?;
        let tests: BTreeSet<String> = compiled
            .ast
            .iter_functions()
            .filter(|function| function.name.starts_with(TEST_PREFIX) && function.params.is_empty())
            .map(|function| function.name.to_owned())
            .collect();
        let imports = !compiled.modules.is_empty();
        let run = |test: String| {
            let outcome = self.run_one(&compiled.ast, imports, &test);
            (test, outcome.map_err(|error| ScriptError::from_run(name, *error)))
        };
        Ok(tests.into_iter().map(run).collect())
    }

    fn run_one(&self, ast: &AST, imports: bool, test: &str) -> Result<(), Box<EvalAltResult>> {
        let _running = Running::for_at_most(TEST_TIME);
        let options = CallFnOptions::new().eval_ast(imports);
        let engine = &self.compiler.engine;
        engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), ast, test, ()).map(drop)
    }
}

fn ask(context: &NativeCallContext, question: &Map) -> Result<Answer, Box<EvalAltResult>> {
    let question = Question::from_map(question).map_err(complaint)?;
    let snapshot = Snapshot { roster: Arc::clone(&question.roster), input: Arc::clone(&question.input) };
    let request = Request(Arc::new(snapshot));
    let answer: Dynamic = FnPtr::new("rank")?.call_within_context(context, (request,))?;
    match verdict(answer) {
        Ok(decision) => Ok(Answer { question, decision }),
        Err(Failure::NoVerdict(text)) => Err(complaint(text)),
        Err(Failure::Script(error)) => Err(error),
    }
}

fn unmet(text: impl Into<String>) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(Dynamic::from(Unmet(text.into())), Position::NONE).into()
}

fn assert_eq(found: &Dynamic, expected: &Dynamic) -> Result<(), Box<EvalAltResult>> {
    if same(found, expected) {
        return Ok(());
    }
    Err(unmet(format!("expected {expected}, found {found}")))
}

/// Whole numbers and others compare by value; everything else by what it looks like.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    let number = |value: &Dynamic| value.as_float().ok().or_else(|| value.as_int().ok().map(|n| n as f64));
    match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-9 || (a.is_nan() && b.is_nan()),
        (None, None) => a.type_name() == b.type_name() && a.to_string() == b.to_string(),
        _ => false,
    }
}

impl Answer {
    fn score(&self, label: &str) -> f64 {
        let candidates = self.question.input.candidates.iter();
        let place = candidates.map(|one| one.account).position(|one| self.question.label(one) == label);
        place.and_then(|place| self.decision.scores.get(place)).copied().unwrap_or(f64::NAN)
    }

    fn first(&self) -> ImmutableString {
        match &self.decision.action {
            Action::Ranked(order) => order.first().map_or("", |first| self.question.label(*first)).into(),
            _ => ImmutableString::new(),
        }
    }
}

fn teach(book: &mut Book) {
    book.engine.set_max_operations(MAX_TEST_OPERATIONS).register_type_with_name::<Answer>("Answer");
    say!(book, Function, "Tests";
        "ask(question: Map) -> Answer" "what `rank` answers to a question, written like that of a case file"
            => |context: NativeCallContext, question: Map| ask(&context, &question);
        "assert(holds: bool) -> ()" "fails the test unless it holds" => |holds: bool| {
            if holds { Ok(()) } else { Err(unmet("the assertion does not hold")) }
        };
        "assert(holds: bool, message: String) -> ()" "the same with a message" => |holds: bool, text: ImmutableString| {
            if holds { Ok(()) } else { Err(unmet(text)) }
        };
        "assert_eq(found: ?, expected: ?) -> ()" "fails the test unless both are the same"
            => |found: Dynamic, expected: Dynamic| assert_eq(&found, &expected);
    );
    say!(book, Property, "Answer";
        "order: Array" "the labels, best first; or the word for another answer" => |answer: &mut Answer| {
            let order = answer.question.order(&answer.decision);
            order.into_iter().map(Dynamic::from).collect::<rhai::Array>()
        };
        "first: String" "the label of the best; empty when nobody was ranked" => |answer: &mut Answer| answer.first();
        "action: String" "`ranked`, `delegate`, `wait 250` or `refuse 429 code`"
            => |answer: &mut Answer| action_word(&answer.decision.action);
        "reason: String" "the sentence" => |answer: &mut Answer| answer.decision.reason.clone();
    );
    say!(book, Method, "Answer";
        "score(label: String) -> float" "the score of that account; NaN when it has none"
            => |answer: &mut Answer, label: ImmutableString| answer.score(&label);
    );
}
