//! The folder: what is saved serves, what is broken does not, and one step back is possible.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use gateway_scheduler::RankingPolicy as _;

use crate::{Change, PolicyFolder, RhaiHost, RollbackError};

struct Bench {
    dir: tempfile::TempDir,
    folder: PolicyFolder,
}

fn wait(ms: u32) -> String {
    format!("fn rank(request) {{ wait_ms({ms}) }}")
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine.rhai"), wait(1)).unwrap();
        let (folder, changes) = PolicyFolder::open(RhaiHost::new(), dir.path());
        assert_eq!(words(&changes), ["loaded mine"]);
        Self { dir, folder }
    }

    fn save(&self, file: &str, text: &str) {
        let file = self.dir.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Two looks: the second one finds the text settled.
    fn settle(&mut self) -> Vec<String> {
        assert!(self.folder.poll().iter().all(|change| matches!(change, Change::Removed { .. })));
        words(&self.folder.poll())
    }

    fn digest(&self) -> String {
        self.folder.policies().next().unwrap().version().digest.clone()
    }
}

fn words(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| match change {
        Change::Loaded { policy, replaced: None } => format!("loaded {}", policy.version().name),
        Change::Loaded { policy, replaced: Some(_) } => format!("replaced {}", policy.version().name),
        Change::Broken { error, serving } => {
            format!("broken {} {}", error.policy, if serving.is_some() { "serving" } else { "absent" })
        }
        Change::Removed { name, .. } => format!("removed {name}"),
    };
    changes.iter().map(word).collect()
}

#[test]
fn what_is_saved_takes_over_once_it_is_settled() {
    let mut bench = Bench::new();
    let before = bench.digest();
    bench.save("mine.rhai", &wait(2));
    assert!(bench.folder.poll().is_empty(), "it may still be in the middle of being written");
    assert_eq!(bench.digest(), before);
    assert_eq!(words(&bench.folder.poll()), ["replaced mine"]);
    assert_ne!(bench.digest(), before);
    assert!(bench.settle().is_empty(), "the same text is no news");
}

#[test]
fn what_is_broken_leaves_the_old_version_serving() {
    let mut bench = Bench::new();
    let before = bench.digest();
    bench.save("mine.rhai", "fn rank(request) {\n  reqest\n}");
    assert_eq!(bench.settle(), ["broken mine serving"]);
    assert_eq!(bench.digest(), before);
    let problem = bench.folder.problems().next().unwrap();
    assert_eq!((problem.line, problem.column), (Some(2), Some(3)));
    assert!(bench.settle().is_empty(), "it is told once");
    bench.save("mine.rhai", &wait(1));
    assert_eq!(bench.settle(), ["replaced mine"], "mended, even if it is the version that serves");
    assert!(bench.folder.problems().next().is_none() && bench.folder.history("mine").is_empty());
}

#[test]
fn new_ones_come_and_old_ones_go() {
    let mut bench = Bench::new();
    bench.save("other.rhai", &wait(5));
    bench.save("notes.txt", "no script");
    bench.save("definitions/words.d.rhai", "module static;");
    bench.save("bad name.rhai", &wait(5));
    assert_eq!(bench.settle(), ["broken bad name absent", "loaded other"]);
    fs::remove_file(bench.dir.path().join("other.rhai")).unwrap();
    assert_eq!(words(&bench.folder.poll()), ["removed other"]);
    assert_eq!(bench.folder.policies().count(), 1);
}

#[test]
fn one_step_back_holds_until_the_file_is_saved_anew() {
    let mut bench = Bench::new();
    let first = bench.digest();
    assert_eq!(bench.folder.rollback("mine").unwrap_err(), RollbackError::NoEarlier("mine".to_owned()));
    assert_eq!(bench.folder.rollback("nobody").unwrap_err(), RollbackError::Unknown("nobody".to_owned()));
    bench.save("mine.rhai", &wait(2));
    bench.settle();
    assert!(matches!(bench.folder.rollback("mine").unwrap(), Change::Loaded { replaced: Some(_), .. }));
    assert_eq!(bench.digest(), first);
    assert!(bench.settle().is_empty(), "the file does not come back by itself");
    bench.save("mine.rhai", &wait(3));
    assert_eq!(bench.settle(), ["replaced mine"]);
}

#[test]
fn history_has_an_end() {
    let mut bench = Bench::new();
    for ms in 2..20 {
        bench.save("mine.rhai", &wait(ms));
        assert_eq!(bench.settle(), ["replaced mine"]);
    }
    assert_eq!(bench.folder.history("mine").len(), 8);
    for _ in 0..8 {
        bench.folder.rollback("mine").unwrap();
    }
    assert!(bench.folder.rollback("mine").is_err());
}

#[test]
fn a_changed_module_is_a_changed_script() {
    let mut bench = Bench::new();
    bench.save("shared/waits.rhai", "fn long() { 100 }");
    bench.save(
        "importer.rhai",
        "import \"shared/waits\" as waits;\nfn rank(request) { wait_ms(waits::long()) }",
    );
    assert_eq!(bench.settle(), ["loaded importer"]);
    bench.save("shared/waits.rhai", "fn long() { 200 }");
    assert_eq!(bench.settle(), ["replaced importer"]);
    bench.save("shared/waits.rhai", "fn long() { ");
    assert_eq!(bench.settle(), ["broken importer serving"]);
}

#[test]
fn a_folder_that_is_not_there_yet_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (mut folder, changes) = PolicyFolder::open(RhaiHost::new(), &dir.path().join("later"));
    assert!(changes.is_empty() && folder.poll().is_empty());
    fs::create_dir(dir.path().join("later")).unwrap();
    fs::write(dir.path().join("later/one.rhai"), wait(1)).unwrap();
    folder.poll();
    assert_eq!(words(&folder.poll()), ["loaded one"]);
}

#[test]
fn a_watch_tells_and_ends() {
    let bench = Bench::new();
    let (tell, told) = mpsc::channel();
    let watch = bench.folder.watch(Duration::from_millis(5), move |change| {
        let _gone = tell.send(words(&[change]).remove(0));
    });
    let watch = watch.unwrap();
    fs::write(bench.dir.path().join("mine.rhai"), wait(9)).unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), "replaced mine");
    assert_eq!(watch.with(|folder| folder.history("mine").len()), 1);
    drop(watch);
    assert!(told.recv().is_err(), "the thread is gone");
}

#[test]
fn many_reloads_keep_answering() {
    let host = RhaiHost::new();
    let (roster, input) = gateway_scheduler::corpus::Corpus::new(1).unwrap().question(3);
    for n in 0..200 {
        let policy = host.load("mine", &wait(n + 1)).unwrap();
        let answer = policy.rank(&roster, &input).unwrap().action;
        assert_eq!(answer, gateway_scheduler::Action::WaitMs(n + 1));
    }
}
