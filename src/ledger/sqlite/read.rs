//! The questions. Each runs in one short read transaction, so that a message and its copies
//! belong together and the WAL can be checkpointed soon.

use rusqlite::{OptionalExtension, params};

use super::rows::{self, COPY_COLUMNS, MESSAGE_COLUMNS};
use super::schema::live;
use super::store::Store;
use crate::domain::{Copy, Lane, MessageId, Principal, Record, UnixMs, WAIT_MS_MAX};
use crate::ledger::{AfterDue, DueCopy, HistoryRow, KeyHolder, ReadError, Totals};

/// One record with its copies.
pub(super) fn find(connection: &Store, id: MessageId) -> Result<Option<Record>, ReadError> {
    let _snapshot = connection.unchecked_transaction()?;
    let sql = messages("", "WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params![id.as_bytes()])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let mut record = rows::message(row, connection.sealer())?;
    record.copies = copies(connection, id)?;
    Ok(Some(record))
}

fn copies(connection: &Store, id: MessageId) -> Result<Vec<Copy>, ReadError> {
    let sql = format!("SELECT {COPY_COLUMNS} FROM copies WHERE message_id = ?1 ORDER BY ordinal");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params![id.as_bytes()])?;
    let mut copies = Vec::new();
    while let Some(row) = found.next()? {
        copies.push(rows::copy(row, connection.sealer())?);
    }
    Ok(copies)
}

/// Who holds a key. Also asked by the writer, inside its transaction.
pub(super) fn key_holder(
    connection: &Store,
    principal: &Principal,
    key: &str,
) -> rusqlite::Result<Option<KeyHolder>> {
    connection
        .prepare_cached(
            "SELECT message_id, fingerprint FROM keys WHERE principal = ?1 AND key = ?2",
        )?
        .query_row(params![principal.0, key], |row| {
            Ok(KeyHolder { id: MessageId::from_bytes(row.get(0)?), fingerprint: row.get(1)? })
        })
        .optional()
}

/// Records the pipeline has to work on, in order of acceptance.
pub(super) fn unfinished(
    connection: &Store,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<Record>, ReadError> {
    let _snapshot = connection.unchecked_transaction()?;
    let rest = concat!(
        "WHERE ",
        live!(),
        " AND (stage <> 'held' OR intent_step IS NOT NULL)
          AND accepted_seq > ?1 ORDER BY accepted_seq LIMIT ?2"
    );
    let after_seq = rows::stored_count(after_seq);
    records(connection, &messages("INDEXED BY messages_live", rest), params![after_seq, limit])
}

/// Records that wait for an operator, in order of acceptance.
pub(super) fn held(connection: &Store, limit: u32) -> Result<Vec<Record>, ReadError> {
    let _snapshot = connection.unchecked_transaction()?;
    let rest = concat!("WHERE stage = 'held' AND ", live!(), " ORDER BY accepted_seq LIMIT ?1");
    records(connection, &messages("INDEXED BY messages_live", rest), params![limit])
}

fn records(
    connection: &Store,
    sql: &str,
    arguments: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Record>, ReadError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(arguments)?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        let mut record = rows::message(row, connection.sealer())?;
        record.copies = copies(connection, record.id)?;
        records.push(record);
    }
    Ok(records)
}

/// The conversation of a lane's newest message that arrived.
pub(super) fn last_conversation(
    connection: &Store,
    lane: &Lane,
) -> Result<Option<String>, ReadError> {
    // Route and state in the words of the index, or SQLite does not use it.
    let found = connection
        .prepare_cached(
            "SELECT json_extract(body, '$.conversation_id') FROM messages INDEXED BY messages_lane
             WHERE route = 'open-messaging' AND posted_at IS NOT NULL AND lane = ?1
             ORDER BY accepted_seq DESC LIMIT 1",
        )?
        .query_row([&lane.0], |row| row.get::<_, Option<String>>(0))
        .optional()?;
    Ok(found.flatten())
}

/// A page of what is owed, in the order of [`DueCopy`].
pub(super) fn due_copies(
    connection: &Store,
    after: AfterDue,
    limit: u32,
) -> Result<Vec<DueCopy>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT next_attempt_at, message_id, ordinal FROM copies INDEXED BY copies_due
         WHERE state = 'owed' AND next_attempt_at IS NOT NULL
           AND (next_attempt_at, message_id, ordinal) > (?1, ?2, ?3)
         ORDER BY next_attempt_at, message_id, ordinal LIMIT ?4",
    )?;
    // Without a place to start from: before the first time and the first possible id.
    let at = after.map_or(i64::MIN, |due| due.at.0);
    let id = after.map_or(Vec::new(), |due| due.id.as_bytes().to_vec());
    let ordinal = after.map_or(-1, |due| i64::from(due.ordinal));
    let page = statement.query_map(params![at, id, ordinal, limit], |row| {
        Ok(DueCopy {
            at: UnixMs(row.get(0)?),
            id: MessageId::from_bytes(row.get(1)?),
            ordinal: row.get(2)?,
        })
    })?;
    Ok(page.collect::<rusqlite::Result<_>>()?)
}

/// Purges from a clock that was ahead: see the contract. Each half is a range of an index in which,
/// as long as the clock is right, nothing lies.
pub(super) fn purges_ahead(
    connection: &Store,
    now: UnixMs,
    due_after: UnixMs,
    limit: u32,
) -> rusqlite::Result<Vec<MessageId>> {
    let mut statement = connection.prepare_cached(
        "SELECT message_id FROM (
           SELECT message_id FROM copies INDEXED BY copies_put_off
           WHERE state = 'owed' AND next_attempt_at > due_at
             AND next_attempt_at > ?2 AND due_at <= ?1 LIMIT ?4)
         UNION
         SELECT message_id FROM (
           SELECT message_id FROM copies INDEXED BY copies_due
             JOIN messages ON messages.id = message_id
           WHERE state = 'owed' AND copies.next_attempt_at > ?3 AND copies.due_at > ?3
             AND (posted_at > ?1 OR posted_at IS NULL) LIMIT ?4)
         LIMIT ?4",
    )?;
    let waits_until = now.plus_ms(i64::try_from(WAIT_MS_MAX).unwrap_or(i64::MAX));
    let found = statement.query_map(params![now.0, waits_until.0, due_after.0, limit], |row| {
        Ok(MessageId::from_bytes(row.get(0)?))
    })?;
    found.collect()
}

/// A page of history, of one message or of all.
pub(super) fn history_after(
    connection: &Store,
    id: Option<MessageId>,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<HistoryRow>, ReadError> {
    let after_seq = rows::stored_count(after_seq);
    let (mut statement, id_bytes) = match &id {
        Some(id) => (
            connection.prepare_cached(
                "SELECT h.seq, m.id, h.at, h.event, h.detail
                 FROM messages m CROSS JOIN history h ON h.message_seq = m.accepted_seq
                 WHERE m.id = ?3 AND h.seq > ?1 ORDER BY h.seq LIMIT ?2",
            )?,
            id.as_bytes().as_slice(),
        ),
        None => (
            connection.prepare_cached(
                "SELECT h.seq, m.id, h.at, h.event, h.detail
                 FROM history h CROSS JOIN messages m ON m.accepted_seq = h.message_seq
                 WHERE h.seq > ?1 AND ?3 = x'' ORDER BY h.seq LIMIT ?2",
            )?,
            [].as_slice(),
        ),
    };
    let mut found = statement.query(params![after_seq, limit, id_bytes])?;
    let mut history = Vec::new();
    while let Some(row) = found.next()? {
        history.push(HistoryRow {
            seq: rows::count(row.get(0)?)?,
            message_id: MessageId::from_bytes(row.get(1)?),
            at: UnixMs(row.get(2)?),
            event: row.get(3)?,
            detail: row.get(4)?,
        });
    }
    Ok(history)
}

/// Counts from the partial indexes. An owed copy without a time belongs to a live message, so
/// the few live messages are asked for theirs.
pub(super) fn totals(connection: &Store) -> Result<Totals, ReadError> {
    let _snapshot = connection.unchecked_transaction()?;
    let count = |sql: &str| -> Result<u64, ReadError> {
        rows::count(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    };
    let timed = count(
        "SELECT count(*) FROM copies INDEXED BY copies_due
         WHERE state = 'owed' AND next_attempt_at IS NOT NULL",
    )?;
    let untimed = count(concat!(
        "SELECT count(*) FROM messages m INDEXED BY messages_live
         CROSS JOIN copies c ON c.message_id = m.id
         WHERE c.state = 'owed' AND c.next_attempt_at IS NULL AND ",
        live!()
    ))?;
    Ok(Totals {
        open: count(concat!(
            "SELECT count(*) FROM messages INDEXED BY messages_live
             WHERE stage IN ('accepted','uploaded') AND ",
            live!()
        ))?,
        held: count(concat!(
            "SELECT count(*) FROM messages INDEXED BY messages_live
             WHERE stage = 'held' AND ",
            live!()
        ))?,
        purges_owed: timed + untimed,
        orphaned: count(
            "SELECT count(*) FROM copies INDEXED BY copies_orphaned WHERE state = 'orphaned'",
        )?,
        spool_files_undeleted: count(concat!(
            "SELECT count(*) FROM messages INDEXED BY messages_live
             WHERE clip = 'spooled' AND json_extract(body, '$.clip_attempts') IS NOT NULL AND ",
            live!()
        ))?,
    })
}

/// Asks for messages with their words.
fn messages(index: &str, rest: &str) -> String {
    format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages {index}
         LEFT JOIN words ON words.seq = words_seq {rest}"
    )
}
