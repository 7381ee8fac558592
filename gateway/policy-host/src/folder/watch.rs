//! A thread that looks at the folder again and again. It ends when its handle is dropped.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Change, PolicyFolder};

/// Between two looks. A change is taken at the second look that finds it: live in half a second.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The watched folder.
#[derive(Debug)]
pub struct FolderWatch {
    folder: Arc<Mutex<PolicyFolder>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PolicyFolder {
    /// Looks every [`POLL_INTERVAL`] on a thread of its own and hands over each change, one after the other.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn watch(
        self,
        interval: Duration,
        on_change: impl FnMut(Change) + Send + 'static,
    ) -> std::io::Result<FolderWatch> {
        let folder = Arc::new(Mutex::new(self));
        let (stop, stopped) = channel::<()>();
        let mut on_change = on_change;
        let watched = Arc::clone(&folder);
        let thread = std::thread::Builder::new().name("policies".to_owned()).spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                // The lock is given back first: who is told may look into the folder.
                let changes = watched.lock().poll();
                changes.into_iter().for_each(&mut on_change);
            }
        })?;
        Ok(FolderWatch { folder, stop: Some(stop), thread: Some(thread) })
    }
}

impl FolderWatch {
    /// The folder, for histories and rollbacks; held for a moment only. It may wait for a look that is going on.
    pub fn with<T>(&self, look: impl FnOnce(&mut PolicyFolder) -> T) -> T {
        look(&mut self.folder.lock())
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nobody can wait for himself: who is told about a change may let go of the watch.
        let others = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        if let Some(thread) = others {
            // It ends at once; a watcher that panicked has nothing to tell any more.
            let _ended = thread.join();
        }
    }
}
