//! What operators did: one row for each order, made durable before the order has its effect and
//! completed with its outcome after it. A row without an outcome was cut off by the end of the
//! process.

use futures_util::future::BoxFuture;

use super::{CommitError, ReadError};
use crate::domain::UnixMs;

/// Rows that are kept at most; the oldest go with the next sweep, as do those older than records
/// are kept.
pub const AUDIT_ROWS_MAX: u64 = 100_000;

/// An order of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// When it came.
    pub at: UnixMs,
    /// Who gave it: `operator` with the key, `loopback` where none is asked for.
    pub who: &'static str,
    /// The address it came from.
    pub address: String,
    /// Method and path.
    pub action: String,
    /// The request's id, as logs and answers have it.
    pub request_id: String,
}

/// One row, as operators read it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Rises from row to row.
    pub seq: u64,
    /// When the order came.
    pub at: UnixMs,
    /// Who gave it.
    pub who: String,
    /// The address it came from.
    pub address: String,
    /// Method and path.
    pub action: String,
    /// The request's id.
    pub request_id: String,
    /// HTTP status of its answer; `None`: it has none yet, or never got one.
    pub status: Option<u16>,
}

/// Where the rows are kept.
pub trait AuditLog: Send + Sync {
    /// Enters an order, without outcome; durable when it returns its number.
    fn begin(&self, order: Order) -> BoxFuture<'static, Result<u64, CommitError>>;

    /// Completes a row with the status of the answer.
    fn end(&self, seq: u64, status: u16) -> BoxFuture<'static, Result<u64, CommitError>>;

    /// Rows, the newest first, older than `before_seq`, at most `limit`.
    fn latest(
        &self,
        before_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<AuditRow>, ReadError>>;
}
