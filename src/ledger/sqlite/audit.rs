//! The rows of what operators did.

use futures_util::future::BoxFuture;
use rusqlite::params;

use super::SqliteLedger;
use super::rows;
use super::store::Store;
use super::writer::Operation;
use crate::domain::UnixMs;
use crate::ledger::{AUDIT_ROWS_MAX, AuditLog, AuditRow, CommitError, Order, ReadError};

/// What is written.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Begin(Order),
    End { seq: u64, status: u16 },
}

/// Writes one entry; returns the number of its row.
pub(super) fn write(connection: &Store, entry: &Entry) -> rusqlite::Result<u64> {
    match entry {
        Entry::Begin(order) => {
            connection
                .prepare_cached(
                    "INSERT INTO audit (at, who, address, action, request_id)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    order.at.0,
                    order.who,
                    order.address,
                    order.action,
                    order.request_id
                ])?;
            Ok(connection.last_insert_rowid().unsigned_abs())
        }
        Entry::End { seq, status } => {
            connection
                .prepare_cached("UPDATE audit SET status = ?2 WHERE seq = ?1")?
                .execute(params![rows::stored_count(*seq), status])?;
            Ok(*seq)
        }
    }
}

/// Deletes rows from before a time, and those that are too many.
pub(super) fn sweep(connection: &Store, before: UnixMs) -> rusqlite::Result<u64> {
    let swept = connection
        .prepare_cached(
            "DELETE FROM audit
             WHERE at < ?1 OR seq <= (SELECT max(seq) FROM audit) - ?2",
        )?
        .execute(params![before.0, rows::stored_count(AUDIT_ROWS_MAX)])?;
    Ok(swept as u64)
}

fn latest(connection: &Store, before_seq: u64, limit: u32) -> Result<Vec<AuditRow>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, who, address, action, request_id, status FROM audit
         WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let mut found = statement.query(params![rows::stored_count(before_seq), limit])?;
    let mut latest = Vec::new();
    while let Some(row) = found.next()? {
        latest.push(AuditRow {
            seq: rows::count(row.get(0)?)?,
            at: UnixMs(row.get(1)?),
            who: row.get(2)?,
            address: row.get(3)?,
            action: row.get(4)?,
            request_id: row.get(5)?,
            status: row.get(6)?,
        });
    }
    Ok(latest)
}

impl AuditLog for SqliteLedger {
    fn begin(&self, order: Order) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(Entry::Begin(order), Operation::Audit)
    }

    fn end(&self, seq: u64, status: u16) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(Entry::End { seq, status }, Operation::Audit)
    }

    fn latest(
        &self,
        before_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<AuditRow>, ReadError>> {
        self.read(move |connection| latest(connection, before_seq, limit))
    }
}
