//! The ledger in SQLite: one file, one writer with group commit, one reader.
//!
//! - `schema`: tables, settings, migrations · `directory`: rights and the lock
//! - `rows`, `seal`, `store`: records as rows · `words`: what is to leave without a trace ·
//!   `write`, `read`: the statements
//! - `writer`, `reader`: the threads that run them · `recent`: the records committed last
//!
//! Limits: at most `queue_max` commits and as many questions wait; whoever comes then waits for a
//! place. A commit or question is handed over when its future is first polled: dropped before
//! that it never happens, dropped later it happens unseen.

mod audit;
mod directory;
mod erasure;
mod read;
mod reader;
mod recent;
mod replies;
mod rows;
mod schema;
mod seal;
mod store;
mod words;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::{
    AfterDue, CommitError, Committed, DueCopy, HistoryRow, KeyHolder, Ledger, OpenError, ReadError,
    Totals, Transition,
};
use crate::domain::{Lane, MessageId, Principal, Record, UnixMs};
use crate::sealing::Sealer;
use directory::Claim;
pub use directory::is_same;
use reader::Query;
use recent::Recent;
use schema::Unfit;
use store::Store;
use write::Sweep;
use writer::{Job, Operation, Writer};

/// What is called, with the reason, when the ledger can no longer be trusted.
pub type Fatal = Arc<dyn Fn(String) + Send + Sync>;

/// How the SQLite ledger is run.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Commits that may wait for the writer, and questions for the reader.
    pub queue_max: usize,
    /// Commits that go into one transaction.
    pub group_max: usize,
    /// Pages of 4 KiB in the write-ahead log at which they are copied into the file.
    pub wal_autocheckpoint_pages: u32,
    /// How long to wait for another program (a backup, an operator's shell) to let go of the file.
    pub busy_timeout_ms: u32,
    /// Page cache of each of the two connections, in KiB.
    pub cache_kib: u32,
    /// Largest file in pages of 4 KiB; at it, commits are refused with `StorageFull`.
    pub pages_max: Option<u32>,
    /// Records committed last that are also kept in memory, for [`Ledger::find`].
    pub recent_max: usize,
    /// What confidential values are sealed with; `None`: they are left as they are.
    pub sealer: Option<Arc<Sealer>>,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions {
            queue_max: 4096,
            group_max: 1024,
            wal_autocheckpoint_pages: 4000,
            busy_timeout_ms: 5000,
            cache_kib: 8192,
            pages_max: None,
            recent_max: 256,
            sealer: None,
        }
    }
}

/// A [`Ledger`] in one SQLite file, or in memory for simulations.
pub struct SqliteLedger {
    engine: Engine,
    directory: Option<PathBuf>,
    recent: Arc<Recent>,
}

enum Engine {
    /// A file, served by two threads.
    Threads { writes: mpsc::Sender<Operation>, reads: mpsc::Sender<Query>, running: Running },
    /// Memory: every operation runs at the call, and its future is ready at once.
    Inline(Arc<Mutex<Writer>>),
}

struct Running {
    writer: Mutex<Option<JoinHandle<()>>>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteLedger {
    /// Opens or makes the ledger file and locks its directory against other processes. `fatal` is
    /// called at most once, from the writer's thread, when a commit failed in a way that leaves
    /// open what is on the disk.
    pub fn open(
        path: &Path,
        options: SqliteOptions,
        fatal: Fatal,
    ) -> Result<SqliteLedger, OpenError> {
        let Claim { lock, directory } = directory::claim(path)?;
        let failed = |reason: String| OpenError::Failed { path: path.to_path_buf(), reason };
        let mut connection = Connection::open(path).map_err(|error| failed(error.to_string()))?;
        prepare(&mut connection, &options, false).map_err(|unfit| refuse(path, &unfit))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reading = Connection::open_with_flags(path, flags)
            .and_then(|reading| {
                reading.busy_timeout(Duration::from_millis(options.busy_timeout_ms.into()))?;
                reading.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
                schema::plan_once(&reading)?;
                Ok(reading)
            })
            .map_err(|error| failed(error.to_string()))?;

        let sealer = options.sealer.unwrap_or_else(|| Arc::new(Sealer::plain()));
        let reading = Store::new(reading, Arc::clone(&sealer));
        let (writes, write_queue) = mpsc::channel(options.queue_max);
        let (reads, read_queue) = mpsc::channel(options.queue_max);
        let recent = Recent::new(options.recent_max);
        let store = Store::new(connection, sealer);
        let writer = Writer::new(store, fatal, Arc::clone(&recent));
        let writer = std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || writer::serve(writer, write_queue, options.group_max, lock))
            .map_err(|error| failed(error.to_string()))?;
        let reader = std::thread::Builder::new()
            .name("ledger-reader".to_owned())
            .spawn(move || reader::serve(&reading, read_queue))
            .map_err(|error| failed(error.to_string()))?;
        let running =
            Running { writer: Mutex::new(Some(writer)), reader: Mutex::new(Some(reader)) };
        let (engine, directory) = (Engine::Threads { writes, reads, running }, Some(directory));
        Ok(SqliteLedger { engine, directory, recent })
    }

    /// The same statements in memory, without threads, for simulations with a paused clock.
    pub fn in_memory(fatal: Fatal) -> Result<SqliteLedger, OpenError> {
        let path = Path::new(":memory:");
        let mut connection = Connection::open_in_memory()
            .map_err(|error| OpenError::Failed { path: path.into(), reason: error.to_string() })?;
        prepare(&mut connection, &SqliteOptions::default(), true)
            .map_err(|unfit| refuse(path, &unfit))?;
        // A simulation is there for the rows.
        let recent = Recent::new(0);
        let store = Store::new(connection, Arc::new(Sealer::plain()));
        let writer = Writer::new(store, fatal, Arc::clone(&recent));
        let engine = Engine::Inline(Arc::new(Mutex::new(writer)));
        Ok(SqliteLedger { engine, directory: None, recent })
    }

    /// Whether it is this directory that is locked for the ledger: who else in this process wants
    /// it for itself has it already.
    pub fn has_locked(&self, directory: &Path) -> bool {
        self.directory.as_deref().is_some_and(|ours| is_same(ours, directory))
    }

    /// Commits what waits, moves the write-ahead log into the file, ends the threads and releases
    /// the lock. Blocks meanwhile. Later commits are refused with `Closed`, later questions with
    /// a read error. Calling it again does nothing.
    pub fn close(&self) {
        let Engine::Threads { writes, reads, running } = &self.engine else { return };
        // The reader first: the log cannot be emptied while somebody reads.
        send_blocking(reads, Query::Close);
        join(&running.reader);
        self.recent.forget();
        send_blocking(writes, Operation::Close);
        join(&running.writer);
    }

    fn write<W, T>(
        &self,
        work: W,
        operation: fn(Job<W, T>) -> Operation,
    ) -> BoxFuture<'static, Result<T, CommitError>>
    where
        W: Send + 'static,
        T: Send + 'static,
    {
        let (job, answer) = Job::new(work);
        let operation = operation(job);
        match &self.engine {
            Engine::Threads { writes, .. } => {
                let writes = writes.clone();
                async move {
                    writes.send(operation).await.map_err(|_| CommitError::Closed)?;
                    answer.await.unwrap_or(Err(CommitError::Closed))
                }
                .boxed()
            }
            Engine::Inline(writer) => {
                locked(writer).perform(&mut vec![operation]);
                answer.map(|answer| answer.unwrap_or(Err(CommitError::Closed))).boxed()
            }
        }
    }

    fn read<T>(
        &self,
        question: impl FnOnce(&Store) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, ReadError>>
    where
        T: Send + 'static,
    {
        match &self.engine {
            Engine::Threads { reads, .. } => {
                let reads = reads.clone();
                async move {
                    let (reply, answer) = oneshot::channel();
                    let ask = Query::Ask(Box::new(move |connection| {
                        let _ = reply.send(question(connection));
                    }));
                    let closed = || ReadError("the ledger is closed".to_owned());
                    reads.send(ask).await.map_err(|_| closed())?;
                    answer.await.unwrap_or_else(|_| Err(closed()))
                }
                .boxed()
            }
            Engine::Inline(writer) => {
                std::future::ready(question(locked(writer).connection())).boxed()
            }
        }
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.close();
    }
}

impl Ledger for SqliteLedger {
    fn commit(
        &self,
        transitions: Vec<Transition>,
    ) -> BoxFuture<'static, Result<Vec<Committed>, CommitError>> {
        self.write(transitions, Operation::Commit)
    }

    fn find(&self, id: MessageId) -> BoxFuture<'static, Result<Option<Record>, ReadError>> {
        match self.recent.find(id) {
            Some(record) => std::future::ready(Ok(Some(record))).boxed(),
            None => self.read(move |connection| read::find(connection, id)),
        }
    }

    fn by_key(
        &self,
        principal: Principal,
        key: String,
    ) -> BoxFuture<'static, Result<Option<KeyHolder>, ReadError>> {
        self.read(move |connection| Ok(read::key_holder(connection, &principal, &key)?))
    }

    fn last_conversation(
        &self,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Option<String>, ReadError>> {
        self.read(move |connection| read::last_conversation(connection, &lane))
    }

    fn unfinished(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        self.read(move |connection| read::unfinished(connection, after_seq, limit))
    }

    fn held(&self, limit: u32) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        self.read(move |connection| read::held(connection, limit))
    }

    fn due_copies(
        &self,
        after: AfterDue,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DueCopy>, ReadError>> {
        self.read(move |connection| read::due_copies(connection, after, limit))
    }

    fn purges_ahead(
        &self,
        now: UnixMs,
        due_after: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<MessageId>, ReadError>> {
        self.read(move |connection| Ok(read::purges_ahead(connection, now, due_after, limit)?))
    }

    fn history_after(
        &self,
        id: Option<MessageId>,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<HistoryRow>, ReadError>> {
        self.read(move |connection| read::history_after(connection, id, after_seq, limit))
    }

    fn totals(&self) -> BoxFuture<'static, Result<Totals, ReadError>> {
        self.read(read::totals)
    }

    fn sweep(
        &self,
        keys_before: UnixMs,
        records_before: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(Sweep { keys_before, records_before, limit }, Operation::Sweep)
    }

    fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(self.directory.as_ref()?).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

fn prepare(
    connection: &mut Connection,
    options: &SqliteOptions,
    in_memory: bool,
) -> Result<(), Unfit> {
    let version = schema::identify(connection)?;
    schema::configure(connection, options, in_memory)?;
    schema::migrate(connection, version)
}

fn refuse(path: &Path, unfit: &Unfit) -> OpenError {
    let path = path.to_path_buf();
    match unfit {
        Unfit::Newer(found) => OpenError::NewerSchema { path, found: *found, known: schema::KNOWN },
        other => OpenError::Failed { path, reason: other.to_string() },
    }
}

// A caller may be inside a runtime, where tokio's blocking send panics.
fn send_blocking<T>(queue: &mpsc::Sender<T>, mut message: T) {
    while let Err(TrySendError::Full(back)) = queue.try_send(message) {
        message = back;
        #[expect(clippy::disallowed_methods, reason = "called once, at the end of the process")]
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn join(handle: &Mutex<Option<JoinHandle<()>>>) {
    let handle = handle.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Both threads catch their panics and report them.
    let _ = handle.map(JoinHandle::join);
}

fn locked(writer: &Mutex<Writer>) -> std::sync::MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
