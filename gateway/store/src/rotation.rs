//! What both databases decide alike about the rotation of tokens: whether a claim is granted, what becomes of an account
//! whose tokens were replaced, and the statements that are the same word for word.
//!
//! Refuses: transactions and locks. Each database takes them in its own way before it asks here.

use gateway_core::ports::storage::{Claim, Learned, SeatFit, StoreError};
use gateway_domain::{AccountId, Timestamp};

use crate::keyring::KeyRing;
use crate::learned::{KnownOwner, OwnerRow};
use crate::rows::CredentialRow;

/// Ends any claim on tokens: of an account, of this version.
pub(crate) const END_CLAIM_OF_VERSION: &str = "UPDATE credentials
     SET refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL
     WHERE account_id = $1 AND version = $2";

/// Ends a claim if its holder still has it: nothing changes when it has ended and somebody else's has begun.
pub(crate) const END_CLAIM_OF_HOLDER: &str = "UPDATE credentials
     SET refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL
     WHERE account_id = $1 AND refresh_holder = $2 AND refresh_holder_until = refresh_claimed_until";

/// Writes a claim: until when, by whom, on the tokens of which account.
pub(crate) const WRITE_CLAIM: &str = "UPDATE credentials
     SET refresh_claimed_until = $1, refresh_holder_until = $1, refresh_holder = $2
     WHERE account_id = $3";

/// Puts rotated tokens in the place of those of a version, and ends the claim on them.
pub(crate) const REPLACE_TOKENS: &str = "UPDATE credentials
     SET version = version + 1, tokens = $1, key_id = $2, expires_at = $3, refreshed_at = $4,
         refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL
     WHERE account_id = $5 AND version = $6
     RETURNING version";

/// Who is known to own an account.
pub(crate) const KNOWN_OWNER: &str =
    "SELECT seat, workspace_id, user_id, email, plan FROM accounts WHERE id = $1";

/// Another account with a seat.
pub(crate) const OTHER_WITH_SEAT: &str = "SELECT id FROM accounts WHERE seat = $1 AND id <> $2";

/// Writes what was learned of an owner.
pub(crate) const WRITE_OWNER: &str =
    "UPDATE accounts SET seat = $1, workspace_id = $2, user_id = $3, email = $4, plan = $5 WHERE id = $6";

/// Writes an account's state.
pub(crate) const WRITE_STATE: &str = "UPDATE accounts SET state = $1, state_reason = $2 WHERE id = $3";

/// What a claim on these tokens is answered; a granted one is still to be written. Tokens are opened first: those that
/// nobody can read are not worth holding.
pub(crate) fn claim_on(
    row: CredentialRow,
    keys: &KeyRing,
    id: &AccountId,
    now: Timestamp,
) -> Result<Claim, StoreError> {
    if let Some(until) = row.claimed(now) {
        return Ok(Claim::Busy { until, version: row.version() });
    }
    let (credentials, version) = row.open(keys, id)?;
    Ok(Claim::Granted { credentials, version })
}

/// The owner as it is to be written, or why the tokens do not fit the account.
pub(crate) fn owner_told(known: OwnerRow, learned: Learned) -> Result<KnownOwner, SeatFit> {
    KnownOwner::from(known).fill(learned)
}

/// Whether a seat is free for the account that claims it. An account that looked like another one would be taken for it
/// by the next import.
pub(crate) const fn seat_fit(other: Option<&String>) -> SeatFit {
    match other {
        None => SeatFit::Fits,
        Some(_) => SeatFit::Taken,
    }
}

/// The statement that sets an account's state after its tokens were replaced; it takes the reason and the id. Who else
/// tried the tokens before at the same time may have called them dead; new ones prove otherwise, unless they are not the
/// account's.
pub(crate) const fn state_after(seat: SeatFit) -> &'static str {
    match seat {
        SeatFit::Fits => {
            "UPDATE accounts SET state = 'active', state_reason = $1 WHERE id = $2 AND state = 'sign_in_needed'"
        }
        SeatFit::SomebodyElse | SeatFit::Taken => {
            "UPDATE accounts SET state = 'sign_in_needed', state_reason = $1 WHERE id = $2"
        }
    }
}
