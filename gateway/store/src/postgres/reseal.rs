//! Sealing anew on PostgreSQL.
//!
//! Refuses: knowing what is sealed where (`crate::reseal`), and holding more than one row at a time: it runs beside
//! gateways that serve.

use gateway_core::ports::storage::StoreError;

use super::PostgresStore;
use crate::error::unavailable;
use crate::reseal::{PAGE, PLACES, Replacement, SealedRow, Tally};

impl PostgresStore {
    /// Seals anew what is not sealed under the newest key.
    pub(crate) async fn reseal(&self) -> Result<u64, StoreError> {
        let mut tally = Tally::default();
        for place in PLACES {
            let mut after = Some(String::new());
            while let Some(from) = after {
                let rows: Vec<SealedRow> = sqlx::query_as(place.page)
                    .bind(self.keys.active_id())
                    .bind(from)
                    .bind(PAGE)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(unavailable)?;
                let page = tally.page(&self.keys, place, rows);
                for Replacement { row_id, old, new } in page.replacements {
                    let done = sqlx::query(place.replace)
                        .bind(new.bytes)
                        .bind(new.key_id)
                        .bind(row_id)
                        .bind(old)
                        .execute(&self.pool)
                        .await
                        .map_err(unavailable)?;
                    tally.wrote(done.rows_affected());
                }
                after = page.last;
            }
        }
        tally.result()
    }
}
