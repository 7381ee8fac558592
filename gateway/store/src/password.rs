//! Hashing of the admin password with Argon2id.
//!
//! Refuses: rules for passwords, storing them. Both functions are slow on purpose (tens of milliseconds and
//! 19 MiB): call them where blocking is allowed (`spawn_blocking`), and never for more than a few callers at once.

use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::TryRngCore;
use rand::rngs::OsRng;

// The first of OWASP's recommended sets: memory is what an attacker's hardware has least of.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// Why a password was not hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub struct PasswordError(String);

/// Hashes a password as a PHC string, which names its own parameters. Blocks for tens of milliseconds.
///
/// # Errors
/// The system has no randomness to give.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    let mut salt = [0_u8; SALT_BYTES];
    OsRng.try_fill_bytes(&mut salt).map_err(|error| PasswordError(error.to_string()))?;
    hash_with(password, &salt).map_err(|error| PasswordError(error.to_string()))
}

fn hash_with(password: &str, salt: &[u8]) -> Result<String, password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(salt)?;
    Ok(argon2.hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Whether the password is the one that was hashed; a hash that cannot be read matches nothing. Works with the
/// parameters the hash names, so older hashes stay valid. Blocks for tens
/// of milliseconds.
#[must_use]
pub fn verify_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_matches() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password("correct horse", &hash));
        assert!(!verify_password("correct horse ", &hash));
        assert!(!verify_password("", &hash));
        assert!(!verify_password("correct horse", "plain text"));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "each hash has its own salt");
    }

    #[test]
    fn a_hash_keeps_its_own_parameters() {
        // As an earlier release with cheaper parameters would have written it.
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(b"0123456789abcdef").unwrap();
        let weak = argon2.hash_password(b"old", &salt).unwrap().to_string();
        assert!(verify_password("old", &weak));
        assert!(!verify_password("new", &weak));
    }
}
