//! What an import does to a pool: tables of texts against what is stored, and many at once.

pub(crate) mod fake;

use std::fmt::Write as _;

use gateway_domain::{AccountState, SignInReason};
use serde_json::{Value, json};

use super::*;
use fake::{FakeStore, Fixed, NOW, access_token, access_token_with};

fn items_of(text: &str) -> Vec<ImportItem> {
    read(text, Format::Auto, None, NOW).unwrap()
}

/// A sign-in of a seat of the workspace `ws`, of a generation: later ones end later.
fn sign_in(user: &str, generation: i64) -> Value {
    json!({
        "access_token": access_token("ws", user, generation),
        "refresh_token": format!("rt_{user}_{generation}_0123456789"),
    })
}

async fn bring(store: &FakeStore, value: &Value) -> Vec<ImportRow> {
    import(store, &Fixed, items_of(&value.to_string()), &ImportOptions::default()).await.unwrap()
}

/// Outcome and name of each row, in short.
fn gist(rows: &[ImportRow]) -> String {
    let mut out = String::new();
    for row in rows {
        let name = row.name.as_deref().unwrap_or("-");
        let outcome = match &row.outcome {
            ImportOutcome::Added => "added".to_owned(),
            ImportOutcome::Updated => "updated".to_owned(),
            ImportOutcome::Duplicate { of } => format!("duplicate of {of}"),
            ImportOutcome::Skipped { reason } => {
                format!("skipped: {}", reason.split([',', ';']).next().unwrap_or_default())
            }
            ImportOutcome::Failed { reason } => format!("failed: {reason}"),
        };
        writeln!(out, "{name}: {outcome}").unwrap();
    }
    out
}

#[tokio::test]
async fn a_preview_says_what_the_import_then_does() {
    let store = FakeStore::default();
    bring(&store, &json!([sign_in("ada", 5), sign_in("bob", 5)])).await;
    let text = json!([
        sign_in("ada", 6),
        sign_in("ada", 5),
        sign_in("bob", 5),
        sign_in("cyd", 1),
        sign_in("cyd", 1),
        "rt_of_nobody_0123456789",
        "rt_of_nobody_0123456789",
        "word",
        { "access_token": access_token("ws", "bob", 9) },
    ]);
    let before = store.tokens();
    let previewed =
        preview(&store, &Fixed, items_of(&text.to_string()), &ImportOptions::default()).await.unwrap();
    assert_eq!(store.tokens(), before, "a preview writes nothing");
    let rows = bring(&store, &text).await;
    let expect = "\
ada@example.test: updated
ada@example.test: duplicate of entry 1
bob@example.test: duplicate of `bob@example.test`
cyd@example.test: added
-: duplicate of entry 4
account: added
-: duplicate of entry 6
-: skipped: not a token: it is too short
bob@example.test: duplicate of entry 3
";
    assert_eq!(gist(&rows), expect);
    assert_eq!(gist(&previewed), expect);
    let seats: Vec<SeatStatus> = previewed.iter().map(|row| row.seat).collect();
    use SeatStatus::{Known, New, Unnamed};
    assert_eq!(seats, [Known, Known, Known, New, New, Unnamed, Unnamed, Unnamed, Known]);
    assert_eq!(store.len(), 4);
}

#[tokio::test]
async fn the_same_text_again_changes_nothing() {
    let store = FakeStore::default();
    let text = json!([
        sign_in("ada", 1),
        "rt_of_nobody_0123456789",
        { "OPENAI_API_KEY": "sk-proj-0123456789" },
        { "name": "one", "base_url": "http://one.test/v1", "api_key": "none" },
        { "name": "two", "base_url": "http://two.test/v1", "api_key": "none" },
    ]);
    let first = bring(&store, &text).await;
    assert!(first.iter().all(|row| row.outcome == ImportOutcome::Added), "{}", gist(&first));
    let before = store.tokens();
    let again = bring(&store, &text).await;
    assert!(
        again.iter().all(|row| matches!(row.outcome, ImportOutcome::Duplicate { .. })),
        "{}",
        gist(&again)
    );
    assert_eq!(store.tokens(), before);
    // A refresh token is recognised as that of a seat, and as its own when its seat is learned later.
    let by_token = bring(&store, &json!(["rt_ada_1_0123456789"])).await;
    assert_eq!(gist(&by_token), "ada@example.test: duplicate of `ada@example.test`\n");
    let with_seat =
        json!({ "access_token": access_token("ws", "new", 1), "refresh_token": "rt_of_nobody_0123456789" });
    assert_eq!(gist(&bring(&store, &with_seat).await), "account: duplicate of `account`\n");
}

#[tokio::test]
async fn several_seats_share_a_workspace() {
    let store = FakeStore::default();
    let rows = bring(&store, &json!([sign_in("ada", 1), sign_in("bob", 1)])).await;
    assert_eq!(gist(&rows), "ada@example.test: added\nbob@example.test: added\n");
    let rows = bring(&store, &json!([sign_in("bob", 2), sign_in("ada", 2)])).await;
    assert_eq!(gist(&rows), "bob@example.test: updated\nada@example.test: updated\n");
}

#[tokio::test]
async fn a_person_is_recognised_although_one_side_does_not_know_the_user() {
    let store = FakeStore::default();
    let by_email = |email: &str, generation: i64| {
        json!({ "access_token": "opaque-access-token", "refresh_token": format!("rt_{email}_{generation}"),
            "chatgpt_account_id": "ws", "email": email, "expires_at": 2_000_000_000 + generation })
    };
    bring(&store, &json!([sign_in("ada", 1), by_email("bob@example.test", 1)])).await;
    let rows =
        bring(&store, &json!([by_email("ADA@example.test", 200_000_000), sign_in("bob", 200_000_000)])).await;
    assert_eq!(gist(&rows), "ada@example.test: updated\nbob@example.test: updated\n");
    assert_eq!(store.len(), 2);
}

#[tokio::test]
async fn older_tokens_do_not_replace_newer_ones_unless_told_to() {
    let access_only = json!({ "access_token": access_token("ws", "ada", 9) });
    for (text, older, dead, expect) in [
        (sign_in("ada", 4), OlderTokens::Skip, false, "skipped: `ada@example.test` has newer tokens"),
        (sign_in("ada", 4), OlderTokens::Take, false, "updated"),
        (sign_in("ada", 4), OlderTokens::Skip, true, "updated"),
        (sign_in("ada", 6), OlderTokens::Skip, false, "updated"),
        (sign_in("ada", 5), OlderTokens::Skip, true, "updated"),
        (sign_in("ada", 5), OlderTokens::Take, false, "duplicate of `ada@example.test`"),
        (
            access_only.clone(),
            OlderTokens::Skip,
            false,
            "skipped: `ada@example.test` has tokens that renew themselves",
        ),
        (access_only, OlderTokens::Take, false, "updated"),
    ] {
        let store = FakeStore::default();
        bring(&store, &sign_in("ada", 5)).await;
        if dead {
            let reason = SignInReason("refresh_token_reused".into());
            store.set_all(&AccountState::SignInNeeded { reason });
        }
        let options = ImportOptions { older, ..ImportOptions::default() };
        let rows = import(&store, &Fixed, items_of(&text.to_string()), &options).await.unwrap();
        assert_eq!(gist(&rows), format!("ada@example.test: {expect}\n"));
    }
}

/// A sign-in of `ada` that ends in the same second as all others of hers, with more claims and members.
fn same_second(refresh: &str, claims: &Value, beside: &Value) -> Value {
    let mut entry = json!({
        "access_token": access_token_with("ws", "ada", 5, claims),
        "refresh_token": format!("rt_{refresh}_0123456789"),
    });
    let members = entry.as_object_mut().unwrap();
    members.extend(beside.as_object().unwrap().clone());
    entry
}

#[tokio::test]
async fn of_tokens_that_end_in_the_same_second_the_stored_stay_unless_the_others_are_newer_for_sure() {
    const STAYS: &str =
        "skipped: nothing tells whether these tokens are newer than those of `ada@example.test`";
    const OLDER: &str = "skipped: `ada@example.test` has newer tokens";
    let none = json!({});
    let issued = |at: f64| json!({ "iat": at });
    let signed_in = |at: i64| json!({ "auth_time": at });
    let renewed = |at: &str| json!({ "last_refresh": at });
    let one = |claims: &Value, beside: &Value| same_second("one", claims, beside);
    let two = |claims: &Value, beside: &Value| same_second("two", claims, beside);
    let noon = renewed("2027-01-15T07:00:00.250Z");
    for (name, stored, new, expect) in [
        ("neither says", one(&none, &none), two(&none, &none), STAYS),
        ("one says", one(&issued(7.5), &none), two(&none, &none), STAYS),
        ("the same times", one(&issued(7.0), &noon), two(&issued(7.0), &noon), STAYS),
        ("issued later", one(&issued(7.25), &none), two(&issued(7.5), &none), "updated"),
        ("issued earlier", one(&issued(7.5), &none), two(&issued(7.25), &none), OLDER),
        ("signed in later", one(&signed_in(7), &none), two(&signed_in(8), &none), "updated"),
        ("signed in earlier", one(&signed_in(8), &none), two(&signed_in(7), &none), OLDER),
        ("renewed later", one(&none, &noon), two(&none, &renewed("2027-01-15T07:00:00.900Z")), "updated"),
        ("renewed earlier", one(&none, &noon), two(&none, &renewed("2027-01-15T07:00:00.100Z")), OLDER),
        ("renewed before we had the stored", one(&none, &none), two(&none, &noon), OLDER),
        ("renewed in times to come", one(&none, &noon), two(&none, &renewed("2031-01-01T00:00:00Z")), STAYS),
        (
            "the issuer denies it",
            one(&issued(8.0), &noon),
            two(&issued(7.0), &renewed("2027-01-15T07:30:00Z")),
            OLDER,
        ),
    ] {
        let store = FakeStore::default();
        bring(&store, &stored).await;
        let before = store.tokens();
        let rows = bring(&store, &new).await;
        assert_eq!(gist(&rows), format!("ada@example.test: {expect}\n"), "{name}");
        assert_eq!(store.tokens() == before, expect != "updated", "{name}");
        if expect == STAYS {
            let ImportOutcome::Skipped { reason } = &rows[0].outcome else { panic!("{name}") };
            assert!(reason.contains("`replace`") && reason.contains("sign in again"), "{name}: {reason}");
            let options = ImportOptions { older: OlderTokens::Take, ..ImportOptions::default() };
            let rows = import(&store, &Fixed, items_of(&new.to_string()), &options).await.unwrap();
            assert_eq!(gist(&rows), "ada@example.test: updated\n", "{name}");
        }
    }
}

#[tokio::test]
async fn of_twins_that_end_in_the_same_second_the_newer_is_taken() {
    let of = |refresh, iat: f64| same_second(refresh, &json!({ "iat": iat }), &json!({}));
    for (text, taken) in [
        (json!([of("one", 7.25), of("two", 7.5)]), "rt_two_0123456789"),
        (json!([of("two", 7.5), of("one", 7.25)]), "rt_two_0123456789"),
        (json!([of("one", 7.5), of("two", 7.5)]), "rt_one_0123456789"),
    ] {
        let store = FakeStore::default();
        bring(&store, &text).await;
        let tokens: Vec<_> = store.tokens().into_iter().filter_map(|tokens| tokens.refresh_token).collect();
        assert_eq!(tokens, [Secret::from(taken)]);
    }
}

#[tokio::test]
async fn names_are_given_in_their_order_of_choice() {
    let store = FakeStore::default();
    let named = json!([{ "alias": "work", "tokens": sign_in("ada", 1) }, sign_in("bob", 1), "rt_of_nobody_0123456789",
        { "name": "a\nb", "tokens": sign_in("cyd", 1) }]);
    let rows = bring(&store, &named).await;
    assert_eq!(gist(&rows), "work: added\nbob@example.test: added\naccount: added\na b: added\n");
    let options = ImportOptions { name: Some("team".into()), ..ImportOptions::default() };
    let more = json!([sign_in("dan", 1), sign_in("eve", 1), sign_in("ada", 2)]);
    let rows = import(&store, &Fixed, items_of(&more.to_string()), &options).await.unwrap();
    assert_eq!(gist(&rows), "team: added\nteam 2: added\nwork: updated\n");
    let bad = ImportOptions { name: Some(" ".into()), ..ImportOptions::default() };
    assert!(matches!(
        preview(&store, &Fixed, items_of("rt_0123456789abcdef"), &bad).await,
        Err(AccountError::BadName)
    ));
}

#[tokio::test]
async fn an_export_brings_everything_back_elsewhere() {
    let (here, there) = (FakeStore::default(), FakeStore::default());
    bring(
        &here,
        &json!([sign_in("ada", 1), sign_in("bob", 1), { "api_key": "k1", "base_url": "http://one.test/v1" }]),
    )
    .await;
    here.set_all(&AccountState::Paused);
    let text = export(&here, &Fixed, Chosen::All).await.unwrap();
    let rows = import(&there, &Fixed, items_of(text.expose()), &ImportOptions::default()).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(there.tokens(), here.tokens());
    assert!(there.accounts().iter().all(|account| account.state == AccountState::Paused));
    assert_eq!(there.accounts()[2].settings.base_url.as_deref(), Some("http://one.test/v1"));

    let ada = here.accounts()[0].id.clone();
    let one = export(&here, &Fixed, Chosen::Ids(vec![ada.clone(), ada.clone()])).await.unwrap();
    assert_eq!(items_of(one.expose()).len(), 1);
    let auth = export_auth_json(&here, &ada).await.unwrap();
    let again = import(&there, &Fixed, items_of(auth.expose()), &ImportOptions::default()).await.unwrap();
    assert_eq!(gist(&again), "ada@example.test: duplicate of `ada@example.test`\n");
}

#[tokio::test]
async fn an_export_that_would_not_be_whole_is_refused() {
    let store = FakeStore::default();
    assert!(matches!(export(&store, &Fixed, Chosen::All).await, Err(ExportError::Nothing)));
    let gone = gateway_domain::AccountId::parse("acc_gone").unwrap();
    let refused = export(&store, &Fixed, Chosen::Ids(vec![gone.clone()])).await.unwrap_err();
    assert!(refused.to_string().contains("acc_gone"), "{refused}");
    assert!(matches!(export_auth_json(&store, &gone).await, Err(ExportError::NoSuchAccount(_))));
    bring(&store, &json!([sign_in("ada", 1), { "api_key": "k1", "base_url": "http://one.test/v1" }])).await;
    let key = store.accounts()[1].id.clone();
    assert!(matches!(export_auth_json(&store, &key).await, Err(ExportError::AuthJson(_))));
    store.seal_shut();
    let refused = export(&store, &Fixed, Chosen::All).await.unwrap_err();
    assert!(matches!(refused, ExportError::Unreadable { .. }), "{refused}");
}

#[tokio::test]
async fn a_store_that_refuses_some_is_told_row_by_row() {
    let store = FakeStore::default();
    store.refuse("bob@example.test");
    let rows = bring(&store, &json!([sign_in("ada", 1), sign_in("bob", 1), sign_in("cyd", 1)])).await;
    let expect = "ada@example.test: added\nbob@example.test: failed: the name is taken; choose another\ncyd@example.test: added\n";
    assert_eq!(gist(&rows), expect);
}

#[tokio::test]
async fn five_thousand_tokens_are_planned_and_written_in_batches() {
    let store = FakeStore::default();
    let mut text = String::new();
    for number in 0..2_500 {
        writeln!(text, "rt_{number}_0123456789abcdef\n{}", access_token("ws", &format!("user{number}"), 1))
            .unwrap();
    }
    let began = std::time::Instant::now();
    let rows = import(&store, &Fixed, items_of(&text), &ImportOptions::default()).await.unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(rows.iter().filter(|row| row.outcome == ImportOutcome::Added).count(), 5_000);
    assert_eq!(store.len(), 5_000);
    assert_eq!(store.batches(), [2_000, 2_000, 1_000]);
    assert!(store.accounts().iter().any(|account| account.name == "account 2500"));
}
