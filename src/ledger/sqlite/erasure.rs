//! The rows of what is being erased.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::SqliteLedger;
use super::rows;
use super::seal::{self, Kind};
use super::store::Store;
use super::words;
use super::write::release_key;
use super::writer::Operation;
use crate::domain::{CopyKind, CopyState, Envelope, Lane, MessageId, Principal, RouteName, UnixMs};
use crate::ledger::{CommitError, CopyCount, Erasure, Erasures, ReadError, Sighting, Subject};

/// What is written.
#[derive(Clone, Debug)]
pub(super) enum Removal {
    Begin { id: Uuid, messages: Vec<u64>, lanes: Vec<Lane>, at: UnixMs },
    Remove(Vec<MessageId>),
}

/// Writes it; returns how many rows with words in them went.
pub(super) fn write(connection: &Store, removal: &Removal) -> rusqlite::Result<u64> {
    match removal {
        Removal::Begin { id, messages, lanes, at } => {
            connection
                .prepare_cached("INSERT INTO erasures (id, asked_at, found) VALUES (?1, ?2, ?3)")?
                .execute(params![id.as_bytes(), at.0, rows::stored_count(messages.len() as u64)])?;
            let mut entry = connection.prepare_cached(
                "INSERT INTO erasing (message_seq, erasure_id)
                 SELECT accepted_seq, ?2 FROM messages WHERE accepted_seq = ?1",
            )?;
            for seq in messages {
                entry.execute(params![rows::stored_count(*seq), id.as_bytes()])?;
            }
            let mut replies = connection.prepare_cached("DELETE FROM replies WHERE lane = ?1")?;
            let mut gone = 0;
            for lane in lanes {
                gone += replies.execute([&lane.0])?;
            }
            Ok(gone as u64)
        }
        Removal::Remove(messages) => remove(connection, messages),
    }
}

fn remove(connection: &Store, messages: &[MessageId]) -> rusqlite::Result<u64> {
    let mut over = connection.prepare_cached(
        "SELECT accepted_seq, created_at FROM messages m
         WHERE id = ?1 AND stage IN ('sent','failed','cancelled')
           AND clip <> 'spooled' AND intent_step IS NULL
           AND EXISTS (SELECT 1 FROM erasing e WHERE e.message_seq = m.accepted_seq)
           AND NOT EXISTS (
             SELECT 1 FROM copies c WHERE c.message_id = m.id AND c.state = 'owed')",
    )?;
    let mut count = connection.prepare_cached(
        "INSERT INTO erasure_copies (erasure_id, kind, state, count)
         SELECT e.erasure_id, c.kind, c.state, count(*)
         FROM erasing e CROSS JOIN copies c ON c.message_id = ?2
         WHERE e.message_seq = ?1 GROUP BY e.erasure_id, c.kind, c.state
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    let mut replies = connection.prepare_cached(
        "DELETE FROM replies WHERE lane = (SELECT lane FROM messages WHERE accepted_seq = ?1)",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM messages WHERE accepted_seq = ?1")?;
    let mut removed = 0;
    for id in messages {
        let found = over.query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((seq, created_at)) = found.optional()? else { continue };
        let seq: i64 = seq;
        count.execute(params![seq, id.as_bytes()])?;
        // What agents said meanwhile goes with the message.
        replies.execute([seq])?;
        delete.execute([seq])?;
        release_key(connection, *id, UnixMs(created_at))?;
        removed += 1;
    }
    Ok(removed)
}

/// Forgets erasures that are older and done.
pub(super) fn sweep(connection: &Store, before: UnixMs) -> rusqlite::Result<u64> {
    let swept = connection
        .prepare_cached(
            "DELETE FROM erasures AS a WHERE asked_at < ?1
               AND NOT EXISTS (SELECT 1 FROM erasing e WHERE e.erasure_id = a.id)",
        )?
        .execute([before.0])?;
    Ok(swept as u64)
}

fn look_for(
    connection: &Store,
    subject: &Subject,
    after_seq: u64,
    limit: u32,
) -> Result<Sighting, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT accepted_seq, principal, route, lane, who FROM messages
         LEFT JOIN words ON words.seq = words_seq
         WHERE accepted_seq > ?1 ORDER BY accepted_seq LIMIT ?2",
    )?;
    let mut found = statement.query(params![rows::stored_count(after_seq), limit])?;
    let mut sighting = Sighting::default();
    let (mut last, mut looked_at) = (after_seq, 0);
    while let Some(row) = found.next()? {
        last = rows::count(row.get(0)?)?;
        looked_at += 1;
        let (principal, lane) = (Principal(row.get(1)?), Lane(row.get(3)?));
        let is_named = match row.get_ref(4)?.as_blob_or_null().map_err(unreadable)? {
            Some(sealed) if !words::is_erased(sealed) => {
                let opened = seal::open(connection.sealer(), Kind::Envelope, sealed)?;
                let envelope: Envelope = serde_json::from_slice(&opened).map_err(unreadable)?;
                envelope.sender_id.as_deref() == Some(subject.sender_id.as_str())
            }
            _ => false,
        };
        let is_theirs =
            is_named || subject.principals.contains(&principal) || subject.lanes.contains(&lane);
        if !is_theirs {
            continue;
        }
        sighting.messages.push(last);
        if principal.is_a_guest() {
            sighting.principals.insert(principal);
        }
        let route: String = row.get(2)?;
        if RouteName::parse(&route).is_some_and(RouteName::has_a_lane_for_each_guest) {
            sighting.lanes.insert(lane);
        }
    }
    sighting.next_after = (looked_at == limit).then_some(last);
    Ok(sighting)
}

fn unreadable(error: impl std::fmt::Display) -> ReadError {
    ReadError(format!("a sender cannot be read: {error}"))
}

fn open(
    connection: &Store,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<(u64, MessageId)>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT e.message_seq, m.id
         FROM erasing e CROSS JOIN messages m ON m.accepted_seq = e.message_seq
         WHERE e.message_seq > ?1 ORDER BY e.message_seq LIMIT ?2",
    )?;
    let mut found = statement.query(params![rows::stored_count(after_seq), limit])?;
    let mut open = Vec::new();
    while let Some(row) = found.next()? {
        open.push((rows::count(row.get(0)?)?, MessageId::from_bytes(row.get(1)?)));
    }
    Ok(open)
}

fn erasure(connection: &Store, id: Uuid) -> Result<Option<Erasure>, ReadError> {
    let _snapshot = connection.unchecked_transaction()?;
    let head: Option<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT asked_at, found,
                    (SELECT count(*) FROM erasing e WHERE e.erasure_id = a.id)
             FROM erasures a WHERE id = ?1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((asked_at, found, left)) = head else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT kind, state, sum(count) FROM (
           SELECT kind, state, count FROM erasure_copies WHERE erasure_id = ?1
           UNION ALL
           SELECT c.kind, c.state, 1 FROM erasing e
             CROSS JOIN messages m ON m.accepted_seq = e.message_seq
             CROSS JOIN copies c ON c.message_id = m.id
           WHERE e.erasure_id = ?1)
         GROUP BY kind, state ORDER BY kind, state",
    )?;
    let mut counted = statement.query([id.as_bytes()])?;
    let mut copies = Vec::new();
    while let Some(row) = counted.next()? {
        let (kind, state): (String, String) = (row.get(0)?, row.get(1)?);
        let kind = CopyKind::parse(&kind).ok_or_else(|| unreadable("kind"))?;
        let state = CopyState::parse(&state).ok_or_else(|| unreadable("state"))?;
        copies.push(CopyCount { kind, state, count: rows::count(row.get(2)?)? });
    }
    let (messages_found, left) = (rows::count(found)?, rows::count(left)?);
    let messages_removed = messages_found.saturating_sub(left);
    let asked_at = UnixMs(asked_at);
    Ok(Some(Erasure { id, asked_at, messages_found, messages_removed, copies }))
}

impl Erasures for SqliteLedger {
    fn look_for(
        &self,
        subject: Subject,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Sighting, ReadError>> {
        self.read(move |connection| look_for(connection, &subject, after_seq, limit))
    }

    fn begin(
        &self,
        id: Uuid,
        messages: Vec<u64>,
        lanes: Vec<Lane>,
        at: UnixMs,
    ) -> BoxFuture<'static, Result<(), CommitError>> {
        let begin = Removal::Begin { id, messages, lanes, at };
        self.write(begin, Operation::Remove).map(|begun| begun.map(drop)).boxed()
    }

    fn open(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<(u64, MessageId)>, ReadError>> {
        self.read(move |connection| open(connection, after_seq, limit))
    }

    fn remove(&self, messages: Vec<MessageId>) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.write(Removal::Remove(messages), Operation::Remove)
    }

    fn erasure(&self, id: Uuid) -> BoxFuture<'static, Result<Option<Erasure>, ReadError>> {
        self.read(move |connection| erasure(connection, id))
    }
}
