//! What ties a request to an account, and for how long that is remembered.
//!
//! A key never shows what the client sent: it is a digest of the kind, the client and the value. The client is part of
//! it, so one client's ids never lead to another client's account.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// State that only one account has: nobody else can continue there. The first kind weighs most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HardTie {
    /// `previous_response_id`.
    Response,
    /// A stored conversation.
    Conversation,
    /// A history that was compacted into something which only the account that wrote it can read.
    Compaction,
    /// The turn state that the upstream handed out.
    TurnState,
    /// Reasoning that only the account which wrote it can read.
    Reasoning,
    /// An uploaded file.
    File,
}

impl HardTie {
    /// Whether the rest of a request is whole without it: it is left behind when its owner cannot serve, and the request
    /// goes on elsewhere.
    #[must_use]
    pub const fn can_be_left(self) -> bool {
        matches!(self, Self::TurnState | Self::Reasoning)
    }

    /// Whether only its maker ever has it. Who goes on with a response has the response; who serves a request that
    /// holds somebody's sealed reasoning still cannot read it.
    pub(super) const fn stays_with_its_maker(self) -> bool {
        matches!(self, Self::Compaction | Self::TurnState | Self::Reasoning)
    }
}

/// A prompt cache that lives at one account: others can serve, at a price. The first kind weighs most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SoftTie {
    /// A thread.
    Thread,
    /// A session.
    Session,
    /// A `prompt_cache_key`.
    PromptCache,
}

/// What ties a request to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tie {
    /// Only the owner can serve.
    Hard(HardTie),
    /// The owner serves cheaper.
    Soft(SoftTie),
}

impl Tie {
    /// How long after its last use it still counts. Providers keep stored responses, conversations and files for 30
    /// days; a turn state and encrypted reasoning matter while somebody works. Soft ties outlive the prompt cache
    /// itself (see [`super::price`]) by so much that a pause does not scatter a conversation, and no more: without an
    /// end, accounts that are chosen once would be chosen for ever.
    #[must_use]
    pub const fn kept_for(self) -> Duration {
        match self {
            Self::Hard(HardTie::Response | HardTie::Conversation | HardTie::Compaction | HardTie::File) => {
                DAY.saturating_mul(30)
            }
            Self::Hard(HardTie::TurnState | HardTie::Reasoning) => DAY,
            Self::Soft(SoftTie::Session) => HOUR,
            Self::Soft(SoftTie::Thread | SoftTie::PromptCache) => MINUTE.saturating_mul(30),
        }
    }

    /// What stands for it where ties are stored. A number is never given to another kind.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Hard(HardTie::Response) => 1,
            Self::Hard(HardTie::Conversation) => 2,
            Self::Hard(HardTie::TurnState) => 3,
            Self::Hard(HardTie::Reasoning) => 4,
            Self::Hard(HardTie::File) => 5,
            Self::Hard(HardTie::Compaction) => 6,
            Self::Soft(SoftTie::Thread) => 17,
            Self::Soft(SoftTie::Session) => 18,
            Self::Soft(SoftTie::PromptCache) => 19,
        }
    }

    /// What a stored number stands for; `None` when a newer version stored it.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        const ALL: [Tie; 9] = [
            Tie::Hard(HardTie::Response),
            Tie::Hard(HardTie::Conversation),
            Tie::Hard(HardTie::TurnState),
            Tie::Hard(HardTie::Reasoning),
            Tie::Hard(HardTie::File),
            Tie::Hard(HardTie::Compaction),
            Tie::Soft(SoftTie::Thread),
            Tie::Soft(SoftTie::Session),
            Tie::Soft(SoftTie::PromptCache),
        ];
        ALL.into_iter().find(|tie| tie.code() == code)
    }

    /// For people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hard(HardTie::Response) => "previous response",
            Self::Hard(HardTie::Conversation) => "conversation",
            Self::Hard(HardTie::Compaction) => "compacted history",
            Self::Hard(HardTie::TurnState) => "turn state",
            Self::Hard(HardTie::Reasoning) => "encrypted reasoning",
            Self::Hard(HardTie::File) => "file",
            Self::Soft(SoftTie::Thread) => "thread",
            Self::Soft(SoftTie::Session) => "session",
            Self::Soft(SoftTie::PromptCache) => "prompt cache key",
        }
    }
}

/// One tie of one client. Small and `Copy`, whatever the client sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TieKey {
    tie: Tie,
    digest: [u64; 2],
}

impl TieKey {
    /// The key of a value that `client` sent or got. `None` for a blank value, which ties nothing.
    #[must_use]
    pub fn new(tie: Tie, client: &str, value: &str) -> Option<Self> {
        if value.trim().is_empty() {
            return None;
        }
        // Two independent halves: at 64 bits, strangers would meet now and then.
        let digest = [0_u8, 1].map(|half| {
            let mut hasher = DefaultHasher::new();
            (half, tie, client, value).hash(&mut hasher);
            hasher.finish()
        });
        Some(Self { tie, digest })
    }

    /// Which kind of tie.
    #[must_use]
    pub const fn tie(self) -> Tie {
        self.tie
    }

    /// What stands for client and value where ties are stored. Another toolchain may digest in another way: what was
    /// stored then is met by nobody, and ends by its age.
    #[must_use]
    pub fn digest(self) -> [u8; 16] {
        let [first, second] = self.digest;
        ((u128::from(first) << 64) | u128::from(second)).to_be_bytes()
    }

    /// The key that was stored like this.
    #[must_use]
    pub fn stored(tie: Tie, digest: [u8; 16]) -> Self {
        let whole = u128::from_be_bytes(digest);
        let half = |part: u128| u64::try_from(part & u128::from(u64::MAX)).unwrap_or_default();
        Self { tie, digest: [half(whole >> 64), half(whole)] }
    }
}

impl Hash for TieKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Half of a digest spreads well enough; equality looks at all of it.
        let [half, _] = self.digest;
        state.write_u64(half);
    }
}

impl fmt::Debug for TieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, _] = self.digest;
        write!(f, "TieKey({} {half:016x})", self.tie.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_kind_client_and_value_and_hide_all_three() {
        let key = |tie, client, value| TieKey::new(tie, client, value).unwrap();
        let response = Tie::Hard(HardTie::Response);
        let mine = key(response, "ada", "resp_1");
        assert_eq!(mine, key(response, "ada", "resp_1"));
        for other in [
            key(response, "ada", "resp_2"),
            key(response, "bob", "resp_1"),
            key(Tie::Soft(SoftTie::Session), "ada", "resp_1"),
            key(response, "adar", "esp_1"),
        ] {
            assert_ne!(mine, other);
        }
        assert!(!format!("{mine:?}").contains("resp_1"));
        assert_eq!(TieKey::stored(mine.tie(), mine.digest()), mine);
        for code in 0..=u8::MAX {
            assert!(Tie::of_code(code).is_none_or(|tie| tie.code() == code));
        }
        assert_eq!(Tie::of_code(response.code()), Some(response));
        assert_eq!((0..=u8::MAX).filter_map(Tie::of_code).count(), 9);
        assert_eq!(TieKey::new(response, "ada", " "), None);
    }
}
