//! Sealing anew what was sealed under an older key, so that the older key can leave the key file.
//!
//! A value is replaced only while it is still the one that was read: whoever wrote a newer one meanwhile sealed it
//! under the active key already. The statements are the same on both databases.
//!
//! Refuses: touching what does not open. It stays as it is and is counted, so that nobody removes its key believing
//! that all is done.

use gateway_core::ports::storage::StoreError;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::keyring::KeyRing;
use crate::seal::{Sealed, Slot, seal, unseal};

/// Values read, and replaced, at once. A writer that waits for them waits for no more than these.
pub(crate) const PAGE: i64 = 200;

/// A column of sealed values.
pub(crate) struct Place {
    slot: for<'a> fn(&'a str) -> Slot<'a>,
    /// Rows after `$2` that are not sealed under the key `$1`, at most `$3`.
    pub(crate) page: &'static str,
    /// Replaces the value `$4` of the row `$3` by `$1`, sealed under `$2`.
    pub(crate) replace: &'static str,
}

macro_rules! place {
    ($slot:expr, $table:literal, $row:literal, $value:literal, $key:literal) => {
        Place {
            slot: $slot,
            page: concat!(
                "SELECT ",
                $row,
                " AS row_id, ",
                $value,
                " AS sealed, ",
                $key,
                " AS key_id FROM ",
                $table,
                " WHERE ",
                $key,
                " <> $1 AND ",
                $row,
                " > $2 ORDER BY ",
                $row,
                " LIMIT $3"
            ),
            replace: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $value,
                " = $1, ",
                $key,
                " = $2 WHERE ",
                $row,
                " = $3 AND ",
                $value,
                " = $4"
            ),
        }
    };
}

/// Every column of sealed values there is.
pub(crate) const PLACES: &[Place] = &[
    place!(Slot::tokens, "credentials", "account_id", "tokens", "key_id"),
    place!(Slot::account_settings, "accounts", "id", "settings", "settings_key_id"),
    place!(Slot::proxy, "proxies", "id", "url", "key_id"),
    place!(Slot::setting, "settings", "name", "value", "key_id"),
];

/// A sealed value and the row it is in.
pub(crate) struct SealedRow {
    row_id: String,
    sealed: Vec<u8>,
    key_id: String,
}

impl<'r, R: Row> FromRow<'r, R> for SealedRow
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            row_id: row.try_get("row_id")?,
            sealed: row.try_get("sealed")?,
            key_id: row.try_get("key_id")?,
        })
    }
}

/// One value sealed anew.
pub(crate) struct Replacement {
    pub(crate) row_id: String,
    pub(crate) old: Vec<u8>,
    pub(crate) new: Sealed,
}

/// What came of it so far.
#[derive(Default)]
pub(crate) struct Tally {
    replaced: u64,
    left: u64,
    why: Option<StoreError>,
}

/// The row that a page ended with, and what to write for it.
pub(crate) struct Page {
    /// Where the next page begins; `None` after the last one.
    pub(crate) last: Option<String>,
    pub(crate) replacements: Vec<Replacement>,
}

impl Tally {
    /// Seals a page of rows anew.
    pub(crate) fn page(&mut self, keys: &KeyRing, place: &Place, rows: Vec<SealedRow>) -> Page {
        let last = rows.last().map(|row| row.row_id.clone());
        let mut replacements = Vec::with_capacity(rows.len());
        for SealedRow { row_id, sealed, key_id } in rows {
            let old = Sealed { bytes: sealed, key_id };
            let slot = (place.slot)(&row_id);
            match unseal(keys, slot, &old).and_then(|plain| seal(keys, slot, &plain)) {
                Ok(new) => replacements.push(Replacement { old: old.bytes, new, row_id }),
                Err(error) => {
                    self.left = self.left.saturating_add(1);
                    self.why.get_or_insert(error);
                }
            }
        }
        Page { last, replacements }
    }

    /// Counts rows that were written.
    pub(crate) fn wrote(&mut self, rows: u64) {
        self.replaced = self.replaced.saturating_add(rows);
    }

    /// How many were sealed anew, or that some could not be.
    pub(crate) fn result(self) -> Result<u64, StoreError> {
        let Self { replaced, left, why } = self;
        match why {
            None => Ok(replaced),
            Some(why) => Err(StoreError::Sealed(format!(
                "{replaced} values were sealed under the newest key, {left} stay as they are; the first of them: \
                 {why}"
            ))),
        }
    }
}
