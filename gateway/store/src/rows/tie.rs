//! Rows of what ties conversations to accounts.
//!
//! Refuses: SQL, and knowing what a digest stands for.

use gateway_core::ports::storage::{StoreError, TieRecord};
use gateway_domain::{AccountId, Timestamp};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::error::unreadable;

row! {
    /// One of `ties`, without who saved it and when.
    TieRow {
        kind: i64,
        digest: Vec<u8>,
        account_id: String,
        used_at: i64,
        kept_until: i64,
        served_at: Option<i64>,
        body_bytes: i64,
        hits: Option<f64>,
    }
}

/// A batch as it is written: in the order of keys (two writers that lock in the same order never wait for one another in
/// a circle), each key once, the one used last kept.
pub(crate) fn tie_rows(ties: Vec<TieRecord>) -> Vec<TieRow> {
    let mut ties = ties;
    let key = |tie: &TieRecord| (tie.kind, tie.digest);
    ties.sort_by(|a, b| key(a).cmp(&key(b)).then(b.used_at.cmp(&a.used_at)));
    ties.dedup_by(|later, kept| key(later) == key(kept));
    ties.iter().map(TieRow::new).collect()
}

impl TieRow {
    fn new(tie: &TieRecord) -> Self {
        Self {
            kind: i64::from(tie.kind),
            digest: tie.digest.to_vec(),
            account_id: tie.account.as_str().to_owned(),
            used_at: tie.used_at.as_millis(),
            kept_until: tie.kept_until.as_millis(),
            served_at: tie.served_at.map(Timestamp::as_millis),
            body_bytes: i64::from(tie.body_bytes),
            hits: tie.hits,
        }
    }

    /// The tie.
    pub(crate) fn record(self) -> Result<TieRecord, StoreError> {
        let odd = || unreadable("a tie");
        Ok(TieRecord {
            kind: u8::try_from(self.kind).map_err(|_| odd())?,
            digest: self.digest.try_into().map_err(|_| odd())?,
            account: AccountId::parse(&self.account_id).map_err(|_| odd())?,
            used_at: Timestamp::from_millis(self.used_at),
            kept_until: Timestamp::from_millis(self.kept_until),
            served_at: self.served_at.map(Timestamp::from_millis),
            body_bytes: u32::try_from(self.body_bytes).map_err(|_| odd())?,
            hits: self.hits,
        })
    }
}
