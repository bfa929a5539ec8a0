//! The reader's thread: questions go through a read-only connection of their own, so that a long
//! one delays no commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::mpsc;

use super::store::Store;

/// What the reader's queue holds.
pub(super) enum Query {
    /// A question that carries the place for its answer.
    Ask(Box<dyn FnOnce(&Store) + Send>),
    /// Take nothing more, finish what waits, end.
    Close,
}

/// Answers until [`Query::Close`], or until nobody can ask any more.
pub(super) fn serve(connection: &Store, mut queue: mpsc::Receiver<Query>) {
    while let Some(query) = queue.blocking_recv() {
        match query {
            // A question that panics takes its answer with it; the asker gets a read error.
            Query::Ask(ask) => {
                if catch_unwind(AssertUnwindSafe(|| ask(connection))).is_err() {
                    tracing::error!(event = "ledger-read-panicked");
                }
            }
            Query::Close => queue.close(),
        }
    }
}
