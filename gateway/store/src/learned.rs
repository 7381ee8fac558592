//! What rotated tokens tell about their owner, beside what was known.
//!
//! Refuses: replacing a workspace or user that is known. A workspace that was named outright at import may well differ
//! from the one in the tokens: one sign-in can open several. A user cannot.

use gateway_core::ports::storage::{Learned, SeatFit};
use gateway_domain::AccountIdentity;

use crate::naming::storable;

/// The owner of an account as its row has it, and as it will.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownOwner {
    pub(crate) seat: Option<String>,
    pub(crate) workspace_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) plan: Option<String>,
}

/// Its columns, in the order of the fields.
pub(crate) type OwnerRow = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);

impl From<OwnerRow> for KnownOwner {
    fn from((seat, workspace_id, user_id, email, plan): OwnerRow) -> Self {
        Self { seat, workspace_id, user_id, email, plan }
    }
}

impl KnownOwner {
    /// Fills in what was not known.
    ///
    /// # Errors
    /// The tokens are somebody else's.
    pub(crate) fn fill(self, learned: Learned) -> Result<Self, SeatFit> {
        let clean = |text: Option<String>| text.map(|text| storable(&text).into_owned());
        let told = learned.identity;
        let (workspace, user, email) = (clean(told.workspace_id), clean(told.user_id), clean(told.email));
        if let (Some(known), Some(told)) = (&self.user_id, &user)
            && known != told
        {
            return Err(SeatFit::SomebodyElse);
        }
        let mut filled = Self {
            seat: self.seat,
            workspace_id: self.workspace_id.or(workspace),
            user_id: self.user_id.or(user),
            email: self.email.or(email),
            plan: self.plan.or_else(|| clean(learned.plan)),
        };
        if filled.seat.is_none() {
            let identity = AccountIdentity {
                workspace_id: filled.workspace_id.clone(),
                user_id: filled.user_id.clone(),
                email: filled.email.clone(),
            };
            filled.seat = identity.seat();
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(workspace: Option<&str>, user: Option<&str>) -> Learned {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Learned {
            identity: AccountIdentity {
                workspace_id: owned(workspace),
                user_id: owned(user),
                email: Some("ann@example.test".into()),
            },
            plan: Some("pro".into()),
        }
    }

    fn known(workspace: Option<&str>, user: Option<&str>) -> KnownOwner {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        KnownOwner { workspace_id: owned(workspace), user_id: owned(user), ..KnownOwner::default() }
    }

    #[test]
    fn what_was_known_stays_and_the_rest_is_filled_in() {
        type Pair<'a> = (Option<&'a str>, Option<&'a str>);
        type Case<'a> = (Pair<'a>, Pair<'a>, Result<Option<&'a str>, SeatFit>);
        let cases: [Case<'_>; 6] = [
            ((None, None), (Some("w"), Some("u")), Ok(Some("w/u"))),
            ((None, None), (None, None), Ok(None)),
            ((None, None), (Some("w"), None), Ok(Some("w/ann@example.test"))),
            // Named outright at import: the tokens' own workspace does not replace it.
            ((Some("named"), None), (Some("w"), Some("u")), Ok(Some("named/u"))),
            ((Some("w"), Some("u")), (Some("w"), Some("u")), Ok(Some("w/u"))),
            ((Some("w"), Some("u")), (Some("w"), Some("other")), Err(SeatFit::SomebodyElse)),
        ];
        for (before, told, expect) in cases {
            let filled = known(before.0, before.1).fill(learned(told.0, told.1));
            assert_eq!(filled.map(|owner| owner.seat), expect.map(|seat| seat.map(str::to_owned)));
        }
        let seated = KnownOwner { seat: Some("w/u".into()), ..known(Some("w"), Some("u")) };
        assert_eq!(seated.fill(learned(None, None)).unwrap().seat.as_deref(), Some("w/u"));
    }
}
