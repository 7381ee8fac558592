//! A process that rotates tokens is killed again and again, and no rotation that it acknowledged is ever lost.
//!
//! The test starts itself as the process to be killed. SIGKILL shows that nothing acknowledged waits in memory;
//! that a commit also waits for the disk is held by a test beside the code that opens the file.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use gateway_core::ports::storage::{Claim, ClaimHolder, NewAccount};
use gateway_domain::{
    AccountId, AccountIdentity, AccountKind, AccountSettings, CredentialVersion, Credentials, Secret,
    Timestamp,
};
use gateway_store::{KeyRing, Store, StoreOptions, open};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const TEST: &str = "no_acknowledged_rotation_is_lost_when_the_process_is_killed";
const FOLDER: &str = "GATEWAY_STORE_CRASH_FOLDER";
const ROUNDS: u32 = 30;
const LONGEST_LIFE_MICROS: u64 = 25_000;
const SAID: &str = "stored ";

#[test]
fn no_acknowledged_rotation_is_lost_when_the_process_is_killed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match std::env::var_os(FOLDER) {
        Some(folder) => runtime.block_on(rotate_until_killed(Path::new(&folder))),
        None => runtime.block_on(kill_again_and_again()),
    }
}

fn account() -> AccountId {
    AccountId::parse("acc_crash").unwrap()
}

fn tokens(version: i64) -> Credentials {
    Credentials {
        access_token: Secret::new(format!("access-{version}")),
        refresh_token: Some(Secret::new(format!("refresh-{version}"))),
        id_token: None,
        expires_at: None,
        refreshed_at: Timestamp::from_secs(version),
    }
}

async fn open_in(folder: &Path) -> Store {
    let keys = KeyRing::load_or_create(&folder.join("key")).unwrap();
    let file: PathBuf = folder.join("gateway.db");
    open(file.to_str().unwrap(), keys, &StoreOptions::default()).await.unwrap()
}

/// The process to be killed: says each version once the store has acknowledged it.
async fn rotate_until_killed(folder: &Path) -> ! {
    let store = open_in(folder).await;
    let (accounts, id) = (store.accounts(), account());
    let holder = ClaimHolder(std::process::id().to_string());
    let mut now = Timestamp::from_secs(0);
    loop {
        match accounts.claim_refresh(&id, &holder, now, now.plus(Duration::from_secs(60))).await.unwrap() {
            // The one killed before held it; by the clock of this one its claim has ended.
            Claim::Busy { until, .. } => now = until,
            Claim::Granted { credentials, version } => {
                assert_eq!(
                    credentials,
                    tokens(version.0),
                    "the tokens of one version, the number of another"
                );
                let new =
                    accounts.finish_refresh(&id, version, tokens(version.0 + 1), None).await.unwrap().version;
                writeln!(std::io::stdout().lock(), "{SAID}{}", new.0).unwrap();
            }
        }
    }
}

async fn kill_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let new = NewAccount {
        id: account(),
        kind: AccountKind::Codex,
        name: "crash".to_owned(),
        identity: AccountIdentity::default(),
        plan: None,
        settings: AccountSettings::default(),
        created_at: Timestamp::from_secs(0),
    };
    let store = open_in(folder.path()).await;
    store.accounts().import(new, tokens(1)).await.unwrap();
    store.close().await;

    let mut random = StdRng::seed_from_u64(0x05ee_d0fc_4a54);
    let mut last = 1;
    for round in 0..ROUNDS {
        let (mut child, mut said) = start(folder.path());
        let mut acknowledged =
            next_version(&mut said).expect("the process rotates at least once before it is killed");
        std::thread::sleep(Duration::from_micros(random.random_range(0..LONGEST_LIFE_MICROS)));
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(version) = next_version(&mut said) {
            acknowledged = version;
        }

        let store = open_in(folder.path()).await;
        let (credentials, CredentialVersion(stored)) =
            store.accounts().credentials(&account()).await.unwrap();
        // It may have been killed between the commit and the line that says so.
        let possible = acknowledged..=acknowledged + 1;
        assert!(
            acknowledged > last && possible.contains(&stored),
            "round {round}: {stored} after {acknowledged}"
        );
        assert_eq!(credentials, tokens(stored), "round {round}");
        last = stored;
        // Every other time the WAL stays as the dead process left it.
        if round % 2 == 0 {
            store.close().await;
        }
    }
    assert!(
        last > i64::from(ROUNDS) * 2,
        "only {last} rotations: the process was hardly ever killed in the middle"
    );
}

fn start(folder: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, said)
}

fn next_version(said: &mut Lines<BufReader<ChildStdout>>) -> Option<i64> {
    // The test harness prints lines of its own, and the last line may be cut.
    said.map_while(Result::ok).find_map(|line| line.split_once(SAID)?.1.parse().ok())
}
