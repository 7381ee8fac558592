//! Signed-in browsers, and the admin password. Sessions live in memory: a restart signs everybody out.

use std::collections::HashMap;
use std::time::Duration;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::{Secret, Timestamp};
use parking_lot::Mutex;
use rand::TryRngCore;
use sha2::{Digest, Sha256};

/// A session that nobody uses ends after this long.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);
/// Sessions at once; the one unused longest gives way.
const MAX_SESSIONS: usize = 256;
/// Wrong passwords within [`WRONG_PASSWORD_WINDOW`] before sign-in is closed for the rest of it.
const MAX_WRONG_PASSWORDS: u32 = 10;
const WRONG_PASSWORD_WINDOW: Duration = Duration::from_secs(60);
/// Length of an acceptable password, in bytes.
pub(crate) const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=1024;

/// Memory for one password hash, in KiB (the first recommendation of RFC 9106 for constrained memory is 64 MiB; the
/// whole gateway idles below that, so the second profile of OWASP is used).
const ARGON_MEMORY_KIB: u32 = 19 * 1024;
const ARGON_PASSES: u32 = 2;
const ARGON_LANES: u32 = 1;

/// Signed-in browsers.
#[derive(Default)]
pub(crate) struct Sessions {
    by_hash: Mutex<HashMap<[u8; 32], Timestamp>>,
    wrong: Mutex<WrongPasswords>,
    /// One password is hashed at a time: each takes 19 MiB and tens of milliseconds.
    pub(crate) hashing: HashingGate,
}

/// Lets one hash run at a time.
pub(crate) struct HashingGate(tokio::sync::Semaphore);

impl Default for HashingGate {
    fn default() -> Self {
        Self(tokio::sync::Semaphore::new(1))
    }
}

#[derive(Default)]
struct WrongPasswords {
    since: Option<Timestamp>,
    count: u32,
}

/// Hashing failed, which it does only when the machine is out of memory or entropy.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be processed")]
pub struct HashFailed;

/// Hashes a password for [`crate::PASSWORD_SETTING`], after checking its length.
///
/// # Errors
/// It is too short or too long, or the machine is out of memory or entropy.
pub async fn hash_password(password: String) -> Result<Secret, PasswordError> {
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Err(PasswordError::Length);
    }
    Ok(HashingGate::default().hash(password).await?)
}

/// Why a password was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has {} to {} bytes", PASSWORD_BYTES.start(), PASSWORD_BYTES.end())]
    Length,
    /// It could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashFailed),
}

impl HashingGate {
    /// Hashes a new password.
    pub(crate) async fn hash(&self, password: String) -> Result<Secret, HashFailed> {
        let _turn = self.0.acquire().await.map_err(|_| HashFailed)?;
        let hashed = tokio::task::spawn_blocking(move || {
            let salt = SaltString::generate(&mut OsRng);
            hasher()?
                .hash_password(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|_| HashFailed)
        });
        hashed.await.map_err(|_| HashFailed)?.map(Secret::new)
    }

    /// Whether a password is the one that was hashed.
    pub(crate) async fn verify(&self, password: String, stored: Secret) -> Result<bool, HashFailed> {
        let _turn = self.0.acquire().await.map_err(|_| HashFailed)?;
        let verified = tokio::task::spawn_blocking(move || {
            let stored = PasswordHash::new(stored.expose()).map_err(|_| HashFailed)?;
            Ok(hasher()?.verify_password(password.as_bytes(), &stored).is_ok())
        });
        verified.await.map_err(|_| HashFailed)?
    }
}

fn hasher() -> Result<Argon2<'static>, HashFailed> {
    let params = Params::new(ARGON_MEMORY_KIB, ARGON_PASSES, ARGON_LANES, None).map_err(|_| HashFailed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// 256 random bits as text.
pub(crate) fn random_token() -> Result<String, HashFailed> {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|_| HashFailed)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl Sessions {
    /// Opens a session; the token goes into the cookie, only its hash is kept.
    pub(crate) fn open(&self, now: Timestamp) -> Result<String, HashFailed> {
        let token = random_token()?;
        let mut sessions = self.by_hash.lock();
        sessions.retain(|_, until| *until > now);
        if sessions.len() >= MAX_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, until)| **until).map(|(hash, _)| *hash)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&token), now.plus(SESSION_IDLE));
        Ok(token)
    }

    /// Whether a token is a session's; using it keeps it alive.
    pub(crate) fn is_open(&self, token: &str, now: Timestamp) -> bool {
        match self.by_hash.lock().get_mut(&hash(token)) {
            Some(until) if *until > now => {
                *until = now.plus(SESSION_IDLE);
                true
            }
            _ => false,
        }
    }

    /// Ends a session.
    pub(crate) fn close(&self, token: &str) {
        self.by_hash.lock().remove(&hash(token));
    }

    /// How long sign-in is closed after too many wrong passwords.
    pub(crate) fn closed_for(&self, now: Timestamp) -> Option<Duration> {
        let wrong = self.wrong.lock();
        let end = wrong.since?.plus(WRONG_PASSWORD_WINDOW);
        (wrong.count >= MAX_WRONG_PASSWORDS && end > now)
            .then(|| Duration::from_millis(now.millis_until(end)))
    }

    /// Notes a wrong password.
    pub(crate) fn wrong_password(&self, now: Timestamp) {
        let mut wrong = self.wrong.lock();
        if wrong.since.is_none_or(|since| since.plus(WRONG_PASSWORD_WINDOW) <= now) {
            *wrong = WrongPasswords { since: Some(now), count: 0 };
        }
        wrong.count += 1;
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn sessions_end_when_unused_and_stay_when_used() {
        let sessions = Sessions::default();
        let token = sessions.open(NOW).unwrap();
        let later = NOW.plus(SESSION_IDLE / 2);
        assert!(sessions.is_open(&token, later));
        assert!(sessions.is_open(&token, later.plus(SESSION_IDLE / 2)));
        assert!(!sessions.is_open(&token, later.plus(SESSION_IDLE * 2)));
        assert!(!sessions.is_open("guess", NOW));
        sessions.close(&token);
        assert!(!sessions.is_open(&token, NOW));
    }

    #[test]
    fn guessing_closes_the_door_for_a_minute() {
        let sessions = Sessions::default();
        for _ in 0..MAX_WRONG_PASSWORDS {
            assert_eq!(sessions.closed_for(NOW), None);
            sessions.wrong_password(NOW);
        }
        assert_eq!(sessions.closed_for(NOW), Some(WRONG_PASSWORD_WINDOW));
        assert_eq!(sessions.closed_for(NOW.plus(WRONG_PASSWORD_WINDOW)), None);
    }

    #[tokio::test]
    async fn passwords_verify_and_never_print() {
        let gate = HashingGate::default();
        let stored = gate.hash("correct horse".into()).await.unwrap();
        assert!(stored.expose().starts_with("$argon2id$"));
        assert!(gate.verify("correct horse".into(), stored.clone()).await.unwrap());
        assert!(!gate.verify("wrong horse".into(), stored).await.unwrap());
    }
}
