//! Keys for operators: scripts and the command line call the admin API with one. Only hashes are kept, in one small
//! document among the settings; a running gateway holds them in memory.
//!
//! Refuses: client keys, which open no admin call, and sessions, which are the browser's.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::{Secret, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::Gateway;
use crate::accounts::{AccountError, check_name};
use crate::ports::{SettingStore, StoreError};
use crate::stage::hash_client_key;

/// The setting that holds them.
pub const OPERATOR_KEYS_SETTING: &str = "operator-keys";
/// How every operator key begins.
pub const OPERATOR_KEY_PREFIX: &str = "sk-sy-op-";
/// The most keys at once.
pub const MAX_OPERATOR_KEYS: usize = 64;
/// A key that is not known makes the gateway look into the store, at most this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorKey {
    /// Who it is for; logged with every call.
    pub label: String,
    /// SHA-256 of the key, in hex.
    hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// All of them, as they are stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    keys: Vec<OperatorKey>,
}

/// Why a key was not made or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorKeyError {
    /// The label cannot be used.
    #[error(transparent)]
    Label(#[from] AccountError),
    /// The label is in use.
    #[error("an operator key labelled `{0}` exists; choose another label")]
    Taken(String),
    /// None has this label.
    #[error("there is no operator key labelled `{0}`")]
    Unknown(String),
    /// Too many.
    #[error("there are {MAX_OPERATOR_KEYS} operator keys already; revoke one")]
    TooMany,
    /// What is stored is no list of keys.
    #[error("the stored operator keys are not readable")]
    Unreadable,
    /// Storage refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All operator keys, the oldest first.
///
/// # Errors
/// Storage refused, or what it holds is no list of keys.
pub async fn operator_keys(settings: &dyn SettingStore) -> Result<Vec<OperatorKey>, OperatorKeyError> {
    let Some(text) = settings.setting(OPERATOR_KEYS_SETTING).await? else { return Ok(Vec::new()) };
    let document: Document = serde_json::from_str(text.expose()).map_err(|_| OperatorKeyError::Unreadable)?;
    Ok(document.keys)
}

/// Makes a key. It is not to be had again.
///
/// # Errors
/// The label is bad or taken, there are too many, or storage refused.
pub async fn add_operator_key(
    settings: &dyn SettingStore,
    label: &str,
    now: Timestamp,
) -> Result<Secret, OperatorKeyError> {
    let label = check_name(label)?.to_owned();
    let mut keys = operator_keys(settings).await?;
    if keys.iter().any(|key| key.label == label) {
        return Err(OperatorKeyError::Taken(label));
    }
    if keys.len() >= MAX_OPERATOR_KEYS {
        return Err(OperatorKeyError::TooMany);
    }
    let key = random_key();
    keys.push(OperatorKey { label, hash: hex(&hash_client_key(key.expose())), created_at: now });
    put(settings, keys).await?;
    Ok(key)
}

/// Takes a key back. A running gateway refuses it within seconds.
///
/// # Errors
/// None has this label, or storage refused.
pub async fn revoke_operator_key(settings: &dyn SettingStore, label: &str) -> Result<(), OperatorKeyError> {
    let mut keys = operator_keys(settings).await?;
    let before = keys.len();
    keys.retain(|key| key.label != label);
    if keys.len() == before {
        return Err(OperatorKeyError::Unknown(label.to_owned()));
    }
    put(settings, keys).await
}

async fn put(settings: &dyn SettingStore, keys: Vec<OperatorKey>) -> Result<(), OperatorKeyError> {
    let text = serde_json::to_string(&Document { keys }).map_err(|_| OperatorKeyError::Unreadable)?;
    Ok(settings.put_setting(OPERATOR_KEYS_SETTING, Secret::new(text)).await?)
}

fn random_key() -> Secret {
    let random = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    Secret::new(format!("{OPERATOR_KEY_PREFIX}{random}"))
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text does not fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Label by hash, in hex. What was sent is hashed before it is compared, so timing tells nothing about a key.
type Labels = HashMap<String, Arc<str>>;

/// The valid keys of a running gateway.
#[derive(Default)]
pub(crate) struct Operators {
    stored: ArcSwap<Labels>,
    /// Keys that only this process knows; they end with it.
    lent: Mutex<Labels>,
    looked_at: Mutex<Option<Timestamp>>,
}

impl Operators {
    fn find(&self, hash: &str) -> Option<Arc<str>> {
        self.stored.load().get(hash).cloned().or_else(|| self.lent.lock().get(hash).cloned())
    }

    /// Whether it is time to look into the store for a key that is not known: somebody who guesses must not keep the
    /// database busy.
    fn may_look(&self, now: Timestamp) -> bool {
        let mut looked_at = self.looked_at.lock();
        let due = looked_at.is_none_or(|at| at.plus(LOOK_AGAIN) <= now || at > now);
        if due {
            *looked_at = Some(now);
        }
        due
    }
}

impl Gateway {
    /// Brings the operator keys in step with the store.
    ///
    /// # Errors
    /// Storage refused; the keys stay as they are. A list that is not readable counts as empty.
    pub async fn sync_operator_keys(&self) -> Result<(), StoreError> {
        let keys = match operator_keys(&*self.settings).await {
            Ok(keys) => keys,
            Err(OperatorKeyError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "no operator key is valid");
                Vec::new()
            }
        };
        let labels: Labels = keys.into_iter().map(|key| (key.hash, Arc::from(key.label))).collect();
        if labels != **self.operators.stored.load() {
            self.operators.stored.store(Arc::new(labels));
        }
        Ok(())
    }

    /// Whose key has this hash. One that was made a moment ago counts at once.
    pub async fn operator(&self, hash: &[u8; 32]) -> Option<Arc<str>> {
        let hash = hex(hash);
        if let Some(label) = self.operators.find(&hash) {
            return Some(label);
        }
        if self.operators.may_look(self.now())
            && let Err(error) = self.sync_operator_keys().await
        {
            tracing::warn!(%error, "operator keys could not be read; they stay as they are");
        }
        self.operators.find(&hash)
    }

    /// A key that is valid as long as this process runs, and is stored nowhere here.
    #[must_use]
    pub fn lend_operator_key(&self, label: &str) -> Secret {
        let key = random_key();
        self.operators.lent.lock().insert(hex(&hash_client_key(key.expose())), Arc::from(label));
        key
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Option<Secret>>);

    impl SettingStore for Kept {
        fn setting(&self, name: &str) -> BoxFuture<'_, Result<Option<Secret>, StoreError>> {
            assert_eq!(name, OPERATOR_KEYS_SETTING);
            std::future::ready(Ok(self.0.lock().clone())).boxed()
        }
        fn put_setting(&self, _: &str, value: Secret) -> BoxFuture<'_, Result<(), StoreError>> {
            *self.0.lock() = Some(value);
            std::future::ready(Ok(())).boxed()
        }
        fn put_setting_once(&self, _: &str, _: Secret) -> BoxFuture<'_, Result<bool, StoreError>> {
            std::future::ready(Ok(false)).boxed()
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[tokio::test]
    async fn keys_are_made_once_for_a_label_and_only_hashes_are_kept() {
        let store = Kept::default();
        let key = add_operator_key(&store, " deploy ", NOW).await.unwrap();
        assert!(key.expose().starts_with(OPERATOR_KEY_PREFIX) && key.expose().len() == 9 + 43);
        let other = add_operator_key(&store, "ops", NOW).await.unwrap();
        assert_ne!(key, other);
        let taken = add_operator_key(&store, "deploy", NOW).await;
        assert_eq!(taken.unwrap_err(), OperatorKeyError::Taken("deploy".into()));
        assert!(matches!(add_operator_key(&store, " ", NOW).await, Err(OperatorKeyError::Label(_))));
        let text = store.0.lock().clone().unwrap();
        assert!(!text.expose().contains(key.expose()) && !text.expose().contains(OPERATOR_KEY_PREFIX));
        let kept = operator_keys(&store).await.unwrap();
        let labels: Vec<&str> = kept.iter().map(|key| key.label.as_str()).collect();
        assert_eq!(labels, ["deploy", "ops"]);
        assert_eq!(kept[0].hash, hex(&hash_client_key(key.expose())));

        revoke_operator_key(&store, "deploy").await.unwrap();
        let gone = revoke_operator_key(&store, "deploy").await;
        assert_eq!(gone.unwrap_err(), OperatorKeyError::Unknown("deploy".into()));
        assert_eq!(operator_keys(&store).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn there_is_a_most_and_a_broken_list_is_told() {
        let store = Kept::default();
        for number in 0..MAX_OPERATOR_KEYS {
            add_operator_key(&store, &format!("n{number}"), NOW).await.unwrap();
        }
        assert_eq!(add_operator_key(&store, "x", NOW).await.unwrap_err(), OperatorKeyError::TooMany);
        *store.0.lock() = Some(Secret::from("{"));
        assert_eq!(operator_keys(&store).await.unwrap_err(), OperatorKeyError::Unreadable);
    }

    #[test]
    fn somebody_who_guesses_does_not_keep_the_database_busy() {
        let operators = Operators::default();
        assert!(operators.may_look(NOW));
        assert!(!operators.may_look(NOW.plus(LOOK_AGAIN / 2)));
        assert!(operators.may_look(NOW.plus(LOOK_AGAIN)));
        assert!(operators.may_look(NOW), "a clock that was set back closes nothing");
    }
}
