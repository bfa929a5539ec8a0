//! The statements that change rows. They run inside the writer's transaction and tell apart what
//! concerns one commit (a conflict, a key that is taken) from what concerns them all (an error of
//! the store).

use rusqlite::params;

use super::audit;
use super::erasure;
use super::read;
use super::replies;
use super::rows;
use super::seal::{self, Kind};
use super::store::Store;
use super::words;
use crate::domain::{MessageId, Record, UnixMs};
use crate::ledger::{CommitError, Committed, KeyChange, KeyClaim, Transition};

/// What a commit came to: its own refusal is inside, the store's failure outside.
type Applied<T> = rusqlite::Result<Result<T, CommitError>>;

/// Applies all transitions of one commit or none.
pub(super) fn apply(connection: &Store, batch: &[Transition]) -> Applied<Vec<Committed>> {
    // A single transition refuses before its first write, so only several need to be undone.
    let several = batch.len() > 1;
    if several {
        connection.prepare_cached("SAVEPOINT batch")?.execute([])?;
    }
    let applied = apply_each(connection, batch)?;
    if several && applied.is_err() {
        connection.prepare_cached("ROLLBACK TO batch")?.execute([])?;
    }
    if several {
        connection.prepare_cached("RELEASE batch")?.execute([])?;
    }
    Ok(applied)
}

fn apply_each(connection: &Store, batch: &[Transition]) -> Applied<Vec<Committed>> {
    let mut committed = Vec::with_capacity(batch.len());
    for transition in batch {
        let applied = match transition.expected_version {
            None => insert(connection, transition)?,
            Some(expected) => update(connection, transition, expected)?,
        };
        match applied {
            Ok(done) => committed.push(done),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(committed))
}

fn insert(connection: &Store, transition: &Transition) -> Applied<Committed> {
    let record = &transition.record;
    let claim = match &transition.key {
        Some(KeyChange::Claim(claim)) => Some(claim),
        Some(KeyChange::Release) | None => None,
    };
    if let Some(claim) = claim
        && let Some(holder) = read::key_holder(connection, &record.principal, &claim.key)?
        && claim.taken_from != Some(holder.id)
    {
        return Ok(Err(CommitError::KeyTaken(holder)));
    }
    let Some(seq) = insert_message(connection, record)? else {
        return Ok(Err(CommitError::Conflict { id: record.id, expected_version: 0 }));
    };
    if let Some(claim) = claim {
        insert_key(connection, record, claim)?;
    }
    write_copies(connection, record)?;
    write_history(connection, seq, transition)?;
    Ok(Ok(Committed { version: 1, accepted_seq: seq.unsigned_abs() }))
}

fn update(connection: &Store, transition: &Transition, expected: u64) -> Applied<Committed> {
    let record = &transition.record;
    if !update_message(connection, record, expected)? {
        let conflict = CommitError::Conflict { id: record.id, expected_version: expected };
        return Ok(Err(conflict));
    }
    words::forget(connection, record)?;
    if let Some(KeyChange::Release) = &transition.key {
        release_key(connection, record.id, record.created_at)?;
    }
    write_copies(connection, record)?;
    write_history(connection, rows::stored_count(record.accepted_seq), transition)?;
    let version = expected.saturating_add(1);
    Ok(Ok(Committed { version, accepted_seq: record.accepted_seq }))
}

/// Returns the number of acceptance; `None`, and writes nothing, where the id is there already.
fn insert_message(connection: &Store, record: &Record) -> rusqlite::Result<Option<i64>> {
    let sealer = connection.sealer();
    let words_seq = words::next_seq(connection)?;
    let inserted = connection
        .prepare_cached(
            "INSERT INTO messages (id, version, principal, route, lane, stage, clip,
               next_attempt_at, created_at, uploaded_at, posted_at, expires_at, last_error_code,
               intent_step, intent, words_seq, body)
             VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            record.id.as_bytes(),
            record.principal.0,
            record.route.as_str(),
            record.lane.0,
            record.stage.as_str(),
            record.clip.as_str(),
            record.next_attempt_at.map(|at| at.0),
            record.created_at.0,
            record.uploaded_at.map(|at| at.0),
            record.posted_at.map(|at| at.0),
            record.expires_at.0,
            record.last_error_code.map(|code| code.as_str()),
            record.intent.as_ref().map(|intent| intent.step.as_str()),
            rows::intent_value(record, sealer)?,
            words_seq,
            rows::body_value(record)?,
        ])?;
    if inserted == 0 {
        return Ok(None);
    }
    let seq = connection.last_insert_rowid();
    let who = rows::json_value(record.envelope.as_ref(), sealer, Kind::Envelope)?;
    let said = rows::json_value(record.transcript.as_ref(), sealer, Kind::Transcript)?;
    words::append(connection, words_seq, who, said)?;
    Ok(Some(seq))
}

/// What acceptance fixed (id, principal, route, lane, `created_at`) is never written again, and
/// what was said and by whom does not change: it only leaves (invariant 11). Returns false, and
/// writes nothing, where the record is not at the expected version.
fn update_message(connection: &Store, record: &Record, expected: u64) -> rusqlite::Result<bool> {
    let updated = connection
        .prepare_cached(
            "UPDATE messages SET version = version + 1, stage = ?3, clip = ?4, next_attempt_at = ?5,
               uploaded_at = ?6, posted_at = ?7, expires_at = ?8, last_error_code = ?9,
               intent_step = ?10, intent = ?11, body = ?12
             WHERE accepted_seq = ?1 AND version = ?2 AND id = ?13",
        )?
        .execute(params![
            rows::stored_count(record.accepted_seq),
            rows::stored_count(expected),
            record.stage.as_str(),
            record.clip.as_str(),
            record.next_attempt_at.map(|at| at.0),
            record.uploaded_at.map(|at| at.0),
            record.posted_at.map(|at| at.0),
            record.expires_at.0,
            record.last_error_code.map(|code| code.as_str()),
            record.intent.as_ref().map(|intent| intent.step.as_str()),
            rows::intent_value(record, connection.sealer())?,
            rows::body_value(record)?,
            record.id.as_bytes(),
        ])?;
    Ok(updated == 1)
}

/// Writes the copies that are new or have changed. A record never loses a copy: it is settled.
fn write_copies(connection: &Store, record: &Record) -> rusqlite::Result<()> {
    if record.copies.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO copies (message_id, ordinal, kind, state, due_at, retention, attempts,
           next_attempt_at, last_error, host, client, created_at, private)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (message_id, ordinal) DO UPDATE SET
           state = excluded.state, due_at = excluded.due_at, retention = excluded.retention,
           attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,
           last_error = excluded.last_error, private = excluded.private
         WHERE (state, due_at, retention, attempts, next_attempt_at, last_error, private)
           IS NOT (excluded.state, excluded.due_at, excluded.retention, excluded.attempts,
             excluded.next_attempt_at, excluded.last_error, excluded.private)",
    )?;
    for copy in &record.copies {
        statement.execute(params![
            record.id.as_bytes(),
            copy.ordinal,
            copy.kind.as_str(),
            copy.state.as_str(),
            copy.due_at.map(|at| at.0),
            copy.retention.as_str(),
            copy.attempts,
            copy.next_attempt_at.map(|at| at.0),
            copy.last_error,
            copy.host,
            copy.client,
            copy.created_at.0,
            seal::seal(connection.sealer(), Kind::Copy, &copy.private.0)?,
        ])?;
    }
    Ok(())
}

fn write_history(connection: &Store, seq: i64, transition: &Transition) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO history (message_seq, at, event, detail) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![seq, transition.at.0, transition.event, transition.detail])?;
    Ok(())
}

fn insert_key(connection: &Store, record: &Record, claim: &KeyClaim) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO keys (principal, key, message_id, fingerprint, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (principal, key) DO UPDATE SET message_id = excluded.message_id,
               fingerprint = excluded.fingerprint, created_at = excluded.created_at",
        )?
        .execute(params![
            record.principal.0,
            claim.key,
            record.id.as_bytes(),
            claim.fingerprint,
            record.created_at.0,
        ])?;
    Ok(())
}

/// Deletes the key of a message. It is as old as its message, so the index on the time finds it
/// without one on the message.
pub(super) fn release_key(
    connection: &Store,
    id: MessageId,
    created_at: UnixMs,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM keys WHERE created_at = ?1 AND message_id = ?2")?
        .execute(params![created_at.0, id.as_bytes()])?;
    Ok(())
}

/// What is to be deleted for its age.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    pub(super) keys_before: UnixMs,
    pub(super) records_before: UnixMs,
    pub(super) limit: u32,
}

/// Deletes what has served its time; copies and history go with their message.
pub(super) fn sweep(connection: &Store, sweep: Sweep) -> rusqlite::Result<u64> {
    let keys = connection
        .prepare_cached(
            "DELETE FROM keys WHERE (principal, key) IN (
               SELECT principal, key FROM keys INDEXED BY keys_created
               WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
        )?
        .execute(params![sweep.keys_before.0, sweep.limit])?;
    // A record never goes before its key: a repeat would be told of a message nobody knows.
    let records_before = sweep.records_before.min(sweep.keys_before);
    let records = connection
        .prepare_cached(
            "DELETE FROM messages WHERE accepted_seq IN (
               SELECT accepted_seq FROM messages m INDEXED BY messages_created
               WHERE created_at < ?1 AND stage IN ('sent','failed','cancelled')
                 AND clip <> 'spooled' AND intent_step IS NULL
                 AND NOT EXISTS (
                   SELECT 1 FROM copies c WHERE c.message_id = m.id AND c.state = 'owed')
               ORDER BY created_at LIMIT ?2)",
        )?
        .execute(params![records_before.0, sweep.limit])?;
    let others = audit::sweep(connection, sweep.records_before)?
        + erasure::sweep(connection, sweep.records_before)?
        + replies::sweep(connection, sweep.records_before)?
        + words::sweep(connection, sweep.limit)?;
    Ok(keys as u64 + records as u64 + others)
}
