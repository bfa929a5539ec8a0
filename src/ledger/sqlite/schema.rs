//! The tables, the settings SQLite must run with, and the steps from one schema to the next.
//!
//! Times are integer milliseconds since 1970. A column exists where a query or an operator needs
//! it; the rest of a record is the JSON in `body`. What a guest said and who they are stands only
//! in the sealed columns of `words`, and signed media URLs in `intent` and `private`, see `seal`.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::SqliteOptions;

/// "VPST": tells our files from any other SQLite database.
const APPLICATION_ID: i32 = 0x5650_5354;

/// Messages that are not over: on their way, held, or with a clip or a call still to be settled.
/// Index and queries must say it in the same words, or SQLite does not use the index. Not with
/// `IN`: for three values that builds a table at every write.
macro_rules! live {
    () => {
        "(stage = 'accepted' OR stage = 'uploaded' OR stage = 'held'
          OR clip = 'spooled' OR intent_step IS NOT NULL)"
    };
}
pub(super) use live;

/// One step for each schema version; step `n` leads from version `n` to `n + 1`. A step that has
/// been released is never edited.
const STEPS: &[&str] = &[
    concat!(
        "
    CREATE TABLE messages (
      accepted_seq INTEGER PRIMARY KEY AUTOINCREMENT,
      id BLOB NOT NULL UNIQUE,
      version INTEGER NOT NULL,
      principal TEXT NOT NULL,
      route TEXT NOT NULL,
      lane TEXT NOT NULL,
      stage TEXT NOT NULL,
      clip TEXT NOT NULL,
      next_attempt_at INTEGER,
      created_at INTEGER NOT NULL,
      uploaded_at INTEGER,
      posted_at INTEGER,
      expires_at INTEGER NOT NULL,
      last_error_code TEXT,
      intent_step TEXT,
      intent BLOB,
      envelope BLOB,
      transcript BLOB,
      body TEXT NOT NULL
    );
    CREATE INDEX messages_live ON messages (accepted_seq) WHERE ",
        live!(),
        ";
    CREATE INDEX messages_created ON messages (created_at);

    CREATE TABLE copies (
      message_id BLOB NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
      ordinal INTEGER NOT NULL,
      kind TEXT NOT NULL,
      state TEXT NOT NULL,
      due_at INTEGER,
      retention TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      next_attempt_at INTEGER,
      last_error TEXT,
      host TEXT NOT NULL,
      client TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      private BLOB NOT NULL,
      PRIMARY KEY (message_id, ordinal)
    ) WITHOUT ROWID;
    CREATE INDEX copies_due ON copies (next_attempt_at, message_id, ordinal)
      WHERE state = 'owed' AND next_attempt_at IS NOT NULL;
    CREATE INDEX copies_orphaned ON copies (message_id) WHERE state = 'orphaned';

    CREATE TABLE keys (
      principal TEXT NOT NULL,
      key TEXT NOT NULL,
      message_id BLOB NOT NULL,
      fingerprint BLOB NOT NULL,
      created_at INTEGER NOT NULL,
      PRIMARY KEY (principal, key)
    ) WITHOUT ROWID;
    CREATE INDEX keys_created ON keys (created_at);

    CREATE TABLE history (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      message_seq INTEGER NOT NULL REFERENCES messages (accepted_seq) ON DELETE CASCADE,
      at INTEGER NOT NULL,
      event TEXT NOT NULL,
      detail TEXT
    );
    CREATE INDEX history_message ON history (message_seq);
    "
    ),
    "
    CREATE TABLE audit (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      at INTEGER NOT NULL,
      who TEXT NOT NULL,
      address TEXT NOT NULL,
      action TEXT NOT NULL,
      request_id TEXT NOT NULL,
      status INTEGER
    );
    ",
    "
    CREATE TABLE erasures (
      id BLOB PRIMARY KEY,
      asked_at INTEGER NOT NULL,
      found INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE erasure_copies (
      erasure_id BLOB NOT NULL REFERENCES erasures (id) ON DELETE CASCADE,
      kind TEXT NOT NULL,
      state TEXT NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (erasure_id, kind, state)
    ) WITHOUT ROWID;
    CREATE TABLE erasing (
      message_seq INTEGER NOT NULL REFERENCES messages (accepted_seq) ON DELETE CASCADE,
      erasure_id BLOB NOT NULL REFERENCES erasures (id) ON DELETE CASCADE,
      PRIMARY KEY (message_seq, erasure_id)
    ) WITHOUT ROWID;
    CREATE INDEX erasing_erasure ON erasing (erasure_id);
    ",
    "
    CREATE TABLE replies (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      reply_id TEXT NOT NULL UNIQUE,
      lane TEXT NOT NULL,
      came_at INTEGER NOT NULL,
      state TEXT NOT NULL,
      receipt_owed INTEGER NOT NULL,
      body BLOB NOT NULL
    );
    CREATE INDEX replies_lane ON replies (lane, seq);
    CREATE INDEX replies_owed ON replies (seq) WHERE receipt_owed = 1;
    CREATE INDEX replies_came ON replies (came_at);
    ",
    // Partial: only routes that bring replies pay for it.
    "
    CREATE INDEX messages_conversation ON messages (json_extract(body, '$.conversation_id'))
      WHERE route = 'open-messaging';
    ",
    // For look-ups of lost posts, on the route that has any.
    "
    CREATE INDEX messages_lane ON messages (lane, accepted_seq)
      WHERE route = 'open-messaging' AND posted_at IS NOT NULL;
    ",
    // What is to leave without a trace moves out of the rows that grow and move, see `words`.
    "
    CREATE TABLE words (
      seq INTEGER PRIMARY KEY,
      erased INTEGER NOT NULL DEFAULT 0,
      who BLOB,
      said BLOB
    );
    ALTER TABLE messages ADD COLUMN words_seq INTEGER;
    UPDATE messages SET words_seq = number FROM (
      SELECT accepted_seq AS seq, row_number() OVER (ORDER BY accepted_seq) AS number
      FROM messages WHERE envelope IS NOT NULL OR transcript IS NOT NULL)
    WHERE seq = accepted_seq;
    INSERT INTO words (seq, who, said)
      SELECT words_seq, envelope, transcript FROM messages
      WHERE words_seq IS NOT NULL ORDER BY words_seq;
    ALTER TABLE messages DROP COLUMN envelope;
    ALTER TABLE messages DROP COLUMN transcript;

    ALTER TABLE replies ADD COLUMN words_seq INTEGER;
    UPDATE replies SET words_seq = number + (SELECT coalesce(max(seq), 0) FROM words) FROM (
      SELECT seq AS reply_seq, row_number() OVER (ORDER BY seq) AS number FROM replies)
    WHERE reply_seq = seq;
    INSERT INTO words (seq, said) SELECT words_seq, body FROM replies ORDER BY words_seq;
    ALTER TABLE replies DROP COLUMN body;

    CREATE TRIGGER messages_words AFTER DELETE ON messages BEGIN
      UPDATE words SET who = zeroblob(length(who)), said = zeroblob(length(said)), erased = 1
      WHERE seq = old.words_seq;
    END;
    CREATE TRIGGER replies_words AFTER DELETE ON replies BEGIN
      UPDATE words SET who = zeroblob(length(who)), said = zeroblob(length(said)), erased = 1
      WHERE seq = old.words_seq;
    END;
    ",
    // Purges that were tried and put off: few, and among them are those whose clock was ahead.
    "
    CREATE INDEX copies_put_off ON copies (next_attempt_at)
      WHERE state = 'owed' AND next_attempt_at > due_at;
    ",
];

/// The step to this schema begins with a rewrite of the whole file: before, words stood in rows
/// that move, and so in unused bytes. A step of its own, so that a start that is cut off in the
/// rewrite does it again.
const REWRITTEN: usize = 8;

/// The newest schema this program knows.
pub(super) const KNOWN: u32 = STEPS.len() as u32;

/// Why a database is not fit to be the ledger.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("schema {0} is newer than this program")]
    Newer(u32),
    #[error("the file is another program's database (application id {0:#010x})")]
    Foreign(i32),
    #[error("sqlite did not take `{pragma} = {wanted}`, it says {found}")]
    Refused { pragma: &'static str, wanted: String, found: String },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Checks whose file this is before anything is written to it; returns its schema version.
pub(super) fn identify(connection: &Connection) -> Result<u32, Unfit> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    let untouched = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !untouched {
        return Err(Unfit::Foreign(application));
    }
    if version > KNOWN {
        return Err(Unfit::Newer(version));
    }
    Ok(version)
}

/// Brings the schema from `version` to [`KNOWN`], each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection, version: u32) -> Result<(), Unfit> {
    for (number, step) in STEPS.iter().enumerate().skip(version as usize) {
        if number + 1 == REWRITTEN && version > 0 {
            connection.execute_batch("VACUUM")?;
        }
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number as u32 + 1)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Sets what durability, erasure and integrity rest on, and reads it back: SQLite ignores what it
/// cannot do without saying so.
pub(super) fn configure(
    connection: &Connection,
    options: &SqliteOptions,
    in_memory: bool,
) -> Result<(), Unfit> {
    let journal = if in_memory { "memory" } else { "wal" };
    for (pragma, wanted) in [
        ("busy_timeout", options.busy_timeout_ms.to_string()),
        ("journal_mode", journal.to_owned()),
        // 2 is FULL: the WAL is synced at every commit.
        ("synchronous", "2".to_owned()),
        ("secure_delete", "1".to_owned()),
        ("foreign_keys", "1".to_owned()),
        ("wal_autocheckpoint", options.wal_autocheckpoint_pages.to_string()),
        ("temp_store", "2".to_owned()),
        ("cache_size", (-i64::from(options.cache_kib)).to_string()),
    ] {
        set(connection, pragma, &wanted)?;
    }
    if let Some(pages) = options.pages_max {
        set(connection, "max_page_count", &pages.to_string())?;
    }
    plan_once(connection)?;
    Ok(())
}

/// Statements are prepared and planned once. Left alone, SQLite plans one anew when its arguments
/// look different; these have one good plan, whatever the arguments.
pub(super) fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn set(connection: &Connection, pragma: &'static str, wanted: &str) -> Result<(), Unfit> {
    // Some pragmas answer with a row and some do not; both are fine, the read-back decides.
    connection.execute_batch(&format!("PRAGMA {pragma} = {wanted}"))?;
    let found = connection.pragma_query_value(None, pragma, |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str().unwrap_or("").to_owned(),
        })
    })?;
    if found == wanted {
        return Ok(());
    }
    Err(Unfit::Refused { pragma, wanted: wanted.to_owned(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_and_refused_when_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let file = Connection::open(directory.path().join("x.sqlite")).unwrap();
        configure(&file, &SqliteOptions::default(), false).unwrap();
        for (pragma, wanted) in [("synchronous", 2), ("secure_delete", 1), ("foreign_keys", 1)] {
            let found: i64 = file.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
            assert_eq!(found, wanted, "{pragma}");
        }
        // A database in memory cannot have a write-ahead log.
        let memory = Connection::open_in_memory().unwrap();
        let refused = configure(&memory, &SqliteOptions::default(), false);
        assert!(matches!(refused, Err(Unfit::Refused { pragma: "journal_mode", .. })));
    }
}
