//! Group commit: whatever waits goes into one transaction and is answered after its COMMIT.
//!
//! A refusal (conflict, key taken) concerns one operation alone. A full disk undoes the whole
//! group and leaves the store fit for the next. Any other failure means that nobody can say what
//! is on the disk: the writer answers `Closed` from then on and calls the `fatal` hook.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot};

use super::Fatal;
use super::audit::{self, Entry};
use super::erasure::{self, Removal};
use super::recent::Recent;
use super::replies::{self, ReplyEntry};
use super::store::Store;
use super::write::{self, Sweep};
use crate::ledger::{CommitError, Committed, Transition};

/// One thing asked of the writer, with the place for its answer.
pub(super) struct Job<W, T> {
    work: W,
    reply: oneshot::Sender<Result<T, CommitError>>,
    outcome: Result<T, CommitError>,
}

impl<W, T> Job<W, T> {
    pub(super) fn new(work: W) -> (Job<W, T>, oneshot::Receiver<Result<T, CommitError>>) {
        let (reply, answer) = oneshot::channel();
        (Job { work, reply, outcome: Err(CommitError::Closed) }, answer)
    }

    // Nobody may be waiting any more; what was committed stays committed.
    fn answer(self, failure: Option<&CommitError>) {
        let _ = self.reply.send(failure.map_or(self.outcome, |error| Err(error.clone())));
    }
}

/// What the writer's queue holds.
pub(super) enum Operation {
    Commit(Job<Vec<Transition>, Vec<Committed>>),
    Sweep(Job<Sweep, u64>),
    Audit(Job<Entry, u64>),
    Reply(Job<ReplyEntry, u64>),
    Remove(Job<Removal, u64>),
    /// Take nothing more, finish what waits, end.
    Close,
}

impl Operation {
    fn perform(&mut self, connection: &Store) -> rusqlite::Result<()> {
        match self {
            Operation::Commit(job) => job.outcome = write::apply(connection, &job.work)?,
            Operation::Sweep(job) => job.outcome = Ok(write::sweep(connection, job.work)?),
            Operation::Audit(job) => job.outcome = Ok(audit::write(connection, &job.work)?),
            Operation::Reply(job) => job.outcome = Ok(replies::write(connection, &job.work)?),
            Operation::Remove(job) => job.outcome = Ok(erasure::write(connection, &job.work)?),
            Operation::Close => {}
        }
        Ok(())
    }

    /// Whether rows went that are to leave the log as well.
    fn deletes(&self) -> bool {
        match self {
            Operation::Sweep(_) => true,
            Operation::Remove(job) => matches!(&job.outcome, Ok(removed) if *removed > 0),
            Operation::Reply(job) => job.work.expires() && matches!(&job.outcome, Ok(1..)),
            Operation::Commit(_) | Operation::Audit(_) | Operation::Close => false,
        }
    }

    /// Makes known to `recent` what was committed.
    fn remember(&mut self, recent: &Recent) {
        match self {
            Operation::Commit(Job { work, outcome: Ok(committed), .. }) => {
                recent.committed(std::mem::take(work), committed);
            }
            Operation::Sweep(_) | Operation::Remove(_) => recent.forget(),
            Operation::Commit(_) | Operation::Audit(_) | Operation::Reply(_) | Operation::Close => {
            }
        }
    }

    fn answer(self, failure: Option<&CommitError>) {
        match self {
            Operation::Commit(job) => job.answer(failure),
            Operation::Sweep(job) => job.answer(failure),
            Operation::Audit(job) => job.answer(failure),
            Operation::Reply(job) => job.answer(failure),
            Operation::Remove(job) => job.answer(failure),
            Operation::Close => {}
        }
    }
}

/// The only connection that writes.
pub(super) struct Writer {
    connection: Store,
    fatal: Fatal,
    recent: Arc<Recent>,
    broken: bool,
}

impl Writer {
    /// A writer that tells `recent` what it has committed.
    pub(super) fn new(connection: Store, fatal: Fatal, recent: Arc<Recent>) -> Writer {
        Writer { connection, fatal, recent, broken: false }
    }

    /// The connection, for a ledger that reads through its writer.
    pub(super) fn connection(&self) -> &Store {
        &self.connection
    }

    /// Performs the operations in one transaction, then answers each of them.
    pub(super) fn perform(&mut self, group: &mut Vec<Operation>) {
        let failure = match self.broken {
            true => Some(CommitError::Closed),
            false => self.transact(group).err().map(|error| self.judge(&error)),
        };
        let swept = group.iter().any(Operation::deletes);
        for mut operation in group.drain(..) {
            if failure.is_none() {
                operation.remember(&self.recent);
            }
            operation.answer(failure.as_ref());
        }
        if swept && failure.is_none() {
            self.erase_log();
        }
    }

    fn transact(&self, group: &mut [Operation]) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for operation in group {
            operation.perform(&self.connection)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Undoes the group and says what its failure means for every operation in it.
    fn judge(&mut self, error: &rusqlite::Error) -> CommitError {
        // SQLite may have rolled back by itself.
        let undone =
            self.connection.is_autocommit() || self.connection.execute_batch("ROLLBACK").is_ok();
        // SQLite reports ENOSPC of a write as SQLITE_FULL; without its commit frame in the log
        // nothing of the group exists. Any other I/O error leaves that open.
        if undone && error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            tracing::warn!(event = "ledger-full", %error);
            return CommitError::StorageFull;
        }
        self.broken = true;
        (self.fatal)(format!("a commit of the ledger failed: {error}"));
        CommitError::Closed
    }

    /// Rows that are overwritten in the file still stand in the write-ahead log; with a sweep they
    /// leave that as well. A reader may be in the way: then the next sweep does it.
    fn erase_log(&self) {
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(event = "ledger-checkpoint-failed", %error);
        }
    }
}

/// The writer's thread: ends at [`Operation::Close`] or when nobody can ask any more. The lock is
/// held until the connection is closed.
pub(super) fn serve(
    mut writer: Writer,
    mut queue: mpsc::Receiver<Operation>,
    group_max: usize,
    lock: File,
) {
    let fatal = writer.fatal.clone();
    let served = catch_unwind(AssertUnwindSafe(move || {
        let mut group = Vec::with_capacity(group_max);
        while queue.blocking_recv_many(&mut group, group_max) > 0 {
            if group.iter().any(|operation| matches!(operation, Operation::Close)) {
                queue.close();
            }
            writer.perform(&mut group);
        }
        if !writer.broken {
            writer.erase_log();
        }
    }));
    drop(lock);
    if served.is_err() {
        fatal("the ledger's writer panicked".to_owned());
    }
}
