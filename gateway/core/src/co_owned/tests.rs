//! Cases: whose tokens are newer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const OURS_AT: Timestamp = Timestamp::from_secs(1_799_990_000);

fn token(user: &str, ends: i64) -> String {
    let claims = json!({
        "exp": ends,
        "https://api.openai.com/auth": { "chatgpt_account_id": "w", "chatgpt_user_id": user },
    });
    format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn file(user: &str, ends: i64, refresh: &str, last_refresh: Option<&str>) -> Secret {
    let access = token(user, ends);
    let text = json!({
        "auth_mode": "chatgpt",
        "tokens": { "id_token": access, "access_token": access, "refresh_token": refresh, "account_id": "w" },
        "last_refresh": last_refresh,
        "kept": true,
    });
    Secret::new(text.to_string())
}

fn ours() -> Credentials {
    Credentials {
        access_token: Secret::new(token("u", 1_800_003_600)),
        refresh_token: Some(Secret::from("ours")),
        id_token: None,
        expires_at: Some(Timestamp::from_secs(1_800_003_600)),
        refreshed_at: OURS_AT,
    }
}

fn known() -> AccountIdentity {
    AccountIdentity { workspace_id: Some("w".into()), user_id: Some("u".into()), email: None }
}

#[test]
fn newer_tokens_of_the_same_seat_are_taken() {
    let (later, earlier) = (Some("2027-01-15T07:00:00Z"), Some("2020-01-01T00:00:00Z"));
    for (name, text, expect) in [
        ("renewed later", file("u", 1_800_007_200, "theirs", later), Some("theirs")),
        ("renewed earlier", file("u", 1_800_007_200, "theirs", earlier), None),
        ("no date, ends later", file("u", 1_800_007_200, "theirs", None), Some("theirs")),
        ("no date, ends earlier", file("u", 1_799_999_999, "theirs", None), None),
        ("no date, ends in the same second", file("u", 1_800_003_600, "theirs", None), None),
        ("renewed later in the same second", file("u", 1_800_003_600, "theirs", later), Some("theirs")),
        ("renewed later, but issued earlier", file("u", 1_800_003_599, "theirs", later), None),
        ("somebody else's", file("other", 1_800_007_200, "theirs", later), None),
        ("the same tokens", file("u", 1_800_003_600, "ours", later), None),
        ("no sign-in", Secret::from("{}"), None),
        ("half a file", Secret::from("{\"tokens\":{"), None),
    ] {
        let newer = newer_tokens(&text, &ours(), &known(), NOW);
        let refresh = newer.and_then(|(tokens, _)| tokens.refresh_token);
        assert_eq!(refresh, expect.map(Secret::from), "{name}");
    }
    let text = file("u", 1_800_007_200, "theirs", later);
    let (tokens, learned) = newer_tokens(&text, &ours(), &AccountIdentity::default(), NOW).unwrap();
    assert_eq!(tokens.refreshed_at, Timestamp::from_secs(1_799_996_400));
    assert_eq!(learned.identity.seat().as_deref(), Some("w/u"), "what was not known is learned");
}

/// One file in memory.
struct OneFile(Mutex<Option<Secret>>);

impl SharedFiles for OneFile {
    fn changed_at(&self, _: &std::path::Path) -> BoxFuture<'_, Result<Option<Timestamp>, String>> {
        std::future::ready(Ok(None)).boxed()
    }
    fn read(&self, _: &std::path::Path) -> BoxFuture<'_, Result<Option<Secret>, String>> {
        std::future::ready(Ok(self.0.lock().clone())).boxed()
    }
    fn replace(
        &self,
        _: &std::path::Path,
        known: Secret,
        text: Secret,
    ) -> BoxFuture<'_, Result<Replaced, String>> {
        let mut kept = self.0.lock();
        let same = kept.as_ref() == Some(&known);
        if same {
            *kept = Some(text);
        }
        std::future::ready(Ok(if same { Replaced::Yes } else { Replaced::Changed })).boxed()
    }
}

#[tokio::test]
async fn rotated_tokens_are_given_back_unless_the_file_is_somebody_elses_or_changed() {
    let shared = Shared { path: "/x".into(), identity: known() };
    let old = file("u", 1_799_999_999, "spent", None);
    let files = OneFile(Mutex::new(Some(old.clone())));
    give_back(&files, &shared, old.clone(), &ours()).await;
    let now_there = files.0.lock().clone().unwrap();
    assert!(now_there.expose().contains("\"ours\"") && now_there.expose().contains("\"kept\": true"));
    assert!(newer_tokens(&now_there, &ours(), &known(), NOW).is_none(), "ours are not taken for theirs");

    give_back(&files, &shared, old, &ours()).await;
    assert_eq!(*files.0.lock(), Some(now_there), "it changed meanwhile");

    let theirs = file("other", 1_799_999_999, "spent", None);
    let files = OneFile(Mutex::new(Some(theirs.clone())));
    give_back(&files, &shared, theirs.clone(), &ours()).await;
    assert_eq!(*files.0.lock(), Some(theirs), "somebody else's file is left alone");
}
