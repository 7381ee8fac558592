//! Whatever comes in: nothing panics, and no reason quotes what may be a token.

use proptest::prelude::*;

use super::*;

/// Runs of characters that tokens are made of: what must never be repeated. Numbers alone are none; they may be times,
/// which are told.
fn token_like(text: &str) -> Vec<&str> {
    let part = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let is_token = |run: &&str| run.len() >= 12 && run.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.split(|letter| !part(letter)).filter(is_token).collect()
}

/// Everything that an import says about a text.
fn said(text: &str, format: Format) -> String {
    match read(text, format, None, NOW) {
        Err(error) => format!("{error} {error:?}"),
        Ok(items) => items
            .iter()
            .map(|item| {
                let reason = item.found.as_ref().err().map(ToString::to_string).unwrap_or_default();
                // Identities and plans are for the operator; tokens are for nobody.
                let tokens = item
                    .found
                    .as_ref()
                    .ok()
                    .map(|found| format!("{:?} {:?}", found.sign_in.credentials, found.token_prints()));
                format!("{} {reason} {:?} {tokens:?}\n", item.place, item.found.as_ref().err())
            })
            .collect(),
    }
}

/// What our own reasons are made of, which a text may happen to hold as well.
fn ours(run: &str) -> bool {
    const WORDS: &str = "chatgpt_account_id refresh_token access_token OPENAI_API_KEY credentials switchyard-accounts \
                         characters refreshed_at Fingerprint id_token NotAToken Unsupported Credentials TooLong \
                         TooShort Characters Mismatch BadAddress NoIdentity expires_at Timestamp";
    WORDS.contains(run)
}

fn nothing_leaks(text: &str) -> Result<(), TestCaseError> {
    for format in Format::ALL {
        let said = said(text, format);
        for run in token_like(text).into_iter().filter(|run| !ours(run)) {
            prop_assert!(!said.contains(run), "{format:?} repeats {run}: {said}");
        }
    }
    Ok(())
}

/// JSON with the names that the readers look for, and secrets in every place.
fn json_text() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "tokens",
        "access_token",
        "refresh_token",
        "id_token",
        "credentials",
        "accounts",
        "auth",
        "format",
        "version",
        "OPENAI_API_KEY",
        "base_url",
        "expires_at",
        "platform",
        "type",
        "key",
        "settings",
        "kind",
        "email",
        "data",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[A-Za-z0-9_-]{16,40}".prop_map(Value::from),
        "[A-Za-z0-9]{12,20}[ \\n\"é][A-Za-z0-9]{12,20}".prop_map(Value::from),
        Just(json!("switchyard-accounts")),
        Just(json!("codex")),
        "sk-(ant-|sy-|)[A-Za-z0-9]{12,24}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>()
            }),
        ]
    });
    (value, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(value, cut, whole)| {
        let text = value.to_string();
        if whole {
            return text;
        }
        let cut = cut.index(text.len() + 1);
        text.char_indices().take_while(|(at, _)| *at < cut).map(|(_, letter)| letter).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        nothing_leaks(&text)?;
    }

    #[test]
    fn lines_of_near_tokens_are_never_quoted(lines in prop::collection::vec("[A-Za-z0-9_.\\- ]{0,60}", 0..8)) {
        nothing_leaks(&lines.join("\n"))?;
    }

    #[test]
    fn json_of_every_shape_is_never_quoted(text in json_text()) {
        nothing_leaks(&text)?;
    }
}

#[test]
fn deep_json_is_refused_not_followed() {
    let deep = format!("{}1{}", r#"{"tokens":"#.repeat(100), "}".repeat(100));
    assert!(only(&serde_json::from_str(&deep).unwrap()).is_err());
    let too_deep = "[".repeat(100_000);
    assert!(read(&too_deep, Format::Auto, None, NOW).is_err());
}
