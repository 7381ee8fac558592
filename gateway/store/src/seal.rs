//! Sealing of single values with XChaCha20-Poly1305.
//!
//! A sealed value is one format byte, 24 random bytes of nonce, and the ciphertext with its tag. Its place (table,
//! column, row) is authenticated with it, so a value copied to another row does not open there.
//!
//! Refuses: knowing what the values mean, and naming any part of them in an error.

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use gateway_core::ports::storage::StoreError;
use gateway_domain::{AccountId, Credentials, Secret, Timestamp};
use rand::RngCore;
use serde::{Deserialize, Serialize};

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

impl<'a> Slot<'a> {
    /// The tokens of an account.
    pub(crate) fn tokens(account: &'a AccountId) -> Self {
        Self { table: "credentials", column: "tokens", row: account.as_str() }
    }

    /// The value of a setting.
    pub(crate) const fn setting(name: &'a str) -> Self {
        Self { table: "settings", column: "value", row: name }
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
    seal(keys, Slot::tokens(id), &json)
}

/// Opens the tokens of an account.
pub(crate) fn unseal_tokens(
    keys: &KeyRing,
    id: &AccountId,
    sealed: &Sealed,
    expires_at: Option<Timestamp>,
    refreshed_at: Timestamp,
) -> Result<Credentials, StoreError> {
    let json = unseal(keys, Slot::tokens(id), sealed)?;
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

/// Seals the value of a setting.
pub(crate) fn seal_setting(keys: &KeyRing, name: &str, value: &Secret) -> Result<Sealed, StoreError> {
    seal(keys, Slot::setting(name), value.expose().as_bytes())
}

/// Opens the value of a setting.
pub(crate) fn unseal_setting(keys: &KeyRing, name: &str, sealed: &Sealed) -> Result<Secret, StoreError> {
    let value = String::from_utf8(unseal(keys, Slot::setting(name), sealed)?)
        .map_err(|_| StoreError::Sealed("a setting is not text".to_owned()))?;
    Ok(Secret::new(value))
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
        let id = AccountId::parse("a").unwrap();
        for elsewhere in [Slot::setting("b"), Slot::tokens(&id)] {
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
}
