//! `import`: modules inside the policies folder work like functions of the script; nothing outside can be read.

use std::fs;
use std::path::Path;

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{Action, RankingPolicy as _};

use crate::{RhaiHost, RhaiPolicy, ScriptError, ScriptErrorKind};

const SHARED: &str = "const FACTOR = 2.0;\nexport const LIMIT = 3;\n\
    fn score(list) { FACTOR * left(list.short_window_used, 0.5) }\nfn fails(list) {\n  list.nothing\n}\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("policies/shared")).unwrap();
    fs::write(folder.path().join("policies/shared/scores.rhai"), SHARED).unwrap();
    fs::write(folder.path().join("secret.rhai"), "fn score(list) { list.weight }").unwrap();
    folder
}

fn load(folder: &Path, source: &str) -> Result<RhaiPolicy, ScriptError> {
    // Deadlines are the subject elsewhere.
    let host = RhaiHost::new().with_deadline(std::time::Duration::from_secs(5));
    host.with_modules(&folder.join("policies")).load("mine", source)
}

fn first(policy: &RhaiPolicy) -> Action {
    let (roster, input) = Corpus::new(9).unwrap().question(12);
    policy.rank(&roster, &input).unwrap().action
}

const IMPORTING: &str = "import \"shared/scores\" as lib;\nconst MOST = lib::LIMIT;\n\
    fn rank(request) { let all = request.candidates.available(); all.sorted_by(lib::score(all)).top(MOST) }";

#[test]
fn functions_and_constants_of_a_module_are_used() {
    let folder = folder();
    let policy = load(folder.path(), IMPORTING).unwrap();
    assert_eq!(policy.modules(), ["shared/scores"]);
    let plain = RhaiHost::new()
        .load(
            "plain",
            "fn rank(request) { let all = request.candidates.available(); \
             all.sorted_by(2.0 * left(all.short_window_used, 0.5)).top(3) }",
        )
        .unwrap();
    assert_eq!(first(&policy), first(&plain));
}

#[test]
fn a_version_keeps_the_modules_it_began_with() {
    let folder = folder();
    let old = load(folder.path(), IMPORTING).unwrap();
    let before = first(&old);
    let changed = SHARED.replace("2.0", "-2.0");
    fs::write(folder.path().join("policies/shared/scores.rhai"), changed).unwrap();
    let new = load(folder.path(), IMPORTING).unwrap();
    assert_ne!(old.version().digest, new.version().digest, "the module is part of the version");
    assert_ne!(first(&new), before);
    fs::remove_file(folder.path().join("policies/shared/scores.rhai")).unwrap();
    assert_eq!(first(&old), before, "no file is read while it serves");
}

#[test]
fn modules_may_import_modules_but_not_themselves() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join("policies").join(name), text).unwrap();
    write("outer.rhai", "import \"shared/scores\" as inner;\nfn score(list) { inner::score(list) }");
    let source = "import \"outer\" as outer;\nfn rank(request) { let all = request.candidates; all.sorted_by(outer::score(all)) }";
    assert_eq!(load(folder.path(), source).unwrap().modules(), ["outer", "shared/scores"]);
    write("a.rhai", "import \"b\" as b;");
    write("b.rhai", "import \"a\" as a;");
    let error = load(folder.path(), "import \"a\" as a;\nfn rank(request) { delegate() }").unwrap_err();
    assert!(error.kind == ScriptErrorKind::Import && error.message.contains("imports itself"), "{error}");
}

#[test]
fn nothing_outside_of_the_folder_is_read() {
    let folder = folder();
    let secret = folder.path().join("secret");
    std::os::unix::fs::symlink(folder.path().join("secret.rhai"), folder.path().join("policies/link.rhai"))
        .unwrap();
    for (path, because) in [
        ("../secret", "letters, digits"),
        ("shared/../../secret", "letters, digits"),
        (secret.to_str().unwrap(), "letters, digits"),
        ("./shared/scores", "letters, digits"),
        ("shared//scores", "letters, digits"),
        ("", "letters, digits"),
        ("link", "leads outside"),
        ("missing", "there is no file missing.rhai"),
    ] {
        let source = format!("import \"{path}\" as m;\nfn rank(request) {{ delegate() }}");
        let error = load(folder.path(), &source).unwrap_err();
        assert_eq!(error.kind, ScriptErrorKind::Import, "{path}: {error}");
        assert!(error.message.contains(because), "{path}: {error}");
        assert_eq!(error.line, Some(1), "{path}: {error}");
    }
    let error = RhaiHost::new().load("mine", IMPORTING).unwrap_err();
    assert!(error.message.contains("no policies folder"), "{error}");
}

#[test]
fn nothing_is_read_while_requests_are_served() {
    let folder = folder();
    let source = "fn rank(request) { if request.session == \"session\" && request.candidates.len == 7 { \
        let path = \"shared/\" + \"scores\"; import path as late; return ranked(request.candidates.sorted_by(late::score(request.candidates))); } \
        delegate() }";
    let policy = load(folder.path(), source).unwrap();
    let (roster, input) = Corpus::new(9).unwrap().question(7);
    let error = policy.rank(&roster, &input).unwrap_err().to_string();
    assert!(error.contains("when a script is loaded"), "{error}");
}

#[test]
fn mistakes_in_a_module_are_told_with_its_name_and_place() {
    let folder = folder();
    let error = load(
        folder.path(),
        "import \"shared/scores\" as lib;\nfn rank(request) { lib::fails(request.candidates) }",
    )
    .unwrap_err();
    assert_eq!((error.line, error.column), (Some(5), Some(8)), "{error}");
    assert!(error.message.starts_with("in shared/scores: there is no property nothing"), "{error}");
    fs::write(folder.path().join("policies/broken.rhai"), "fn x() {\n let y = ;\n}").unwrap();
    let error = load(folder.path(), "import \"broken\" as b;\nfn rank(request) { delegate() }").unwrap_err();
    assert_eq!((error.kind, error.line), (ScriptErrorKind::Syntax, Some(2)), "{error}");
    assert!(error.message.starts_with("in broken: "), "{error}");
}

#[test]
fn a_script_has_a_limit_of_modules() {
    let folder = folder();
    let mut source = String::new();
    for n in 0..9 {
        fs::write(folder.path().join(format!("policies/m{n}.rhai")), "fn f() { 1 }").unwrap();
        source += &format!("import \"m{n}\" as m{n};\n");
    }
    let error = load(folder.path(), &format!("{source}fn rank(request) {{ delegate() }}")).unwrap_err();
    assert!(error.message.contains("modules"), "{error}");
}
