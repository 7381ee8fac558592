//! A folder of plugins: files appear, change, break and go back, and what serves always serves.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway_scheduler::{Action, RankingPolicy};

use super::fixtures::{Hostile, SLEEPING, ask};
use crate::{Change, Changed, FolderError, Limits, PluginFolder, PluginHost, Step, Terms, Trust};

/// Answers a wait of this many milliseconds to everything.
fn version(wait: &'static str) -> Vec<u8> {
    let otherwise: &'static str = match wait {
        "1" => "(call $wait_ms (i32.const 1))",
        "2" => "(call $wait_ms (i32.const 2))",
        _ => "(call $wait_ms (i32.const 3))",
    };
    Hostile { otherwise, ..SLEEPING }.component()
}

fn folder(at: &Path) -> PluginFolder {
    // Deadlines are the subject elsewhere; a busy machine must not decide here.
    let limits = Limits::default().with_deadline(Duration::from_secs(5));
    PluginFolder::new(PluginHost::new().unwrap().with_limits(limits), at)
}

fn answer(folder: &PluginFolder) -> Option<u32> {
    let plugin = Arc::clone(folder.set().get("one")?);
    let (roster, input) = ask(0, 1);
    match plugin.rank(&roster, &input).unwrap().action {
        Action::WaitMs(ms) => Some(ms),
        other => panic!("{other:?}"),
    }
}

/// Two looks, because the first that fails is not believed.
fn look_twice(folder: &PluginFolder) -> Vec<Change> {
    let mut changes = folder.scan().unwrap();
    changes.extend(folder.scan().unwrap());
    changes
}

#[test]
fn files_become_plugins_and_go_again() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(&at.path().join("not-there-yet"));
    assert_eq!(folder.scan().unwrap(), []);
    fs::create_dir(at.path().join("not-there-yet")).unwrap();
    let file = at.path().join("not-there-yet/one.wasm");
    fs::write(&file, version("1")).unwrap();
    fs::write(file.with_file_name("No Name.wasm"), version("1")).unwrap();
    let changes = folder.scan().unwrap();
    assert!(matches!(&changes[..], [Change { plugin, changed: Changed::Loaded { .. } }] if plugin == "one"));
    assert_eq!(answer(&folder), Some(1));
    assert_eq!(folder.scan().unwrap(), [], "nothing changed");

    let kept = folder.set();
    fs::remove_file(&file).unwrap();
    assert_eq!(folder.scan().unwrap(), [Change { plugin: "one".to_owned(), changed: Changed::Removed }]);
    assert_eq!(answer(&folder), None);
    let (roster, input) = ask(0, 1);
    assert!(kept["one"].rank(&roster, &input).is_ok(), "who still uses it is not disturbed");
}

#[test]
fn a_broken_candidate_changes_nothing_and_says_why() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(at.path());
    folder.install("one", &version("1"), None, None).unwrap();
    fs::write(at.path().join("one.wasm"), b"half a fi").unwrap();
    assert_eq!(folder.scan().unwrap(), [], "it may still be written");
    assert_eq!(folder.rejected("one"), None);
    let changes = folder.scan().unwrap();
    assert!(
        matches!(&changes[..], [Change { changed: Changed::Rejected(error), .. }] if error.step == Step::Parse)
    );
    assert_eq!(answer(&folder), Some(1));
    assert_eq!(folder.scan().unwrap(), [], "it is not judged again and again");
    assert!(folder.rejected("one").is_some());

    fs::write(at.path().join("one.wasm"), version("2")).unwrap();
    assert_eq!(look_twice(&folder).len(), 1);
    assert_eq!((answer(&folder), folder.rejected("one")), (Some(2), None));
}

#[test]
fn a_plugin_is_tried_without_a_trace_installed_under_terms_and_removed() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(at.path());
    let tried = folder.check("one", &Terms::default(), &version("1"), None, None).unwrap();
    assert_eq!(tried.trust(), Trust::Unsigned);
    assert!(matches!(
        folder.check("../x", &Terms::default(), &version("1"), None, None),
        Err(FolderError::BadName(_))
    ));
    assert!(folder.names().is_empty() && fs::read_dir(at.path()).unwrap().next().is_none());

    let raised = Terms { raised: true, ..Terms::default() };
    folder.install_under("one", raised, &version("1"), Some(MANIFEST), None).unwrap_err();
    assert!(folder.names().is_empty(), "its manifest is another's; the terms are not kept either");
    let raised = Terms { raised: true, ..Terms::default() };
    folder.install_under("one", raised, &version("1"), None, None).unwrap();
    assert_eq!(folder.set()["one"].trust(), Trust::Raised);
    // The terms hold for what is installed later, until others are given.
    folder.install("one", &version("2"), None, None).unwrap();
    assert_eq!(folder.set()["one"].trust(), Trust::Raised);
    folder.install_under("one", Terms::default(), &version("3"), None, None).unwrap();
    assert_eq!((folder.set()["one"].trust(), answer(&folder)), (Trust::Unsigned, Some(3)));

    folder.remove("one").unwrap();
    assert!(matches!(folder.remove("one"), Err(FolderError::Unknown(_))));
    assert_eq!((answer(&folder), folder.versions("one").len()), (None, 0));
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
    assert_eq!(folder.scan().unwrap(), [], "it is not gone a second time");
}

const MANIFEST: &str = "name = \"other\"\nversion = \"1\"\nhooks = [\"schedule\"]\n";

#[test]
fn what_is_not_admitted_is_not_installed() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(at.path());
    assert!(matches!(folder.install("one", b"", None, None), Err(FolderError::Admission(_))));
    for name in ["../one", "One", ""] {
        assert!(
            matches!(folder.install(name, &version("1"), None, None), Err(FolderError::BadName(_))),
            "{name}"
        );
    }
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
}

#[test]
fn a_rollback_is_one_step_survives_a_restart_and_can_be_taken_back() {
    let at = tempfile::tempdir().unwrap();
    let before = folder(at.path());
    before.install("one", &version("1"), None, None).unwrap();
    assert!(matches!(before.roll_back("one"), Err(FolderError::NoEarlierVersion(_))));
    assert!(matches!(before.roll_back("two"), Err(FolderError::Unknown(_))));
    before.install("one", &version("2"), None, None).unwrap();
    let versions = before.versions("one");
    assert_eq!(versions.iter().map(|version| version.serving).collect::<Vec<_>>(), [true, false]);

    assert_eq!(before.roll_back("one").unwrap().digest, versions[1].digest);
    assert_eq!(answer(&before), Some(1));
    assert_eq!(before.scan().unwrap(), [], "the file is the earlier one's");
    let restarted = folder(at.path());
    restarted.scan().unwrap();
    assert_eq!(answer(&restarted), Some(1));
    before.roll_back("one").unwrap();
    assert_eq!(answer(&before), Some(2));

    for round in 0..10 {
        before.install("one", &version(if round % 2 == 0 { "1" } else { "3" }), None, None).unwrap();
    }
    assert_eq!(before.versions("one").len(), 6, "five earlier ones are kept");
}

#[test]
fn the_operators_terms_hold_at_once_and_bad_ones_change_nothing() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(at.path());
    folder.install("one", &version("1"), None, None).unwrap();
    folder.decide("one", Terms { enabled: false, ..Terms::default() }).unwrap();
    assert_eq!(answer(&folder), None);
    assert_eq!(folder.names(), ["one"], "switched off is not forgotten");
    let raised = Terms { raised: true, ..Terms::default() };
    folder.decide("one", raised).unwrap();
    assert_eq!(folder.set()["one"].trust(), crate::Trust::Raised);
    let broken = Terms { config_json: "{".to_owned(), ..Terms::default() };
    assert!(
        matches!(folder.decide("one", broken), Err(FolderError::Admission(error)) if error.step == Step::Config)
    );
    assert_eq!((answer(&folder), folder.set()["one"].trust()), (Some(1), crate::Trust::Raised));
}

#[test]
fn reloading_under_load_fails_no_request() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(at.path());
    folder.install("one", &version("1"), None, None).unwrap();
    let versions = [version("1"), version("2")];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = 0_u32;
                    while !done.load(Ordering::Relaxed) {
                        assert!(matches!(answer(&folder), Some(1 | 2)));
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        for round in 0..60 {
            folder.install("one", &versions[round % 2], None, None).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for worker in workers {
            assert!(worker.join().unwrap() > 0);
        }
    });
}

/// Pages in memory, of the process.
fn resident_pages() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_reloads_leave_no_memory_behind() {
    let at = tempfile::tempdir().unwrap();
    let folder = folder(at.path());
    let versions = [version("1"), version("2")];
    let reload = |rounds: std::ops::Range<usize>| {
        for round in rounds {
            folder.install("one", &versions[round % 2], None, None).unwrap();
            assert_eq!(answer(&folder), Some(1 + u32::try_from(round % 2).unwrap()));
        }
    };
    reload(0..500);
    let warm = resident_pages();
    reload(500..10_000);
    let after = resident_pages();
    println!("{warm} pages after 500 reloads, {after} after 10000");
    assert!(after < warm + warm / 4, "{warm} pages became {after}");
}
