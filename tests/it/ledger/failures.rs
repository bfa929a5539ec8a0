//! A full disk, a broken disk, a value under a key that nobody has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use voicepost::domain::{Private, Stage, Transcript, TranscriptSource};
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};
use voicepost::ledger::{CommitError, Ledger};

use super::{accept, accepted, changed, never, one, open};
use crate::samples::{START, id, plain};

#[tokio::test]
async fn a_full_disk_refuses_commits_and_later_ones_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.sqlite");
    let options = SqliteOptions { pages_max: Some(64), ..SqliteOptions::default() };
    let ledger = SqliteLedger::open(&path, options, never()).unwrap();
    let bulky = |number| {
        let mut record = plain(number);
        let text = "x".repeat(4096);
        record.transcript = Some(Transcript { text, source: TranscriptSource::Sender });
        record
    };
    let mut kept = 0;
    let refused = loop {
        match one(&ledger, accepted(&bulky(kept))).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, CommitError::StorageFull);
    assert!(kept > 5, "{kept} messages fitted");
    assert_eq!(ledger.find(id(kept)).await.unwrap(), None);

    // What needs no room still works, and what it frees can be used again.
    for number in 0..kept {
        let mut record = ledger.find(id(number)).await.unwrap().unwrap();
        (record.stage, record.intent) = (Stage::Sent, None);
        (record.envelope, record.transcript) = (None, None);
        assert_eq!(one(&ledger, changed(&record, "forgotten")).await.unwrap().version, 2);
        assert_eq!(ledger.find(id(number)).await.unwrap().unwrap().transcript, None);
    }
    let history = ledger.history_after(None, 0, 1000).await.unwrap();
    assert_eq!(history.len() as u64, 2 * kept);
    let later = START.plus_seconds(3_600);
    assert_eq!(ledger.sweep(later, later, 1000).await.unwrap(), kept);
    accept(&ledger, plain(kept)).await;
}

#[tokio::test]
async fn a_broken_store_ends_the_process_and_answers_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.sqlite");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let fatal = Arc::new(move |reason: String| {
        assert!(reason.starts_with("a commit of the ledger failed"), "{reason}");
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let ledger = SqliteLedger::open(&path, SqliteOptions::default(), fatal).unwrap();
    accept(&ledger, plain(1)).await;
    // Somebody pulls a table away behind the ledger's back.
    Connection::open(&path).unwrap().execute_batch("DROP TABLE history").unwrap();
    assert_eq!(one(&ledger, accepted(&plain(2))).await, Err(CommitError::Closed));
    assert_eq!(one(&ledger, accepted(&plain(3))).await, Err(CommitError::Closed));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    ledger.close();
    let file = Connection::open(&path).unwrap();
    let messages: i64 =
        file.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!(messages, 1);
}

#[tokio::test]
async fn a_value_under_an_unknown_key_is_an_error_and_stays_out_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    accept(&ledger, plain(1)).await;
    drop(ledger);
    let file = Connection::open(directory.path().join("ledger.sqlite")).unwrap();
    let (first, length): (i64, i64) = file
        .query_row("SELECT hex(substr(said, 1, 1)), length(said) FROM words", [], |row| {
            Ok((row.get::<_, String>(0)?.parse().unwrap(), row.get(1)?))
        })
        .unwrap();
    assert_eq!(first, 0);
    assert!(length > 1);
    file.execute_batch("UPDATE words SET said = x'01c0ffee'").unwrap();
    drop(file);
    let ledger = open(directory.path());
    let error = ledger.find(id(1)).await.unwrap_err().to_string();
    assert_eq!(error, "the ledger cannot be read: a value is sealed with unknown key 1");
}

#[tokio::test]
async fn the_largest_private_value_fits() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let mut record = plain(1);
    record.intent.as_mut().unwrap().private = Private(vec![0xff; Private::BYTES_MAX]);
    let record = accept(&ledger, record).await;
    assert_eq!(ledger.find(id(1)).await.unwrap(), Some(record));
    assert_eq!(ledger.history_after(None, 0, 1).await.unwrap()[0].at, START);
}
