//! Where each conversation was served last: the soft tie, its prompt cache lives there.
//!
//! Bounded without a clock: two generations of a map. The younger takes writes; when it is full it becomes the
//! elder and the old elder is forgotten. A conversation that is used moves back to the younger.

use std::collections::HashMap;

use gateway_domain::SessionKey;

use crate::AccountRef;

/// Conversations remembered in each of the two generations.
pub const MAX_SESSIONS_PER_GENERATION: usize = 16_384;

/// Remembers which account served which conversation.
#[derive(Debug, Default)]
pub struct Affinity {
    younger: HashMap<SessionKey, AccountRef>,
    elder: HashMap<SessionKey, AccountRef>,
}

impl Affinity {
    /// Who served this conversation last.
    #[must_use]
    pub fn owner(&self, session: &SessionKey) -> Option<AccountRef> {
        self.younger.get(session).or_else(|| self.elder.get(session)).copied()
    }

    /// Notes who serves it now.
    pub fn bind(&mut self, session: SessionKey, account: AccountRef) {
        if self.younger.len() >= MAX_SESSIONS_PER_GENERATION && !self.younger.contains_key(&session) {
            self.elder = std::mem::take(&mut self.younger);
        }
        self.younger.insert(session, account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_conversation_outlives_a_flood_of_others() {
        let mut affinity = Affinity::default();
        let mine = SessionKey::parse("mine").unwrap();
        affinity.bind(mine.clone(), AccountRef(7));
        for flood in 0..3 * MAX_SESSIONS_PER_GENERATION {
            affinity.bind(SessionKey::parse(&format!("s{flood}")).unwrap(), AccountRef(1));
            if flood % 1000 == 0 {
                affinity.bind(mine.clone(), AccountRef(7));
            }
        }
        assert_eq!(affinity.owner(&mine), Some(AccountRef(7)));
        assert!(affinity.younger.len() <= MAX_SESSIONS_PER_GENERATION);
        assert!(affinity.elder.len() <= MAX_SESSIONS_PER_GENERATION);
    }
}
