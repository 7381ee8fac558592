//! Sealing of single values with XChaCha20-Poly1305.
//!
//! A sealed value is one format byte, 24 random bytes of nonce, and the ciphertext with its tag. Its place (table,
//! column, row) is authenticated with it, so a value copied to another row does not open there.
//!
//! Refuses: knowing what the values mean, and naming any part of them in an error.

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use gateway_core::ports::storage::StoreError;
use gateway_domain::{AccountId, AccountSettings, Credentials, ProxyId, Secret, Timestamp};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::keyring::KeyRing;

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Where a sealed value lives.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    table: &'static str,
    column: &'static str,
    row: &'a str,
}

impl Slot<'_> {
    /// The tokens of an account.
    pub(crate) const fn tokens(account: &str) -> Slot<'_> {
        Slot { table: "credentials", column: "tokens", row: account }
    }

    /// What the operator decided about an account.
    pub(crate) const fn account_settings(account: &str) -> Slot<'_> {
        Slot { table: "accounts", column: "settings", row: account }
    }

    /// The address of a proxy.
    pub(crate) const fn proxy(id: &str) -> Slot<'_> {
        Slot { table: "proxies", column: "url", row: id }
    }

    /// The value of a setting.
    pub(crate) const fn setting(name: &str) -> Slot<'_> {
        Slot { table: "settings", column: "value", row: name }
    }

    /// Table and column are fixed words without NUL and the row comes last, so two places never read the same.
    fn associated_data(self) -> Vec<u8> {
        [self.table, "\0", self.column, "\0", self.row].concat().into_bytes()
    }
}

/// A value as it is stored.
pub(crate) struct Sealed {
    /// Format byte, nonce, ciphertext.
    pub(crate) bytes: Vec<u8>,
    /// The key it was sealed under.
    pub(crate) key_id: String,
}

/// Seals a value under the active key.
pub(crate) fn seal(keys: &KeyRing, slot: Slot<'_>, plain: &[u8]) -> Result<Sealed, StoreError> {
    let key = keys.active();
    let mut nonce = [0_u8; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let aad = slot.associated_data();
    let ciphertext = key
        .cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad })
        .map_err(|_| StoreError::Sealed(format!("a value for {} is too long to seal", slot.table)))?;
    let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&ciphertext);
    Ok(Sealed { bytes, key_id: key.id.clone() })
}

/// Opens a value with the key it names.
pub(crate) fn unseal(keys: &KeyRing, slot: Slot<'_>, sealed: &Sealed) -> Result<Vec<u8>, StoreError> {
    let id = &sealed.key_id;
    let key = keys.find(id).ok_or_else(|| {
        StoreError::Sealed(format!(
            "a value in {} was sealed under key {id}, which is not in the key file; add that key as a further line, \
             or set the value anew",
            slot.table
        ))
    })?;
    let damaged = || {
        StoreError::Sealed(format!(
            "a value in {} does not open under its key {id}: it was changed, or moved from another row; restore a \
             backup, or set the value anew",
            slot.table
        ))
    };
    let Some((&FORMAT, rest)) = sealed.bytes.split_first() else { return Err(damaged()) };
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
    let aad = slot.associated_data();
    key.cipher
        .decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: &aad })
        .map_err(|_| damaged())
}

/// Tokens as they are sealed: JSON, so that kinds of accounts to come can add their own.
#[derive(Serialize, Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

/// Seals the tokens of an account.
pub(crate) fn seal_tokens(
    keys: &KeyRing,
    id: &AccountId,
    tokens: &Credentials,
) -> Result<Sealed, StoreError> {
    let exposed = |token: &Option<Secret>| token.as_ref().map(|token| token.expose().clone());
    let tokens = Tokens {
        access_token: tokens.access_token.expose().clone(),
        refresh_token: exposed(&tokens.refresh_token),
        id_token: exposed(&tokens.id_token),
    };
    let json = serde_json::to_vec(&tokens)
        .map_err(|_| StoreError::Sealed("tokens cannot be written as JSON".to_owned()))?;
    seal(keys, Slot::tokens(id.as_str()), &json)
}

/// Opens the tokens of an account.
pub(crate) fn unseal_tokens(
    keys: &KeyRing,
    id: &AccountId,
    sealed: &Sealed,
    expires_at: Option<Timestamp>,
    refreshed_at: Timestamp,
) -> Result<Credentials, StoreError> {
    let json = unseal(keys, Slot::tokens(id.as_str()), sealed)?;
    // The parser's message would quote what it read.
    let tokens: Tokens = serde_json::from_slice(&json).map_err(|_| {
        StoreError::Sealed(
            "the tokens of an account are in a form that this version does not know".to_owned(),
        )
    })?;
    Ok(Credentials {
        access_token: Secret::new(tokens.access_token),
        refresh_token: tokens.refresh_token.map(Secret::new),
        id_token: tokens.id_token.map(Secret::new),
        expires_at,
        refreshed_at,
    })
}

/// Seals what the operator decided about an account, as one JSON document. Fields of the document it replaces that
/// this version does not know are kept: a newer gateway beside this one has set them.
pub(crate) fn seal_account_settings(
    keys: &KeyRing,
    id: &AccountId,
    settings: &AccountSettings,
    replaces: Option<&Sealed>,
) -> Result<Sealed, StoreError> {
    let refused =
        || StoreError::Sealed("the settings of an account cannot be written as JSON; change them".to_owned());
    // Such a number would be written as `null`, and the whole document could not be read again.
    if !settings.weight.is_finite() {
        return Err(refused());
    }
    let slot = Slot::account_settings(id.as_str());
    // What does not open any more is lost; that must not keep the operator from setting it anew.
    let old = replaces.and_then(|sealed| unseal(keys, slot, sealed).ok());
    let mut document: Map<String, Value> =
        old.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => document.extend(fields),
        Ok(_) | Err(_) => return Err(refused()),
    }
    let json = serde_json::to_vec(&document).map_err(|_| refused())?;
    seal(keys, slot, &json)
}

/// Opens what the operator decided about an account.
pub(crate) fn unseal_account_settings(
    keys: &KeyRing,
    id: &AccountId,
    sealed: &Sealed,
) -> Result<AccountSettings, StoreError> {
    let json = unseal(keys, Slot::account_settings(id.as_str()), sealed)?;
    // The parser's message would quote what it read.
    serde_json::from_slice(&json).map_err(|_| {
        StoreError::Sealed(
            "the settings of an account are in a form that this version does not know".to_owned(),
        )
    })
}

/// Seals the value of a setting.
pub(crate) fn seal_setting(keys: &KeyRing, name: &str, value: &Secret) -> Result<Sealed, StoreError> {
    seal(keys, Slot::setting(name), value.expose().as_bytes())
}

/// Opens the value of a setting.
pub(crate) fn unseal_setting(keys: &KeyRing, name: &str, sealed: &Sealed) -> Result<Secret, StoreError> {
    unseal_text(keys, Slot::setting(name), sealed)
}

/// Seals the address of a proxy.
pub(crate) fn seal_proxy_url(keys: &KeyRing, id: &ProxyId, url: &Secret) -> Result<Sealed, StoreError> {
    seal(keys, Slot::proxy(id.as_str()), url.expose().as_bytes())
}

/// Opens the address of a proxy.
pub(crate) fn unseal_proxy_url(keys: &KeyRing, id: &ProxyId, sealed: &Sealed) -> Result<Secret, StoreError> {
    unseal_text(keys, Slot::proxy(id.as_str()), sealed)
}

fn unseal_text(keys: &KeyRing, slot: Slot<'_>, sealed: &Sealed) -> Result<Secret, StoreError> {
    let text = String::from_utf8(unseal(keys, slot, sealed)?)
        .map_err(|_| StoreError::Sealed(format!("a value in {} is not text; set it anew", slot.table)))?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(lines: &[&str]) -> KeyRing {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, lines.join("\n")).unwrap();
        KeyRing::load_or_create(&path).unwrap()
    }

    // 32 bytes of 1 and of 2.
    const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let keys = ring(&[ONE]);
        let sealed = seal(&keys, Slot::setting("a"), b"hush").unwrap();
        assert_eq!(unseal(&keys, Slot::setting("a"), &sealed).unwrap(), b"hush");
        for elsewhere in
            [Slot::setting("b"), Slot::tokens("a"), Slot::proxy("a"), Slot::account_settings("a")]
        {
            assert!(matches!(unseal(&keys, elsewhere, &sealed), Err(StoreError::Sealed(_))));
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let keys = ring(&[ONE]);
        let sealed = seal(&keys, Slot::setting("a"), b"hush").unwrap();
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            let changed = Sealed { bytes, key_id: sealed.key_id.clone() };
            assert!(unseal(&keys, Slot::setting("a"), &changed).is_err(), "byte {at}");
        }
        for length in 0..sealed.bytes.len() {
            let cut = Sealed { bytes: sealed.bytes[..length].to_vec(), key_id: sealed.key_id.clone() };
            assert!(unseal(&keys, Slot::setting("a"), &cut).is_err(), "length {length}");
        }
    }

    #[test]
    fn sealing_twice_differs_and_hides_the_value() {
        let keys = ring(&[ONE]);
        let [first, second] = [0, 1].map(|_| seal(&keys, Slot::setting("a"), b"hush-hush").unwrap());
        assert_ne!(first.bytes, second.bytes);
        assert!(!first.bytes.windows(9).any(|part| part == b"hush-hush"));
    }

    #[test]
    fn an_older_key_still_opens_and_the_active_one_seals() {
        let old = seal(&ring(&[ONE]), Slot::setting("a"), b"hush").unwrap();
        let keys = ring(&[TWO, ONE]);
        assert_eq!(unseal(&keys, Slot::setting("a"), &old).unwrap(), b"hush");
        let new = seal(&keys, Slot::setting("a"), b"hush").unwrap();
        assert_eq!(new.key_id, keys.active_id());
        assert_ne!(new.key_id, old.key_id);
    }

    #[test]
    fn a_missing_key_is_named_with_what_to_do() {
        let sealed = seal(&ring(&[ONE]), Slot::setting("a"), b"hush").unwrap();
        let told = unseal(&ring(&[TWO]), Slot::setting("a"), &sealed).unwrap_err().to_string();
        assert!(told.contains(&sealed.key_id) && told.contains("add that key"), "{told}");
    }

    #[test]
    fn settings_keep_what_only_a_newer_version_knows() {
        let (keys, id) = (ring(&[ONE]), AccountId::parse("a").unwrap());
        let slot = Slot::account_settings("a");
        let newer = seal(&keys, slot, br#"{"notes":"old","mood":"sunny"}"#).unwrap();
        assert_eq!(unseal_account_settings(&keys, &id, &newer).unwrap().notes, "old");
        let mine = AccountSettings { notes: "new".to_owned(), ..AccountSettings::default() };
        let sealed = seal_account_settings(&keys, &id, &mine, Some(&newer)).unwrap();
        let document: Value = serde_json::from_slice(&unseal(&keys, slot, &sealed).unwrap()).unwrap();
        assert_eq!((&document["notes"], &document["mood"]), (&"new".into(), &"sunny".into()));
        assert_eq!(unseal_account_settings(&keys, &id, &sealed).unwrap(), mine);
    }

    #[test]
    fn settings_that_would_not_be_read_again_are_refused() {
        let (keys, id) = (ring(&[ONE]), AccountId::parse("a").unwrap());
        for weight in [f64::NAN, f64::INFINITY] {
            let settings = AccountSettings { weight, ..AccountSettings::default() };
            assert!(seal_account_settings(&keys, &id, &settings, None).is_err(), "{weight}");
        }
    }
}
