//! Waiting for something that happens soon but not at once, within a bound.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The longest that anything which is about to happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks until there is an answer.
///
/// # Errors
/// There is none in time, or asking fails.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    eventually_within(PATIENCE, what, ask).await
}

/// The same for what is known to take longer.
///
/// # Errors
/// There is none in time, or asking fails.
pub async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("did not happen within {patience:?}: {what}")
}
