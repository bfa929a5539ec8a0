//! The ledger: every durable fact about voice messages, and nothing else.
//!
//! It keeps current-state rows (messages, copies, idempotency keys) and one history row for each
//! change, written in the same transaction; it never replays events. It knows no rule of delivery:
//! callers hand it records that the domain has already changed.
//!
//! Contract every ledger implements:
//! - When the future of [`Ledger::commit`] resolves to `Ok`, the change is on disk and synced.
//! - A commit is all or nothing, and compares versions: a record that somebody else changed since
//!   it was read is refused with [`CommitError::Conflict`], and nothing of the commit happens.
//! - An idempotency key belongs to the commit that first names it (per principal); later ones are
//!   refused with [`CommitError::KeyTaken`]. Races are decided here and nowhere else.
//! - A failed commit other than [`CommitError::StorageFull`] means that the ledger can no longer
//!   be trusted in this process: the ledger calls its `fatal` hook, which ends the process.

mod audit;
mod change;
mod erasure;
mod replies;
pub mod sqlite;
mod watch;

pub use audit::{AUDIT_ROWS_MAX, AuditLog, AuditRow, Order};
pub use change::{ChangeError, change, change_by, change_together};
pub use erasure::{CopyCount, Erasure, Erasures, Sighting, Subject};
pub use replies::{REPLIES_MAX, ReplyBook, ReplyRow};
pub use watch::{Watch, WatchedLedger, Watchers};

use std::path::PathBuf;

use futures_util::future::BoxFuture;

use crate::domain::{Lane, MessageId, Principal, Record, UnixMs};

/// One record's change inside a commit.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The record as it is after the change. `version` and, for a new record, `accepted_seq` are
    /// set by the ledger; what the caller put there is ignored. For one that is there,
    /// `accepted_seq` says where. What acceptance fixed (principal,
    /// route, lane, `created_at`) does not change, nor does a copy's kind, host, client and
    /// `created_at`; copies are added and settled, never taken out.
    pub record: Record,
    /// The version the record was read at; `None` inserts a new record.
    pub expected_version: Option<u64>,
    /// What becomes of the record's idempotency key; `None` leaves it as it is.
    pub key: Option<KeyChange>,
    /// Name of the event, as history keeps it.
    pub event: &'static str,
    /// Detail of the event, as history keeps it.
    pub detail: Option<String>,
    /// When the event happened.
    pub at: UnixMs,
}

/// A change of an idempotency key, in the same commit as its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// Claimed by a new record. Has no meaning for one that is there already.
    Claim(KeyClaim),
    /// Set free, so that the sender's repeat is a new message: for a message that nobody was told
    /// of and that was not posted. Does nothing where there is no key. Has no meaning for a new
    /// record.
    Release,
}

/// An idempotency key with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyClaim {
    /// The key as the sender chose it.
    pub key: String,
    /// SHA-256 over the clip's hash and the fields: equal means "the same request".
    pub fingerprint: [u8; 32],
    /// The message that gives the key up, where one holds it: nobody was told of it, and its post
    /// may stand. If another holds the key by then, the claim is refused.
    pub taken_from: Option<MessageId>,
}

/// What an idempotency key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The message of the first request.
    pub id: MessageId,
    /// Its fingerprint.
    pub fingerprint: [u8; 32],
}

/// Version and place of a record after its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The record's new version.
    pub version: u64,
    /// The record's place in the order of acceptance.
    pub accepted_seq: u64,
}

/// Why a commit did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The record has changed since it was read, or is gone. For a new record: its id is taken,
    /// and `expected_version` is 0.
    #[error("message {id} is no longer at version {expected_version}")]
    Conflict {
        /// The record.
        id: MessageId,
        /// The version the commit expected.
        expected_version: u64,
    },
    /// Another message holds the idempotency key.
    #[error("the idempotency key belongs to message {}", .0.id)]
    KeyTaken(KeyHolder),
    /// The disk has no room. Nothing of the commit happened; later commits may succeed.
    #[error("the ledger's disk is full")]
    StorageFull,
    /// The ledger is closed or broken; the process is about to end.
    #[error("the ledger is closed")]
    Closed,
}

/// Why a read did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be read: {0}")]
pub struct ReadError(pub String);

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the data directory.
    #[error("another process uses the data directory {0}")]
    Locked(PathBuf),
    /// A newer version of the program wrote it.
    #[error("the ledger {path} has schema {found}, newer than the {known} this program knows")]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Schema version found.
        found: u32,
        /// Newest schema version known.
        known: u32,
    },
    /// Anything else, with what was being done.
    #[error("cannot open the ledger {path}: {reason}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// A copy for which something is owed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueCopy {
    /// When JanitorActor is to look at it.
    pub at: UnixMs,
    /// Its message.
    pub id: MessageId,
    /// Its number within the message.
    pub ordinal: u32,
}

/// A place in the order of due copies: strictly after it comes the next page.
pub type AfterDue = Option<DueCopy>;

/// One row of a message's history.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HistoryRow {
    /// Rises by commit over all messages; the id of the event stream.
    pub seq: u64,
    /// The message.
    pub message_id: MessageId,
    /// When.
    pub at: UnixMs,
    /// What.
    pub event: String,
    /// Further words.
    pub detail: Option<String>,
}

/// Counts an operator asks for; taken from the indexes, cheap with a million rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Messages on their way.
    pub open: u64,
    /// Messages waiting for an operator.
    pub held: u64,
    /// Copies owed a purge.
    pub purges_owed: u64,
    /// Copies that may exist without an id.
    pub orphaned: u64,
    /// Spool files of ended messages that could not be deleted yet.
    pub spool_files_undeleted: u64,
}

/// The durable rows behind everything.
pub trait Ledger: Send + Sync {
    /// Applies all transitions or none; see the module's contract. Answers in the same order.
    fn commit(
        &self,
        transitions: Vec<Transition>,
    ) -> BoxFuture<'static, Result<Vec<Committed>, CommitError>>;

    /// One record with its copies.
    fn find(&self, id: MessageId) -> BoxFuture<'static, Result<Option<Record>, ReadError>>;

    /// Who holds an idempotency key.
    fn by_key(
        &self,
        principal: Principal,
        key: String,
    ) -> BoxFuture<'static, Result<Option<KeyHolder>, ReadError>>;

    /// The conversation of the newest message of this lane that arrived, on a route whose lanes
    /// are guests'.
    fn last_conversation(
        &self,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Option<String>, ReadError>>;

    /// Records that the pipeline still has to work on: those on their way, ended ones whose clip
    /// is still in the spool, and ended or held ones whose upload may still be on the wire. In
    /// order of acceptance, after `after_seq`, at most `limit`.
    fn unfinished(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>>;

    /// Records waiting for an operator, in order of acceptance, at most `limit`.
    fn held(&self, limit: u32) -> BoxFuture<'static, Result<Vec<Record>, ReadError>>;

    /// Copies for which something is owed, earliest first, strictly after `after`, at most `limit`.
    fn due_copies(
        &self,
        after: AfterDue,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DueCopy>, ReadError>>;

    /// Messages with an owed copy that only a clock that was ahead can have dated, at most `limit`:
    /// one that is due and waits for longer than [`WAIT_MS_MAX`](crate::domain::WAIT_MS_MAX), or
    /// one that waits until after `due_after`, is due after it, and was not posted by `now`.
    fn purges_ahead(
        &self,
        now: UnixMs,
        due_after: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<MessageId>, ReadError>>;

    /// History rows after `after_seq`, of one message or of all, at most `limit`.
    fn history_after(
        &self,
        id: Option<MessageId>,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<HistoryRow>, ReadError>>;

    /// Counts for the operator.
    fn totals(&self) -> BoxFuture<'static, Result<Totals, ReadError>>;

    /// Deletes idempotency keys made before `keys_before` and records without anything owed that
    /// were made before `records_before`, at most `limit` of each; returns how many went. No
    /// record goes that is younger than `keys_before`, so a key never outlives its message.
    fn sweep(
        &self,
        keys_before: UnixMs,
        records_before: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<u64, CommitError>>;

    /// Bytes free on the ledger's disk; `None` where there is no disk.
    fn free_bytes(&self) -> Option<u64>;
}
