//! What a changed form sends, and what it refuses to.

use gateway_api::{AccountSettingsView, AccountStateView, ProxyView, TokenTotals};

use super::super::accounts::tests::account;
use super::*;

fn stored() -> AccountDetail {
    AccountDetail {
        account: account("ada", AccountStateView::Healthy),
        settings: AccountSettingsView {
            groups: ["eu".to_owned(), "paid".to_owned()].into(),
            weight: 1.0,
            headers: ["x-team".to_owned(), "x-old".to_owned()].into(),
            ..AccountSettingsView::default()
        },
        workspace_id: None,
        created_at: 0,
        token_expires_at: None,
        refreshed_at: None,
        quota_seen_at: None,
        reset_credits: None,
        tokens: TokenTotals::default(),
        recent: Vec::new(),
    }
}

fn patch(change: impl FnOnce(&mut Draft)) -> Result<Option<AccountPatch>, Mistake> {
    let stored = stored();
    let mut draft = Draft::of(&stored);
    change(&mut draft);
    draft.patch(&stored)
}

fn settings(change: impl FnOnce(&mut Draft)) -> AccountSettingsPatch {
    patch(change).unwrap().unwrap().settings.unwrap()
}

fn wrong(change: impl FnOnce(&mut Draft)) -> Option<String> {
    patch(change).unwrap_err().field
}

#[test]
fn an_untouched_form_sends_nothing() {
    assert_eq!(patch(|_| {}), Ok(None));
}

#[test]
fn only_what_changed_travels() {
    let renamed = patch(|draft| draft.name = " grace ".into()).unwrap().unwrap();
    assert_eq!(renamed, AccountPatch { name: Some("grace".into()), ..AccountPatch::default() });
    for (change, expected) in [
        (
            settings(|draft| draft.groups = "us, eu".into()),
            AccountSettingsPatch { groups: Some(["eu".into(), "us".into()].into()), ..Default::default() },
        ),
        (
            settings(|draft| draft.weight = "2.5".into()),
            AccountSettingsPatch { weight: Some(2.5), ..Default::default() },
        ),
        (
            settings(|draft| draft.max_concurrency = "3".into()),
            AccountSettingsPatch { max_concurrency: Some(Some(3)), ..Default::default() },
        ),
        (
            settings(|draft| draft.preference = "burn_first".into()),
            AccountSettingsPatch { preference: Some(PreferenceView::BurnFirst), ..Default::default() },
        ),
        (
            settings(|draft| draft.egress = "proxy:p1".into()),
            AccountSettingsPatch {
                egress: Some(EgressView::Proxy { proxy: "p1".into() }),
                ..Default::default()
            },
        ),
        (
            settings(|draft| draft.warm_up = true),
            AccountSettingsPatch { warm_up: Some(true), ..Default::default() },
        ),
    ] {
        assert_eq!(change, expected);
    }
}

#[test]
fn what_was_given_can_be_taken_away() {
    let mut with = stored();
    with.settings.max_concurrency = Some(4);
    with.settings.co_owned = Some("/home/ada/.codex/auth.json".into());
    let mut draft = Draft::of(&with);
    (draft.max_concurrency, draft.co_owned) = (String::new(), " ".into());
    let sent = draft.patch(&with).unwrap().unwrap().settings.unwrap();
    assert_eq!((sent.max_concurrency, sent.co_owned), (Some(None), Some(None)));
}

#[test]
fn header_values_are_set_replaced_and_taken_away_but_never_resent() {
    let sent = settings(|draft| {
        draft.headers[0].is_removed = true;
        draft.headers.push(HeaderDraft { name: "x-new".into(), value: "1".into(), ..Default::default() });
        draft.headers.push(HeaderDraft::default());
    });
    let headers = [("x-new".to_owned(), Some("1".to_owned())), ("x-old".to_owned(), None)];
    assert_eq!(sent.headers, headers.into());
    let replaced = settings(|draft| draft.headers[1].value = "blue".into());
    assert_eq!(replaced.headers, [("x-team".to_owned(), Some("blue".to_owned()))].into());
    for broken in [("", "1"), ("x-empty", "")] {
        let (name, value) = (broken.0.to_owned(), broken.1.to_owned());
        let field = wrong(|draft| draft.headers.push(HeaderDraft { name, value, ..Default::default() }));
        assert_eq!(field.as_deref(), Some("headers"), "{broken:?}");
    }
}

#[test]
fn mistakes_name_their_field() {
    for (field, found) in [
        ("name", wrong(|draft| draft.name = " ".into())),
        ("weight", wrong(|draft| draft.weight = "much".into())),
        ("priority", wrong(|draft| draft.priority = "1.5".into())),
        ("max_concurrency", wrong(|draft| draft.max_concurrency = "-1".into())),
    ] {
        assert_eq!(found.as_deref(), Some(field));
    }
}

#[test]
fn every_way_out_can_be_chosen_and_a_lost_one_stays_visible() {
    let proxy = ProxyView {
        id: "p1".into(),
        name: "berlin".into(),
        address: "http://10.0.0.1:1".into(),
        enabled: false,
        groups: BTreeSet::new(),
        accounts: 0,
        health: None,
    };
    let words = |chosen: &str| {
        let choices = egress_choices(std::slice::from_ref(&proxy), chosen);
        choices.into_iter().map(|(_, words)| words).collect::<Vec<_>>()
    };
    assert_eq!(words(INHERIT), ["Like its groups", "Straight", "Through berlin (switched off)"]);
    assert_eq!(words("proxy:lost").last().map(String::as_str), Some("Through a proxy that is gone"));
    for egress in [EgressView::Inherit, EgressView::Direct, EgressView::Proxy { proxy: "p1".into() }] {
        assert_eq!(egress_of(&egress_key(&egress)), egress);
    }
}
