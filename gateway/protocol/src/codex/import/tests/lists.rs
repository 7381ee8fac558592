//! Many entries: bare tokens, arrays, exports, maps, our own export; and what is wrong with one of them.

use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountSettings, AccountState, Credentials, Secret,
};

use super::*;
use crate::codex::import::{BUNDLE_VERSION, MAX_ENTRIES, MAX_IMPORT_BYTES, ReadError, write_bundle};

#[test]
fn tokens_one_a_line() {
    let a = access("ws", "ada");
    let text = format!(
        "\u{feff}# my tokens\nrt_0123456789abcdef\n\n  {a}  \r\n\"rt_quoted0123456789\",\nhello\ntwo words that are long enough\nsk-proj-0123456789abcdef\nsk-ant-api03-0123456789\nsk-sy-0123456789\n"
    );
    assert_eq!(
        gists(&text),
        [
            "line 2 -: codex - r",
            "line 4 -: codex ws/ada a",
            "line 5 -: codex - r",
            "line 6 -: not a token: it is too short",
            "line 7 -: not a token: it holds characters that no token has",
            "line 8 -: openai - a",
            "line 9 -: anthropic - a",
            "line 10 -: this is a key that a Switchyard hands out to clients; add that Switchyard as an account of kind `gateway`",
        ]
    );
}

#[test]
fn a_format_that_is_named_is_held_to() {
    let a = access("ws", "ada");
    let both = json!({ "access_token": a, "refresh_token": "rt_0123456789abcdef" }).to_string();
    let read_as = |text: &str, format| gist(&items(text, format)[0]);
    assert_eq!(read_as(&both, Format::AccessTokens), "the text -: codex ws/ada a");
    assert_eq!(read_as(&both, Format::RefreshTokens), "the text -: codex ws/ada ar");
    assert!(read_as(&a, Format::RefreshTokens).contains("is an access token"));
    assert!(read_as("rt_0123456789abcdef", Format::AccessTokens).contains("no access token"));
    assert!(
        read_as(&json!({ "access_token": a }).to_string(), Format::RefreshTokens)
            .contains("no refresh token")
    );
    // Anything may look like a key when refresh tokens were asked for.
    assert_eq!(read_as("sk-0123456789abcdef", Format::RefreshTokens), "line 1 -: codex - r");
    for format in [Format::AuthJson, Format::CodexLb, Format::Codex2Api] {
        assert!(matches!(read("rt_0123456789abcdef", format, None, NOW), Err(ReadError::NotJson(_))));
        assert_eq!(read_as(&both, format), "the text -: codex ws/ada ar");
    }
    assert_eq!(read(&both, Format::Switchyard, None, NOW), Err(ReadError::NotABundle));
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
}

#[test]
fn lists_and_what_is_around_them() {
    let entry = |user: &str| json!({ "access_token": access("ws", user), "refresh_token": format!("rt_of_{user}_0123456789") });
    let seats = ["entry 1 -: codex ws/ada ar", "entry 2 -: codex ws/bob ar"];
    let list = json!([entry("ada"), entry("bob")]);
    for value in [
        list.clone(),
        json!({ "accounts": list }),
        json!({ "exported_at": "2026-01-01T00:00:00Z", "accounts": [
            { "name": "", "platform": "openai", "type": "oauth", "credentials": entry("ada"), "extra": {} },
            { "platform": "openai", "type": "oauth", "credentials": entry("bob") } ] }),
        json!({ "success": true, "data": { "items": list } }),
    ] {
        assert_eq!(gists(&value.to_string()), seats, "{value}");
    }
    let lines = format!("{}\n\n{}\n", entry("ada"), entry("bob"));
    assert_eq!(gists(&lines), ["line 1 -: codex ws/ada ar", "line 3 -: codex ws/bob ar"]);
    let by_alias = json!({ "accounts": { "home": entry("ada"), "work": { "tokens": entry("bob") } } });
    assert_eq!(
        gists(&by_alias.to_string()),
        ["entry 1 home: codex ws/ada ar", "entry 2 work: codex ws/bob ar"]
    );
    let open_code = json!({
        "anthropic": { "type": "api", "key": "sk-ant-api03-0123456789" },
        "openai": { "type": "oauth", "access": access("ws", "ada"), "refresh": "rt_0123456789abcdef", "expires": 1 },
        "google": { "type": "api", "key": "AIza0123456789" },
    });
    assert_eq!(
        gists(&open_code.to_string()),
        [
            "entry 1 -: anthropic - a",
            "entry 2 -: this is an account of a provider that Switchyard does not speak to",
            "entry 3 -: codex ws/ada ar",
        ]
    );
}

#[test]
fn one_bad_entry_leaves_the_others() {
    let mixed = json!(["rt_0123456789abcdef", { "tokens": { "access_token": access("ws", "ada") } }, 7, null, {}, "short"]);
    let text = format!("\u{feff}{mixed}");
    let gists = gists(&text);
    assert_eq!(gists[0], "entry 1 -: codex - r");
    assert_eq!(gists[1], "entry 2 -: codex ws/ada a");
    assert!(gists[2].contains("neither a text nor an object") && gists[3].contains("neither"), "{gists:?}");
    assert!(gists[4].starts_with("entry 5 -: no token found"), "{gists:?}");
    assert!(gists[5].starts_with("entry 6 -: not a token"), "{gists:?}");
}

#[test]
fn a_workspace_that_many_tokens_share_without_a_name_is_nobody_s() {
    let of = |token: &str, email: Option<&str>| json!({ "refresh_token": token, "account_id": "same", "email": email });
    let two = json!([of("rt_1", None), of("rt_2", None), of("rt_3", Some("ada@example.test"))]);
    let found: Vec<_> = items(&two.to_string(), Format::Auto)
        .into_iter()
        .map(|item| item.found.unwrap().sign_in.identity.workspace_id)
        .collect();
    assert_eq!(found, [None, None, Some("same".to_owned())]);
    // The same token twice is one.
    let twice = json!([of("rt_1", None), of("rt_1", None)]);
    let found = items(&twice.to_string(), Format::Auto);
    assert!(found.into_iter().all(|item| item.found.unwrap().sign_in.identity.workspace_id.is_some()));
}

#[test]
fn texts_that_cannot_be_read_say_why() {
    let refused = |text: &str| read(text, Format::Auto, None, NOW).unwrap_err().to_string();
    for (text, why) in [
        ("", "no account"),
        ("  \n", "no account"),
        ("# nothing\n", "no account"),
        ("[]", "no account"),
        (r#"{"accounts":[]}"#, "no account"),
        (r#"{"access_token": "private"#, "line 1, column"),
        (r#"{"format":"switchyard-accounts","version":2,"accounts":[]}"#, "version 2"),
    ] {
        let error = refused(text);
        assert!(error.contains(why) && !error.contains("private"), "{text}: {error}");
    }
    assert_eq!(read(&"x".repeat(MAX_IMPORT_BYTES + 1), Format::Auto, None, NOW), Err(ReadError::TooLarge));
    let many = "rt_0123456789abcdef\n".repeat(MAX_ENTRIES + 1);
    assert_eq!(read(&many, Format::Auto, None, NOW), Err(ReadError::TooMany));
    let many = format!("[{}1]", "1,".repeat(MAX_ENTRIES));
    assert_eq!(read(&many, Format::Auto, None, NOW), Err(ReadError::TooMany));
}

#[test]
fn places_name_their_text() {
    let of = |text: &str| read(text, Format::Auto, Some("work/auth.json"), NOW).unwrap()[0].place.to_string();
    assert_eq!(of("{}"), "work/auth.json");
    assert_eq!(of("[1]"), "work/auth.json, entry 1");
    assert_eq!(of("hello"), "work/auth.json, line 1");
}

fn exported(kind: AccountKind, state: AccountState) -> (Account, Credentials) {
    let mut settings = AccountSettings { notes: "mine".into(), priority: 3, ..AccountSettings::default() };
    settings.headers.insert("x-team".into(), Secret::from("blue"));
    settings.co_owned = Some("/home/ada/.codex/auth.json".into());
    let account = Account {
        id: AccountId::parse("acc_1").unwrap(),
        kind,
        name: "Ada".into(),
        identity: AccountIdentity {
            workspace_id: Some("ws".into()),
            user_id: Some("ada".into()),
            email: None,
        },
        plan: Some("pro".into()),
        state,
        settings,
        created_at: NOW,
    };
    let credentials = Credentials {
        access_token: Secret::new(access("ws", "ada")),
        refresh_token: Some(Secret::from("rt_0123456789abcdef")),
        id_token: None,
        expires_at: Some(Timestamp::from_secs(ENDS)),
        refreshed_at: Timestamp::from_secs(1_700_000_000),
    };
    (account, credentials)
}

#[test]
fn our_export_comes_back_whole() {
    let all = [
        exported(AccountKind::Codex, AccountState::Active),
        exported(AccountKind::OpenAiCompatible, AccountState::Paused),
    ];
    let text = write_bundle(&all, NOW).unwrap();
    assert!(!text.expose().contains("/home/ada"), "a path of this machine stays here");
    let items = read(text.expose(), Format::Switchyard, None, NOW).unwrap();
    assert_eq!(items.len(), 2);
    for (item, (account, credentials)) in items.iter().zip(&all) {
        let found = item.found.as_ref().unwrap();
        assert_eq!(item.name.as_deref(), Some("Ada"));
        assert_eq!((found.kind, &found.state), (account.kind, &account.state));
        assert_eq!(found.sign_in.identity, account.identity);
        assert_eq!(found.sign_in.plan, account.plan);
        assert_eq!(&found.sign_in.credentials, credentials);
        assert_eq!(found.settings, AccountSettings { co_owned: None, ..account.settings.clone() });
    }
}

#[test]
fn a_broken_entry_of_our_export_is_told_without_quoting_it() {
    let bundle = |account: Value| {
        let text =
            json!({ "format": "switchyard-accounts", "version": BUNDLE_VERSION, "accounts": [account] });
        gists(&text.to_string()).remove(0)
    };
    for account in [
        json!("private-private-private"),
        json!({ "name": "x", "kind": "private", "tokens": {} }),
        json!({ "name": "x", "kind": "codex", "tokens": { "access_token": ["private"] } }),
        json!({ "name": "x", "kind": "codex", "tokens": { "access_token": "a" }, "settings": { "weight": -1.0 } }),
    ] {
        let told = bundle(account);
        assert!(told.contains("does not have the shape") && !told.contains("private"), "{told}");
    }
    let told = bundle(json!({ "name": "x", "kind": "codex", "tokens": { "access_token": "" } }));
    assert!(told.contains("no token found"), "{told}");
}
