//! Ids that cannot be swapped for one another. An id is opaque text; only its maker knows its inside.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text was not taken as an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// Which id.
        what: &'static str,
    },
    /// More than [`MAX_ID_BYTES`] bytes were given.
    #[error("{what} is longer than {MAX_ID_BYTES} bytes")]
    TooLong {
        /// Which id.
        what: &'static str,
    },
    /// A control character was given; ids end up in headers and logs.
    #[error("{what} holds a control character")]
    ControlCharacter {
        /// Which id.
        what: &'static str,
    },
}

/// The longest id taken from outside, in bytes.
pub const MAX_ID_BYTES: usize = 256;

fn check(what: &'static str, raw: &str) -> Result<Arc<str>, IdError> {
    if raw.is_empty() {
        return Err(IdError::Empty { what });
    }
    if raw.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { what });
    }
    if raw.chars().any(char::is_control) {
        return Err(IdError::ControlCharacter { what });
    }
    Ok(Arc::from(raw))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text from outside after checking its length and characters.
            ///
            /// # Errors
            /// The text is empty, too long, or holds a control character.
            pub fn parse(raw: &str) -> Result<Self, IdError> {
                check($what, raw).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, for whoever keeps it.
            #[must_use]
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = String::deserialize(deserializer)?;
                Self::parse(&raw).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id! {
    /// One upstream account. Made by the store's owner, sorts by creation.
    AccountId, "account id"
}
text_id! {
    /// One key we handed out.
    ClientKeyId, "client key id"
}
text_id! {
    /// One egress proxy.
    ProxyId, "proxy id"
}
text_id! {
    /// One request to the public API, unique for ever; the handle to its decision record.
    RequestId, "request id"
}
text_id! {
    /// A model as somebody names it: the client, a mapping or the upstream.
    ModelName, "model"
}
text_id! {
    /// What ties requests to one conversation (`prompt_cache_key`, `session-id`); the soft affinity key.
    SessionKey, "session key"
}

macro_rules! generated_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// A new id from the time and fresh entropy (UUID version 7, so that ids sort by time).
            #[must_use]
            pub fn generate() -> Self {
                let mut text = String::with_capacity($prefix.len() + 32);
                text.push_str($prefix);
                text.push_str(uuid::Uuid::now_v7().simple().encode_lower(&mut [0; 32]));
                Self(Arc::from(text))
            }
        }
    };
}
generated_id!(AccountId, "acc_");
generated_id!(ClientKeyId, "key_");
generated_id!(ProxyId, "prx_");
generated_id!(RequestId, "req_");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_break_a_header_or_a_log_line() {
        for (raw, why) in [("", "empty"), ("a\nb", "control"), (&"x".repeat(257) as &str, "longer")] {
            let refused = ModelName::parse(raw).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
        assert_eq!(ModelName::parse("gpt-5.5").unwrap().as_str(), "gpt-5.5");
    }

    #[test]
    fn generated_ids_differ_and_sort_by_time() {
        let ids: Vec<RequestId> = (0..100).map(|_| RequestId::generate()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
