//! Opening and sealing of many values, off the threads that serve requests.
//!
//! Refuses: databases; nothing here waits for one.

use gateway_core::ports::storage::StoreError;

/// So few values are opened where they are: it takes less time than to hand them over.
const INLINE: usize = 64;

/// Does the work for `count` values.
pub(crate) async fn offload<T: Send + 'static>(
    count: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    if count <= INLINE {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| StoreError::Unavailable("the gateway is stopping".to_owned()))
}
