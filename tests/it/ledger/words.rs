//! What is forgotten leaves the file, to the last byte.

use rusqlite::Connection;
use voicepost::domain::{Envelope, Event, Record, Transcript, UnixMs};
use voicepost::ledger::Ledger;

use super::{accept, accepted, changed, happen, open, posted, uploaded};
use crate::samples::{START, plain};

#[tokio::test]
async fn what_is_forgotten_is_not_in_the_file_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let mut record = plain(1);
    let text = "an unmistakable sentence about a parcel".to_owned();
    record.transcript = Some(Transcript::choose(Some(text.clone()), ""));
    let mut record = accept(&ledger, record).await;
    let found_in = |name: &str| {
        let bytes = std::fs::read(directory.path().join(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(found_in("ledger.sqlite-wal"));
    let events = [uploaded(), posted(START), Event::CopyPurged { ordinal: 0 }];
    happen(&ledger, &mut record, &events).await;
    // The log is emptied after the sweep's answer, and before the next one's.
    for _ in 0..2 {
        ledger.sweep(UnixMs(0), UnixMs(0), 1).await.unwrap();
    }
    assert!(!found_in("ledger.sqlite-wal"));
    // Not read while the ledger is open: closing it here would drop SQLite's POSIX locks.
    ledger.close();
    assert!(!found_in("ledger.sqlite"));
}

/// SQLite leaves the bytes of rows that moved between pages in what is unused of them.
#[tokio::test]
async fn no_words_are_left_where_rows_have_moved() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let mut under_way: Vec<Record> = Vec::new();
    for round in 0..100 {
        let mut came: Vec<Record> = (0..30).map(|number| wordy(round * 30 + number)).collect();
        commit_all(&ledger, &mut came, "accepted", None).await;
        // Some stay for a while, as where answers are late.
        under_way.extend(came);
        let is_late = |record: &Record| record.accepted_seq % 7 < 3 && round % 10 != 9;
        let (late, mut over): (Vec<_>, Vec<_>) = under_way.into_iter().partition(is_late);
        under_way = late;
        for event in [uploaded(), posted(START), Event::CopyPurged { ordinal: 0 }] {
            commit_all(&ledger, &mut over, event.name(), Some(&event)).await;
        }
        ledger.sweep(UnixMs(0), UnixMs(0), 100).await.unwrap();
    }
    assert_eq!(under_way, []);
    while ledger.sweep(UnixMs(0), UnixMs(0), 100).await.unwrap() > 0 {}
    ledger.close();
    let path = directory.path().join("ledger.sqlite");
    let file = std::fs::read(&path).unwrap();
    let left = file.windows(SAID.len()).filter(|found| *found == SAID.as_bytes()).count();
    assert_eq!(left, 0);
    // Nor do the places where they stood add up.
    let count = |table| format!("SELECT count(*) FROM {table}");
    let file = Connection::open(&path).unwrap();
    let rows = |table| file.query_row(&count(table), [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((rows("messages"), rows("words")), (3_000, 1_000));
}

/// Earlier schemas left words in unused bytes. They are rewritten also where the start that was to
/// do it was cut off behind its step.
#[tokio::test]
async fn a_file_that_was_not_rewritten_is_rewritten_by_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let path = directory.path().join("ledger.sqlite");
    let file = Connection::open(&path).unwrap();
    let remains = format!(
        "PRAGMA secure_delete = 0; CREATE TABLE old (said TEXT); INSERT INTO old VALUES ('{SAID}');
         DROP TABLE old; DROP INDEX copies_put_off; PRAGMA user_version = 7"
    );
    file.execute_batch(&remains).unwrap();
    drop(file);
    let are_there = || {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(SAID.len()).any(|window| window == SAID.as_bytes())
    };
    assert!(are_there());
    open(directory.path()).close();
    assert!(!are_there());
}

const SAID: &str = "what was said and by whom, ";

fn wordy(number: u64) -> Record {
    let words = SAID.repeat(1 + (number % 9) as usize);
    let envelope = Envelope { sender_id: Some(words.clone()), ..Envelope::default() };
    let transcript = Some(Transcript::choose(Some(words), ""));
    Record { envelope: Some(envelope), transcript, ..plain(number) }
}

/// One commit for all of them.
async fn commit_all(
    ledger: &dyn Ledger,
    records: &mut [Record],
    name: &'static str,
    event: Option<&Event>,
) {
    let transitions = records.iter_mut().map(|record| match event {
        Some(event) => {
            record.apply(event, START).unwrap();
            changed(record, name)
        }
        None => accepted(record),
    });
    let committed = ledger.commit(transitions.collect()).await.unwrap();
    for (record, done) in records.iter_mut().zip(committed) {
        (record.version, record.accepted_seq) = (done.version, done.accepted_seq);
    }
}
