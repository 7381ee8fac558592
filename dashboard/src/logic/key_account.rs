//! Accounts that are opened by a key: the kinds there are, and what is typed for one, read.

use std::collections::BTreeSet;

use gateway_api::{AccountSettingsPatch, AddKeyAccount};

use super::form::{Mistake, some};

/// The dialects a server can speak: value and words.
pub(crate) const DIALECTS: [(&str, &str); 3] = [
    ("openai-responses", "OpenAI Responses"),
    ("openai-chat", "OpenAI Chat Completions"),
    ("anthropic-messages", "Anthropic Messages"),
];

/// Where an account's requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// The provider's own, unless another one is given.
    Usual,
    /// It has to be given.
    Needed,
}

/// One kind of account that a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyKind {
    /// Its name on the wire.
    pub(crate) key: &'static str,
    /// What it is called.
    pub(crate) label: &'static str,
    /// What it is for.
    pub(crate) what: &'static str,
    /// Where it is.
    pub(crate) address: Address,
    /// An address as an example.
    pub(crate) example: &'static str,
    /// What is said about its address.
    pub(crate) address_hint: &'static str,
    /// What is said about the key.
    pub(crate) key_hint: &'static str,
}

/// All kinds, the commonest first.
pub(crate) const KINDS: [KeyKind; 4] = [
    KeyKind {
        key: "openai",
        label: "OpenAI",
        what: "An API key of the OpenAI platform",
        address: Address::Usual,
        example: "https://api.openai.com/v1",
        address_hint: "Only where another than https://api.openai.com/v1 is needed.",
        key_hint: "Begins with sk-.",
    },
    KeyKind {
        key: "anthropic",
        label: "Anthropic",
        what: "An API key of the Anthropic console",
        address: Address::Usual,
        example: "https://api.anthropic.com",
        address_hint: "Only where another than https://api.anthropic.com is needed.",
        key_hint: "Begins with sk-ant-.",
    },
    KeyKind {
        key: "openai-compatible",
        label: "OpenAI-compatible",
        what: "vLLM, Ollama, DeepSeek, OpenRouter and others",
        address: Address::Needed,
        example: "http://127.0.0.1:11434/v1",
        address_hint: "With the version path, if the server has one: http://127.0.0.1:11434/v1",
        key_hint: "Leave it empty for a server that takes none.",
    },
    KeyKind {
        key: "gateway",
        label: "Gateway",
        what: "Another Switchyard, or a codexlb",
        address: Address::Needed,
        example: "https://gateway.example",
        address_hint: "Where its dashboard is: https://gateway.example",
        key_hint: "A client key of that gateway; empty if it takes none from here.",
    },
];

/// The kind behind a name; an unknown name is the first.
pub(crate) fn kind_of(key: &str) -> KeyKind {
    let [first, ..] = KINDS;
    KINDS.into_iter().find(|kind| kind.key == key).unwrap_or(first)
}

/// What was typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Typed {
    /// The kind's name.
    pub(crate) kind: String,
    /// What to call it.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: String,
    /// Where it is.
    pub(crate) base_url: String,
    /// The dialects that were ticked; none: found out with a test.
    pub(crate) dialects: BTreeSet<String>,
}

/// The request, or the first mistake. The gateway checks again, and more.
pub(crate) fn read(typed: &Typed) -> Result<AddKeyAccount, Mistake> {
    let kind = kind_of(&typed.kind);
    let name =
        some(&typed.name).ok_or_else(|| Mistake::at("name", "Give it a name, so that you recognise it."))?;
    let base_url = some(&typed.base_url);
    if kind.address == Address::Needed && base_url.is_none() {
        return Err(Mistake::at("base_url", format!("Say where it is, such as {}.", kind.example)));
    }
    if base_url.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return Err(Mistake::at("base_url", "An address begins with http:// or https://."));
    }
    let key = typed.key.trim().to_owned();
    if kind.address == Address::Usual && key.is_empty() {
        return Err(Mistake::at("key", "Paste the key."));
    }
    let declares = kind.key == "openai-compatible" && !typed.dialects.is_empty();
    let settings = AccountSettingsPatch {
        base_url: base_url.map(Some),
        dialects: declares.then(|| typed.dialects.clone()),
        ..AccountSettingsPatch::default()
    };
    Ok(AddKeyAccount { kind: kind.key.to_owned(), name, key, settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(kind: &str, key: &str, base_url: &str) -> Typed {
        Typed {
            kind: kind.to_owned(),
            name: " work ".to_owned(),
            key: key.to_owned(),
            base_url: base_url.to_owned(),
            dialects: [DIALECTS[1].0.to_owned()].into(),
        }
    }

    #[test]
    fn each_kind_asks_for_what_it_needs() {
        for (kind, key, url, wrong) in [
            ("openai", "sk-1", "", None),
            ("openai", " ", "", Some("key")),
            ("anthropic", "", "https://proxy.example", Some("key")),
            ("openai-compatible", "", "http://127.0.0.1:1", None),
            ("openai-compatible", "sk-1", "", Some("base_url")),
            ("gateway", "", "", Some("base_url")),
            ("gateway", "sk-sy-1", "gateway.example", Some("base_url")),
            ("gateway", "sk-sy-1", "https://gateway.example", None),
        ] {
            let field = read(&typed(kind, key, url)).err().and_then(|mistake| mistake.field);
            assert_eq!(field.as_deref(), wrong, "{kind} {key} {url}");
        }
        let nameless = Typed { name: " ".to_owned(), ..typed("openai", "sk-1", "") };
        assert_eq!(read(&nameless).err().and_then(|mistake| mistake.field).as_deref(), Some("name"));
    }

    #[test]
    fn only_what_was_said_travels() {
        let one = read(&typed("openai-compatible", " k ", " http://127.0.0.1:1 ")).ok().unwrap();
        assert_eq!((one.name.as_str(), one.key.as_str()), ("work", "k"));
        assert_eq!(one.settings.base_url, Some(Some("http://127.0.0.1:1".to_owned())));
        assert_eq!(one.settings.dialects.map(|dialects| dialects.len()), Some(1));
        let other = read(&typed("openai", "k", "")).ok().unwrap();
        assert_eq!(other.settings, AccountSettingsPatch::default(), "dialects belong to servers that differ");
        assert_eq!(kind_of("gone").key, "openai");
    }
}
