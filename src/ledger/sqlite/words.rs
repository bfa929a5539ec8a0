//! What guests and agents say and who they are, in a table of their own, whose rows never move
//! while there are words in them.
//!
//! SQLite erases what is deleted or replaced (`secure_delete`), but not what it copies: where pages
//! are filled, split or merged, the bytes of a row that moved stay in the unused part of the page
//! it came from, also when that row is erased later. So
//!
//! 1. rows are only appended: the last page is filled, and then a new one begun,
//! 2. they are erased where they stand, by zeros of the same length,
//! 3. they are deleted from the front only, and [`MARGIN`] rows behind the first that has words: a
//!    page that runs empty is merged with its neighbours, and their rows move. As long as a message
//!    is held, or its purge owed, the places behind its own stay.

use rusqlite::params;

use super::rows;
use super::store::Store;
use crate::domain::Record;

/// Rows without words that stay before the first one that has some. A page of 4 KiB holds about a
/// hundred of the shortest, and three pages are merged at once.
const MARGIN: i64 = 1_000;

/// The number that the next row gets.
pub(super) fn next_seq(connection: &Store) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT coalesce(max(seq), 0) + 1 FROM words")?
        .query_row([], |row| row.get(0))
}

/// Appends a row with the number that [`next_seq`] gave in the same transaction.
pub(super) fn append(
    connection: &Store,
    seq: i64,
    who: Option<Vec<u8>>,
    said: Option<Vec<u8>>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO words (seq, who, said) VALUES (?1, ?2, ?3)")?
        .execute(params![seq, who, said])?;
    Ok(())
}

/// Erases what a record has forgotten (invariant 11). What goes with its row, the schema erases.
pub(super) fn forget(connection: &Store, record: &Record) -> rusqlite::Result<()> {
    let (has_envelope, has_transcript) = (record.envelope.is_some(), record.transcript.is_some());
    if has_envelope && has_transcript {
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE words SET who = iif(?2, who, zeroblob(length(who))),
               said = iif(?3, said, zeroblob(length(said))), erased = NOT (?2 OR ?3)
             WHERE seq = (SELECT words_seq FROM messages WHERE accepted_seq = ?1) AND erased = 0",
        )?
        .execute(params![rows::stored_count(record.accepted_seq), has_envelope, has_transcript])?;
    Ok(())
}

/// Whether a stored value is one that was erased: a sealed value begins with the byte of its key,
/// and where that is 0, with JSON.
pub(super) fn is_erased(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == 0)
}

/// Deletes erased rows, at most `limit`.
pub(super) fn sweep(connection: &Store, limit: u32) -> rusqlite::Result<u64> {
    let mut front =
        connection.prepare_cached("SELECT seq, erased FROM words ORDER BY seq LIMIT ?1")?;
    let mut found = front.query([i64::from(limit).saturating_add(MARGIN)])?;
    let mut erased_up_to = 0;
    while let Some(row) = found.next()? {
        if !row.get::<_, bool>(1)? {
            break;
        }
        erased_up_to = row.get(0)?;
    }
    let swept = connection
        .prepare_cached("DELETE FROM words WHERE seq <= ?1")?
        .execute([erased_up_to - MARGIN])?;
    Ok(swept as u64)
}
