//! Sign-ins under way: which are shown, and what they say.

use gateway_api::{SignInStage, SignInView};

use super::decisions::full_sentence;

/// Ended ones stay this long, so that who comes back from another tab sees what became of it.
const REMEMBERED_MS: i64 = 30 * 60_000;
/// Ended ones shown at most.
const ENDED: usize = 3;

/// Whether somebody still has to act, or the gateway has.
pub(crate) fn is_running(stage: &SignInStage) -> bool {
    matches!(stage, SignInStage::Waiting { .. } | SignInStage::Exchanging)
}

/// Those of this account (or of no account, for new ones): the running ones, then the last that ended. What somebody
/// called off needs no words.
pub(crate) fn shown(all: &[SignInView], account: Option<&str>, now: i64) -> Vec<SignInView> {
    let mut own: Vec<&SignInView> = all.iter().filter(|one| one.renews.as_deref() == account).collect();
    own.sort_by(|left, right| right.begun_at.cmp(&left.begun_at).then_with(|| right.id.cmp(&left.id)));
    let running = own.iter().filter(|one| is_running(&one.stage));
    let ended = own
        .iter()
        .filter(|one| !is_running(&one.stage) && one.stage != SignInStage::Cancelled)
        .filter(|one| now.saturating_sub(one.begun_at) < REMEMBERED_MS)
        .take(ENDED);
    running.chain(ended).map(|one| (*one).clone()).collect()
}

/// What an ended sign-in says: its tone and one sentence.
pub(crate) fn ended_words(stage: &SignInStage) -> Option<(&'static str, String)> {
    match stage {
        SignInStage::Done { name, renewed: true, .. } => {
            Some(("good", format!("{name} is signed in again.")))
        }
        SignInStage::Done { name, renewed: false, .. } => Some(("good", format!("{name} is in the pool."))),
        SignInStage::Failed { why } => Some(("warn", full_sentence(why))),
        SignInStage::Expired => {
            Some(("warn", "Nobody finished this sign-in in time. Start it again.".to_owned()))
        }
        SignInStage::Cancelled | SignInStage::Waiting { .. } | SignInStage::Exchanging => None,
    }
}

/// Whether the browser that looks at this page ends on the gateway's machine: the way back is an address of the
/// machine the browser runs on.
pub(crate) fn comes_back_here(comes_back: bool, host: &str) -> bool {
    comes_back && ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// Checks what was pasted before it travels.
pub(crate) fn check_address(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    match text {
        "" => Err("Paste the address on which the browser ended."),
        text if !text.contains("state=") => {
            Err("This address has no state= in it. Copy the whole address from the browser's address bar.")
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use gateway_api::SignInMethod;

    use super::*;

    const NOW: i64 = 1_900_000_000_000;

    fn flow(id: &str, account: Option<&str>, minutes_ago: i64, stage: SignInStage) -> SignInView {
        SignInView {
            id: id.to_owned(),
            method: SignInMethod::Browser,
            renews: account.map(str::to_owned),
            stage,
            comes_back: true,
            begun_at: NOW - minutes_ago * 60_000,
            expires_at: NOW + 60_000,
        }
    }

    fn failed() -> SignInStage {
        SignInStage::Failed { why: "the sign-in was refused (access_denied)".to_owned() }
    }

    #[test]
    fn running_ones_come_first_and_old_or_cancelled_ones_go() {
        let all = [
            flow("done", None, 2, SignInStage::Expired),
            flow("old", None, 31, failed()),
            flow("off", None, 1, SignInStage::Cancelled),
            flow("mine", Some("acc"), 1, SignInStage::Exchanging),
            flow("waits", None, 5, SignInStage::Exchanging),
        ];
        let ids = |account| shown(&all, account, NOW).iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(None), ["waits", "done"]);
        assert_eq!(ids(Some("acc")), ["mine"]);
        assert!(ids(Some("other")).is_empty());
    }

    #[test]
    fn an_end_says_what_became_of_it() {
        let done = |renewed| SignInStage::Done { account: "a".into(), name: "ada".into(), renewed };
        assert_eq!(ended_words(&done(false)), Some(("good", "ada is in the pool.".to_owned())));
        assert_eq!(ended_words(&done(true)), Some(("good", "ada is signed in again.".to_owned())));
        assert_eq!(
            ended_words(&failed()),
            Some(("warn", "The sign-in was refused (access_denied).".to_owned()))
        );
        assert_eq!(ended_words(&SignInStage::Exchanging), None);
    }

    #[test]
    fn only_a_browser_on_the_gateways_machine_comes_back() {
        assert!(comes_back_here(true, "localhost") && comes_back_here(true, "127.0.0.1"));
        assert!(!comes_back_here(true, "gateway.lan") && !comes_back_here(false, "localhost"));
    }

    #[test]
    fn an_address_without_its_state_is_noticed_before_it_travels() {
        assert!(check_address(" ").is_err() && check_address("https://auth.example.test/login").is_err());
        let good = "http://localhost:1455/auth/callback?code=a&state=b";
        assert_eq!(check_address(&format!(" {good}\n")), Ok(good));
    }
}
