//! Sealing anew on SQLite.
//!
//! Refuses: knowing what is sealed where (`crate::reseal`).

use gateway_core::ports::storage::StoreError;

use super::SqliteStore;
use crate::error::unavailable;
use crate::reseal::{PAGE, PLACES, Replacement, SealedRow, Tally};

impl SqliteStore {
    /// Seals anew what is not sealed under the newest key. A page at a time, so that others can write in between.
    pub(crate) async fn reseal(&self) -> Result<u64, StoreError> {
        let mut tally = Tally::default();
        for place in PLACES {
            let mut after = Some(String::new());
            while let Some(from) = after {
                let rows: Vec<SealedRow> = sqlx::query_as(place.page)
                    .bind(self.keys.active_id())
                    .bind(from)
                    .bind(PAGE)
                    .fetch_all(&self.readers)
                    .await
                    .map_err(unavailable)?;
                let page = tally.page(&self.keys, place, rows);
                tally.wrote(self.replace(place.replace, page.replacements).await?);
                after = page.last;
            }
        }
        tally.result()
    }

    async fn replace(&self, sql: &'static str, replacements: Vec<Replacement>) -> Result<u64, StoreError> {
        if replacements.is_empty() {
            return Ok(0);
        }
        let mut written = 0_u64;
        let mut tx = self.write().await?;
        for Replacement { row_id, old, new } in replacements {
            let done = sqlx::query(sql)
                .bind(new.bytes)
                .bind(new.key_id)
                .bind(row_id)
                .bind(old)
                .execute(&mut *tx)
                .await
                .map_err(unavailable)?;
            written = written.saturating_add(done.rows_affected());
        }
        tx.commit().await.map_err(unavailable)?;
        Ok(written)
    }
}
