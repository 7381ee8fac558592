//! Scripts that try to break out, to take the machine along, or are just wrong.

use std::time::{Duration, Instant};

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{PolicyError, RankDecision, RankingPolicy as _};

use crate::{RhaiHost, ScriptError, ScriptErrorKind};

fn refused(source: &str) -> ScriptError {
    let started = Instant::now();
    let Err(error) = RhaiHost::new().load("candidate", source) else { panic!("it was taken: {source}") };
    assert!(started.elapsed() < Duration::from_secs(5), "{:?} for {source}", started.elapsed());
    assert_eq!(error.policy, "candidate");
    error
}

/// Runs `body` in service, past the trial: only a request of client `victim` gets there.
fn in_service(body: &str) -> Result<RankDecision, PolicyError> {
    in_service_by(&RhaiHost::new(), body)
}

fn in_service_by(host: &RhaiHost, body: &str) -> Result<RankDecision, PolicyError> {
    let source =
        format!("fn rank(request) {{\nif request.client == \"victim\" {{\n{body}\n}}\ndelegate()\n}}");
    let policy = host.load("candidate", &source).unwrap_or_else(|error| panic!("{error}: {body}"));
    let (roster, input) = Corpus::new(3).unwrap().question(5);
    let mut input = (*input).clone();
    input.info.client = "victim".to_owned();
    policy.rank(&roster, &input.into())
}

#[test]
fn what_never_ends_runs_out_of_operations_or_time() {
    for body in [
        "loop {}",
        "while true { let x = 1; }",
        "for i in 0..9223372036854775807 { let x = i; }",
        "let map = #{}; let i = 0; loop { i += 1; map[`k${i}`] = i; }",
        "let list = []; for i in 0..4000 { list.push(4000 - i); } loop { let copy = list; copy.sort(); }",
        "let text = \"\"; loop { text = \"a\"; for i in 0..13 { text += text; } }",
        "loop { let c = request.candidates; for i in 0..100 { c = c.usable().then(c).sticky(\"x\"); } }",
    ] {
        let started = Instant::now();
        let answer = in_service(body);
        assert!(matches!(answer, Err(PolicyError::TimedOut(_))), "{body}: {answer:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?} for {body}", started.elapsed());
        assert_eq!(refused(&format!("fn rank(request) {{ {body} }}")).kind, ScriptErrorKind::Limit, "{body}");
    }
}

#[test]
fn nothing_grows_without_end() {
    // Sizes are the subject, not the clock.
    let host = RhaiHost::new().with_deadline(Duration::from_secs(5));
    for (body, because) in [
        ("let text = \"x\"; loop { text += text; }", "too large"),
        ("let text = \"x\"; text.pad(1000000000, \"x\");", "too large"),
        ("let list = [1]; loop { list += list; }", "too large"),
        ("let list = [1]; list.pad(1000000000, 1);", "too large"),
        ("let list = []; loop { list.push(list); }", "too large"),
        ("let list = [1]; loop { list = [list, list]; }", "too large"),
        ("let map = #{ a: 1 }; let n = 0; loop { n += 1; map = #{ a: map, b: map }; }", "too large"),
        (
            "let text = \"a\"; for n in 0..13 { text += text; } let copy = text; text.replace(\"a\", copy);",
            "too large",
        ),
        (
            "let text = \"a\"; for n in 0..13 { text += text; } let copy = text; text.replace('a', copy);",
            "too large",
        ),
        ("let text = \"a\"; for n in 0..13 { text += text; } `${text}${text}${text}`", "too large"),
        (
            "let text = \"a\"; for n in 0..13 { text += text; } let list = []; list.pad(4000, text);",
            "too large",
        ),
    ] {
        let error = in_service_by(&host, body).unwrap_err();
        assert!(
            matches!(&error, PolicyError::Failed(why) if why.to_lowercase().contains(because)),
            "{body}: {error}"
        );
    }
}

/// Sorting, hashing and drawing five hundred accounts again and again: the clock is read by what was walked.
#[test]
fn slow_native_words_are_stopped_in_time() {
    for body in [
        "loop { all.sticky(\"x\"); }",
        "loop { all.weighted(all.weight, 1); all.two_choices(all.load, 2); }",
        "loop { all.sorted_by([all.load, all.weight, all.capacity, all.cost, all.short_window_used]); }",
        "let list = []; for i in 0..4000 { list.push((i * 7919) % 4001); } loop { let copy = list; copy.sort(); }",
        "let text = \"a\"; for n in 0..13 { text += text; } loop { text.split(\"aaaa\"); }",
        "let text = \"a\"; for n in 0..13 { text += text; } loop { text.index_of(text + \"b\"); }",
        "let list = []; list.pad(4000, 1); loop { list.dedup(); list.pad(4000, 2); list.reverse(); }",
    ] {
        let source = format!(
            "fn rank(request) {{ let all = request.candidates; if request.client == \"victim\" {{ {body} }} all }}"
        );
        let policy = RhaiHost::new().load("slow", &source).unwrap_or_else(|error| panic!("{error}: {body}"));
        let (roster, input) = Corpus::new(3).unwrap().question(500);
        let mut input = (*input).clone();
        input.info.client = "victim".to_owned();
        let started = Instant::now();
        let answer = policy.rank(&roster, &input.into());
        let took = started.elapsed();
        assert!(matches!(answer, Err(PolicyError::TimedOut(_))), "{body}: {answer:?}");
        // 5 ms are allowed; the rest is for a debug build on a busy machine.
        assert!(took < Duration::from_secs(1), "{took:?} for {body}");
    }
}

#[test]
fn recursion_has_a_floor() {
    let error = refused("fn rank(request) { deeper(request) }\nfn deeper(r) { deeper(r) }");
    assert_eq!(error.kind, ScriptErrorKind::Runtime);
    assert!(error.message.to_lowercase().contains("stack overflow"), "{error}");
    let nested = format!("fn rank(request) {{ {}1{} }}", "(".repeat(500), ")".repeat(500));
    assert_eq!(refused(&nested).kind, ScriptErrorKind::Syntax);
}

#[test]
fn nothing_outside_is_within_reach() {
    for (body, because) in [
        ("sleep(1)", "no function sleep"),
        ("timestamp()", "no function timestamp"),
        ("open(\"/etc/passwd\")", "no function open"),
        ("exit()", "no function exit"),
    ] {
        let error = refused(&format!("fn rank(request) {{ {body}; }}"));
        assert!(error.kind == ScriptErrorKind::Runtime && error.message.contains(because), "{body}: {error}");
    }
    for (body, kind) in
        [("eval(\"1\")", ScriptErrorKind::Syntax), ("import \"x\" as y", ScriptErrorKind::Import)]
    {
        assert_eq!(refused(&format!("fn rank(request) {{ {body}; }}")).kind, kind, "{body}");
    }
}

#[test]
fn printing_goes_nowhere_and_hurts_nobody() {
    assert!(in_service("print(\"x\"); debug(1); return wait_ms(1);").is_ok());
}

#[test]
fn mistakes_are_told_with_their_place() {
    let place = |source| {
        let error = refused(source);
        (error.kind, error.line, error.column)
    };
    assert_eq!(place("fn rank(request) {\n  let x = ;\n}"), (ScriptErrorKind::Syntax, Some(2), Some(11)));
    assert_eq!(place("fn rank(request) {\n  reqest\n}"), (ScriptErrorKind::Syntax, Some(2), Some(3)));
    assert_eq!(
        place("fn rank(request) {\n  delegate();\n  request.candidates.usabel()\n}"),
        (ScriptErrorKind::Runtime, Some(3), Some(22))
    );
    assert_eq!(
        place("fn rank(request) { helper(request) }\nfn helper(r) {\n  throw \"no\";\n}"),
        (ScriptErrorKind::Runtime, Some(3), Some(3))
    );
}

#[test]
fn mistakes_are_told_in_words() {
    for (source, kind, because) in [
        ("", ScriptErrorKind::MissingFunction, "write fn rank(request)"),
        ("fn rank() { 1 }", ScriptErrorKind::MissingFunction, "rank takes 0 arguments"),
        ("fn rank(a, b) { 1 }", ScriptErrorKind::MissingFunction, "rank takes 2 arguments"),
        ("fn rank(request) { 1 }", ScriptErrorKind::WrongAnswer, "but answered i64"),
        ("fn rank(request) { }", ScriptErrorKind::WrongAnswer, "but answered nothing"),
        ("fn rank(request) { throw \"tired\" }", ScriptErrorKind::Runtime, "it threw: tired"),
        ("fn rank(request) { request.modle }", ScriptErrorKind::Runtime, "no property modle"),
        ("fn rank(request) { request.candidates.speed }", ScriptErrorKind::Runtime, "no property speed"),
        (
            "fn rank(request) { request.candidates.min_by(\"speed\") }",
            ScriptErrorKind::Runtime,
            "no number speed",
        ),
        (
            "fn rank(request) { refuse(200, \"a\", \"b\") }",
            ScriptErrorKind::Runtime,
            "status from 400 to 599",
        ),
        ("const LIST = [1]; fn rank(request) { LIST }", ScriptErrorKind::Syntax, "must be a number"),
        ("let x = 1; fn rank(request) { x }", ScriptErrorKind::Syntax, "Undefined variable: x"),
        ("loop {} fn rank(request) { delegate() }", ScriptErrorKind::Limit, "ran out of"),
    ] {
        let error = refused(source);
        assert_eq!(error.kind, kind, "{source}: {error}");
        assert!(error.message.contains(because), "{source}: {error}");
    }
    let long = format!("// {}\nfn rank(request) {{ delegate() }}", "x".repeat(300_000));
    assert!(refused(&long).message.contains("256 KiB"));
}

#[test]
fn a_failure_in_service_says_where() {
    let error = in_service("throw \"tired\";").unwrap_err();
    assert_eq!(error, PolicyError::Failed("it threw: tired (line 3, column 1)".to_owned()));
    let error = in_service("return 5;").unwrap_err();
    assert!(matches!(&error, PolicyError::InvalidOutput(why) if why.contains("answered i64")), "{error}");
}
