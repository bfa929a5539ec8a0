//! The rows of what agents replied.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::SqliteLedger;
use super::rows;
use super::seal::{self, Kind};
use super::store::Store;
use super::words;
use super::writer::Operation;
use crate::domain::{Lane, Principal, Reply, ReplyState, UnixMs};
use crate::ledger::{CommitError, REPLIES_MAX, ReadError, ReplyBook, ReplyRow};

/// What is written.
pub(super) enum ReplyEntry {
    Keep { lane: Lane, state: ReplyState, kept: Kept },
    Given(Vec<u64>),
    ReceiptSent(u64),
    Expire { awaited_before: UnixMs, kept_before: UnixMs },
}

impl ReplyEntry {
    /// Whether rows may go for their age.
    pub(super) fn expires(&self) -> bool {
        matches!(self, ReplyEntry::Expire { .. })
    }
}

/// The sealed part of a row.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    sender_id: String,
    reply: Reply,
}

/// Writes one entry; returns how many rows it made or changed.
pub(super) fn write(connection: &Store, entry: &ReplyEntry) -> rusqlite::Result<u64> {
    let changed = match entry {
        ReplyEntry::Keep { lane, state, kept } => keep(connection, lane, *state, kept)?,
        ReplyEntry::Given(seqs) => {
            let mut given = connection.prepare_cached(
                "UPDATE replies SET state = 'delivered', receipt_owed = 1
                 WHERE seq = ?1 AND state = 'awaited'",
            )?;
            let mut changed = 0;
            for seq in seqs {
                changed += given.execute(params![rows::stored_count(*seq)])?;
            }
            changed
        }
        ReplyEntry::ReceiptSent(seq) => connection
            .prepare_cached("UPDATE replies SET receipt_owed = 0 WHERE seq = ?1")?
            .execute(params![rows::stored_count(*seq)])?,
        ReplyEntry::Expire { awaited_before, kept_before } => {
            expire(connection, *awaited_before, *kept_before)?
        }
    };
    Ok(changed as u64)
}

fn keep(
    connection: &Store,
    lane: &Lane,
    state: ReplyState,
    kept: &Kept,
) -> rusqlite::Result<usize> {
    let words_seq = words::next_seq(connection)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO replies (reply_id, lane, came_at, state, receipt_owed, words_seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (reply_id) DO NOTHING",
        )?
        .execute(params![
            kept.reply.id,
            lane.0,
            kept.reply.came_at.0,
            state.as_str(),
            state != ReplyState::Awaited,
            words_seq,
        ])?;
    if inserted == 1 {
        let said = seal::seal_json(connection.sealer(), Kind::Reply, kept)?;
        words::append(connection, words_seq, None, Some(said))?;
    }
    Ok(inserted)
}

fn expire(
    connection: &Store,
    awaited_before: UnixMs,
    kept_before: UnixMs,
) -> rusqlite::Result<usize> {
    let failed = connection
        .prepare_cached(
            "UPDATE replies SET state = 'failed', receipt_owed = 1
             WHERE state = 'awaited' AND came_at < ?1",
        )?
        .execute(params![awaited_before.0])?;
    let gone = connection
        .prepare_cached(
            "DELETE FROM replies WHERE (receipt_owed = 0 AND came_at < ?1) OR came_at < ?2",
        )?
        .execute(params![awaited_before.0, kept_before.0])?;
    Ok(failed + gone)
}

/// Deletes rows from before a time, and those that are too many: also where the route that brought
/// them is no longer the gateway's.
pub(super) fn sweep(connection: &Store, before: UnixMs) -> rusqlite::Result<u64> {
    let swept = connection
        .prepare_cached(
            "DELETE FROM replies
             WHERE came_at < ?1 OR seq <= (SELECT max(seq) FROM replies) - ?2",
        )?
        .execute(params![before.0, rows::stored_count(REPLIES_MAX)])?;
    Ok(swept as u64)
}

fn row(connection: &Store, row: &Row<'_>) -> Result<ReplyRow, ReadError> {
    let word: String = row.get(1)?;
    let state = ReplyState::parse(&word);
    let state = state.ok_or_else(|| ReadError(format!("a reply's state is {word:?}")))?;
    let sealed: Vec<u8> = row.get(2)?;
    let opened = seal::open(connection.sealer(), Kind::Reply, &sealed)?;
    let kept: Kept =
        serde_json::from_slice(&opened).map_err(|error| ReadError(error.to_string()))?;
    let seq = rows::count(row.get(0)?)?;
    Ok(ReplyRow { seq, sender_id: kept.sender_id, state, reply: kept.reply })
}

fn replies_after(
    connection: &Store,
    lane: &Lane,
    since: UnixMs,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<ReplyRow>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT replies.seq, state, said FROM replies JOIN words ON words.seq = words_seq
         WHERE lane = ?1 AND replies.seq > ?2 AND came_at >= ?3 AND state <> 'failed'
         ORDER BY replies.seq LIMIT ?4",
    )?;
    let after_seq = rows::stored_count(after_seq);
    let mut found = statement.query(params![lane.0, after_seq, since.0, limit])?;
    let mut replies = Vec::new();
    while let Some(next) = found.next()? {
        replies.push(row(connection, next)?);
    }
    Ok(replies)
}

fn conversation_of(
    connection: &Store,
    principal: &Principal,
    conversation_id: &str,
) -> Result<Option<(Lane, UnixMs)>, ReadError> {
    // Route and expression in the words of the index, or SQLite does not use it.
    let found = connection
        .prepare_cached(
            "SELECT lane, min(created_at), max(accepted_seq) FROM messages
             WHERE route = 'open-messaging'
               AND json_extract(body, '$.conversation_id') = ?1 AND principal = ?2
             GROUP BY lane ORDER BY max(accepted_seq) DESC LIMIT 1",
        )?
        .query_row(params![conversation_id, principal.0], |row| {
            Ok((Lane(row.get(0)?), UnixMs(row.get(1)?)))
        })
        .optional()?;
    Ok(found)
}

fn receipts_owed(connection: &Store, limit: u32) -> Result<Vec<ReplyRow>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT replies.seq, state, said FROM replies JOIN words ON words.seq = words_seq
         WHERE receipt_owed = 1 ORDER BY replies.seq LIMIT ?1",
    )?;
    let mut found = statement.query(params![limit])?;
    let mut replies = Vec::new();
    while let Some(next) = found.next()? {
        replies.push(row(connection, next)?);
    }
    Ok(replies)
}

impl ReplyBook for SqliteLedger {
    fn keep(
        &self,
        lane: Lane,
        sender_id: String,
        reply: Reply,
        state: ReplyState,
    ) -> BoxFuture<'static, Result<bool, CommitError>> {
        let entry = ReplyEntry::Keep { lane, state, kept: Kept { sender_id, reply } };
        let entered = self.write(entry, Operation::Reply);
        async move { Ok(entered.await? > 0) }.boxed()
    }

    fn replies_after(
        &self,
        lane: Lane,
        since: UnixMs,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<ReplyRow>, ReadError>> {
        self.read(move |connection| replies_after(connection, &lane, since, after_seq, limit))
    }

    fn conversation_of(
        &self,
        principal: Principal,
        conversation_id: String,
    ) -> BoxFuture<'static, Result<Option<(Lane, UnixMs)>, ReadError>> {
        self.read(move |connection| conversation_of(connection, &principal, &conversation_id))
    }

    fn given(&self, seqs: Vec<u64>) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(ReplyEntry::Given(seqs), Operation::Reply)
    }

    fn receipts_owed(&self, limit: u32) -> BoxFuture<'static, Result<Vec<ReplyRow>, ReadError>> {
        self.read(move |connection| receipts_owed(connection, limit))
    }

    fn receipt_sent(&self, seq: u64) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(ReplyEntry::ReceiptSent(seq), Operation::Reply)
    }

    fn expire_replies(
        &self,
        awaited_before: UnixMs,
        kept_before: UnixMs,
    ) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(ReplyEntry::Expire { awaited_before, kept_before }, Operation::Reply)
    }
}
