//! What happens when code panics.
//!
//! A panic in a single call is contained: the call's outcome is unknown, nothing else changes. A
//! panic in an actor or in a drive leaves state that nobody should go on with: the process ends,
//! and the next one recovers from the ledger.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

/// Ends the process, or tells a test that it would have ended.
pub type Fatal = Arc<dyn Fn(String) + Send + Sync>;

/// Runs one outbound call; a panic inside it becomes `on_panic()`.
pub async fn contained<T>(call: impl Future<Output = T>, on_panic: impl FnOnce() -> T) -> T {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(value) => value,
        Err(_) => {
            tracing::error!("a call panicked; its outcome counts as unknown");
            on_panic()
        }
    }
}

/// Lies in an actor's state: calls `fatal` when that state is dropped by a panic.
pub struct Vigil {
    name: &'static str,
    fatal: Fatal,
}

impl Vigil {
    /// Watches over the owner of this name.
    pub fn new(name: &'static str, fatal: Fatal) -> Vigil {
        Vigil { name, fatal }
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.fatal)(format!("{} panicked", self.name));
        }
    }
}
