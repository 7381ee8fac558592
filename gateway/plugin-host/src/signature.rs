//! Ed25519 signatures of components. One signature covers the component and its manifest, so that neither can be
//! exchanged under the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gateway_domain::Secret;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use crate::digest;

const FIRST_WORD: &str = "ed25519";
/// Signed before the digests, so that a signature of ours fits nothing else.
const CONTEXT: &str = "switchyard plugin signature 1";

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The file is something else.
    #[error("a signature is one line: {FIRST_WORD} KEY-ID BASE64")]
    Malformed,
    /// Nobody trusts the signer.
    #[error("it was signed with the key {0}, which is not among the operator's keys")]
    UnknownKey(String),
    /// The component or the manifest is not what was signed.
    #[error("the signature does not fit: the component or its manifest was changed after it was signed")]
    Invalid,
    /// A key is not 32 bytes in base64.
    #[error("a key is 32 bytes in base64")]
    MalformedKey,
    /// The machine gives no random bytes.
    #[error("no random bytes for a key")]
    NoEntropy,
}

/// A key whose signatures the operator trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey([u8; 32]);

impl TrustedKey {
    /// Reads a public key in base64.
    ///
    /// # Errors
    /// It is not 32 bytes.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        seed(text).map(Self)
    }

    /// What signatures name it by: the first 16 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        digest::short(&Sha256::digest(self.0).into())
    }
}

/// A key to sign with.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, and the secret to keep it by.
    ///
    /// # Errors
    /// The machine gives no random bytes.
    pub fn generate() -> Result<(Self, Secret), SignatureError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| SignatureError::NoEntropy)?;
        Ok((Self::of(&seed)?, Secret::new(BASE64.encode(seed))))
    }

    /// A key from its secret.
    ///
    /// # Errors
    /// It is not 32 bytes in base64.
    pub fn parse(secret: &Secret) -> Result<Self, SignatureError> {
        Self::of(&seed(secret.expose())?)
    }

    fn of(seed: &[u8; 32]) -> Result<Self, SignatureError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| SignatureError::MalformedKey)
    }

    /// The public half, in base64: what the operator lists.
    #[must_use]
    pub fn public(&self) -> String {
        BASE64.encode(self.0.public_key())
    }

    /// The text of the file that lies beside the component.
    #[must_use]
    pub fn sign(&self, component: &[u8], manifest: &str) -> String {
        let key = digest::short(&Sha256::digest(self.0.public_key()).into());
        let signature = self.0.sign(message(component, manifest).as_bytes());
        format!("{FIRST_WORD} {key} {}\n", BASE64.encode(signature))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// Checks a signature against the operator's keys.
///
/// # Errors
/// It is malformed, of a stranger, or does not fit.
pub fn verify(
    keys: &[TrustedKey],
    signature: &str,
    component: &[u8],
    manifest: &str,
) -> Result<(), SignatureError> {
    let mut words = signature.split_ascii_whitespace();
    let (Some(FIRST_WORD), Some(key), Some(text), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(SignatureError::Malformed);
    };
    let bytes = BASE64.decode(text).map_err(|_| SignatureError::Malformed)?;
    let signer = keys.iter().find(|trusted| trusted.id() == key);
    let signer = signer.ok_or_else(|| SignatureError::UnknownKey(key.chars().take(16).collect()))?;
    UnparsedPublicKey::new(&ED25519, &signer.0)
        .verify(message(component, manifest).as_bytes(), &bytes)
        .map_err(|_| SignatureError::Invalid)
}

/// The id of the key that a signature says it is of; nothing was checked.
#[must_use]
pub fn signer_of(signature: &str) -> Option<&str> {
    let mut words = signature.split_ascii_whitespace();
    (words.next() == Some(FIRST_WORD)).then(|| words.next()).flatten()
}

fn message(component: &[u8], manifest: &str) -> String {
    format!("{CONTEXT}\n{}\n{}\n", digest::full(component), digest::full(manifest.as_bytes()))
}

fn seed(text: &str) -> Result<[u8; 32], SignatureError> {
    let bytes = BASE64.decode(text.trim()).map_err(|_| SignatureError::MalformedKey)?;
    bytes.try_into().map_err(|_| SignatureError::MalformedKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_what_was_signed_and_nothing_else() {
        let (key, secret) = SigningKey::generate().unwrap();
        let trusted = [TrustedKey::parse(&key.public()).unwrap()];
        let signature = SigningKey::parse(&secret).unwrap().sign(b"component", "manifest");
        assert_eq!(verify(&trusted, &signature, b"component", "manifest"), Ok(()));
        assert_eq!(verify(&trusted, &signature, b"componenT", "manifest"), Err(SignatureError::Invalid));
        assert_eq!(verify(&trusted, &signature, b"component", "manifesT"), Err(SignatureError::Invalid));
        assert!(matches!(
            verify(&[], &signature, b"component", "manifest"),
            Err(SignatureError::UnknownKey(_))
        ));

        let (stranger, _) = SigningKey::generate().unwrap();
        let forged = stranger
            .sign(b"component", "manifest")
            .replace(&TrustedKey::parse(&stranger.public()).unwrap().id(), &trusted[0].id());
        assert_eq!(verify(&trusted, &forged, b"component", "manifest"), Err(SignatureError::Invalid));
        for text in ["", "ed25519", "rsa a b", "ed25519 a b c", "ed25519 a !"] {
            assert_eq!(verify(&trusted, text, b"", ""), Err(SignatureError::Malformed), "{text}");
        }
    }

    /// RFC 8032, section 7.1, test 1: the key is really the one of the seed.
    #[test]
    fn keys_are_those_of_the_standard() {
        let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        assert_eq!(SigningKey::parse(&Secret::from(seed)).unwrap().public(), public);
        assert!(SigningKey::parse(&Secret::from("AAAA")).is_err() && TrustedKey::parse("AAAA").is_err());
    }
}
