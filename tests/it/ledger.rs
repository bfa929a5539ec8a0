//! The ledger's contract, on a real file and in memory: commits, keys, restarts, refusals.

mod crash;
mod failures;
mod lock;
mod queries;
mod words;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use voicepost::domain::{CopyState, Event, Posted, Principal, Record, Stage, Step, UnixMs};
use voicepost::ledger::sqlite::{Fatal, SqliteLedger, SqliteOptions};
use voicepost::ledger::{
    AuditLog, CommitError, Committed, DueCopy, KeyChange, KeyClaim, KeyHolder, Ledger, OpenError,
    Transition,
};

use crate::samples::{START, id, intent, new_copy, plain};

fn never() -> Fatal {
    Arc::new(|reason| panic!("fatal: {reason}"))
}

fn open(directory: &Path) -> SqliteLedger {
    SqliteLedger::open(&directory.join("ledger.sqlite"), SqliteOptions::default(), never()).unwrap()
}

fn in_memory() -> SqliteLedger {
    SqliteLedger::in_memory(never()).unwrap()
}

fn accepted(record: &Record) -> Transition {
    Transition {
        record: record.clone(),
        expected_version: None,
        key: None,
        event: "accepted",
        detail: None,
        at: record.created_at,
    }
}

fn changed(record: &Record, event: &'static str) -> Transition {
    Transition { expected_version: Some(record.version), event, ..accepted(record) }
}

fn with_key(mut transition: Transition, key: &str) -> Transition {
    let claim = KeyClaim { key: key.to_owned(), fingerprint: [7; 32], taken_from: None };
    transition.key = Some(KeyChange::Claim(claim));
    transition
}

async fn one(ledger: &dyn Ledger, transition: Transition) -> Result<Committed, CommitError> {
    ledger.commit(vec![transition]).await.map(|all| all[0])
}

/// Accepts the record and gives it the version and the place the ledger chose.
async fn accept(ledger: &dyn Ledger, mut record: Record) -> Record {
    let done = one(ledger, accepted(&record)).await.unwrap();
    (record.version, record.accepted_seq) = (done.version, done.accepted_seq);
    record
}

/// Applies the events, each with its commit.
async fn happen(ledger: &dyn Ledger, record: &mut Record, events: &[Event]) {
    for event in events {
        record.apply(event, START).unwrap();
        record.version = one(ledger, changed(record, event.name())).await.unwrap().version;
    }
}

fn uploaded() -> Event {
    Event::Uploaded { copies: vec![new_copy()], post: Some(intent(Step::Post)) }
}

fn posted(due_at: UnixMs) -> Event {
    Event::Posted {
        posted: Posted { message_id: Some("m-1".to_owned()), ..Posted::default() },
        due_at,
        retention: false,
    }
}

#[tokio::test]
async fn a_message_is_kept_through_its_life_and_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let mut record = accept(&ledger, plain(1)).await;
    assert_eq!((record.version, record.accepted_seq), (1, 1));
    assert_eq!(ledger.find(id(1)).await.unwrap().as_ref(), Some(&record));
    let due_at = START.plus_seconds(900);
    happen(&ledger, &mut record, &[uploaded(), posted(due_at)]).await;
    assert_eq!(record.version, 3);
    assert_eq!(ledger.find(id(1)).await.unwrap().as_ref(), Some(&record));
    ledger.close();
    assert!(!directory.path().join("ledger.sqlite-wal").exists());

    let ledger = open(directory.path());
    assert_eq!(ledger.find(id(1)).await.unwrap().as_ref(), Some(&record));
    let due = ledger.due_copies(None, 10).await.unwrap();
    assert_eq!(due, [DueCopy { at: due_at, id: id(1), ordinal: 0 }]);
    happen(&ledger, &mut record, &[Event::CopyPurged { ordinal: 0 }]).await;
    assert_eq!(ledger.due_copies(None, 10).await.unwrap(), []);
    let found = ledger.find(id(1)).await.unwrap().unwrap();
    assert_eq!((found.transcript, found.envelope), (None, None));
    assert_eq!(found.copies[0].state, CopyState::Gone);
}

#[tokio::test]
async fn memory_and_file_tell_the_same_of_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { recent_max: 1, ..SqliteOptions::default() };
    let path = directory.path().join("ledger.sqlite");
    let ledger = SqliteLedger::open(&path, options, never()).unwrap();
    let mut first = accept(&ledger, plain(1)).await;
    happen(&ledger, &mut first, &[uploaded()]).await;
    // The first one is asked of the file from here on, this one of memory.
    let second = accept(&ledger, plain(2)).await;
    let stale = Record { version: 1, ..first.clone() };
    assert!(one(&ledger, changed(&stale, "posted")).await.is_err());
    for (record, number) in [(&first, 1), (&second, 2)] {
        assert_eq!(ledger.find(id(number)).await.unwrap().as_ref(), Some(record));
    }
    happen(&ledger, &mut first, &[posted(START), Event::CopyPurged { ordinal: 0 }]).await;
    assert_eq!(ledger.find(id(1)).await.unwrap().as_ref(), Some(&first));
    let later = START.plus_seconds(3_600);
    assert_eq!(ledger.sweep(later, later, 10).await.unwrap(), 1);
    assert_eq!(ledger.find(id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_conflict_changes_nothing() {
    let ledger = in_memory();
    let record = accept(&ledger, plain(1)).await;
    let mut stale = record.clone();
    stale.version = 7;
    stale.stage = Stage::Failed;
    stale.copies = plain_with_copy().copies;
    let refused = one(&ledger, changed(&stale, "failed")).await;
    assert_eq!(refused, Err(CommitError::Conflict { id: id(1), expected_version: 7 }));
    assert_eq!(ledger.find(id(1)).await.unwrap(), Some(record));
    assert_eq!(ledger.history_after(None, 0, 10).await.unwrap().len(), 1);

    let taken = one(&ledger, with_key(accepted(&plain(1)), "k")).await;
    assert_eq!(taken, Err(CommitError::Conflict { id: id(1), expected_version: 0 }));
    let key = ledger.by_key(Principal::loopback(), "k".to_owned()).await.unwrap();
    assert_eq!(key, None);
    let missing = one(&ledger, changed(&plain(2), "failed")).await;
    assert_eq!(missing, Err(CommitError::Conflict { id: id(2), expected_version: 0 }));
}

/// A key that a message gives up goes to the first who asks for it of that message.
#[tokio::test]
async fn a_key_is_taken_over_once() {
    let ledger = in_memory();
    let claims = |number, taken_from| {
        let mut transition = with_key(accepted(&plain(number)), "k");
        let Some(KeyChange::Claim(claim)) = &mut transition.key else { panic!("a claim") };
        claim.taken_from = taken_from;
        transition
    };
    one(&ledger, claims(1, None)).await.unwrap();
    let holder = KeyHolder { id: id(1), fingerprint: [7; 32] };
    let refused = one(&ledger, claims(2, Some(id(9)))).await;
    assert_eq!(refused, Err(CommitError::KeyTaken(holder)), "not of the one that has it");
    one(&ledger, claims(3, Some(id(1)))).await.unwrap();
    let holder = KeyHolder { id: id(3), fingerprint: [7; 32] };
    let late = one(&ledger, claims(4, Some(id(1)))).await;
    assert_eq!(late, Err(CommitError::KeyTaken(holder)), "it was faster");
}

fn plain_with_copy() -> Record {
    let mut record = plain(1);
    record.apply(&uploaded(), START).unwrap();
    record
}

#[tokio::test]
async fn of_many_claims_of_one_key_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Arc::new(open(directory.path()));
    let claims = (0..32).map(|number| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(
            async move { one(&*ledger, with_key(accepted(&plain(number)), "order")).await },
        )
    });
    let outcomes = futures_util::future::join_all(claims).await;
    let winners: Vec<u64> =
        (0..32).filter(|n| matches!(outcomes[*n as usize], Ok(Ok(_)))).collect();
    assert_eq!(winners.len(), 1);
    let holder = KeyHolder { id: id(winners[0]), fingerprint: [7; 32] };
    for (number, outcome) in (0..32).zip(outcomes) {
        if number != winners[0] {
            assert_eq!(outcome.unwrap(), Err(CommitError::KeyTaken(holder.clone())));
            assert_eq!(ledger.find(id(number)).await.unwrap(), None);
        }
    }
    let mut other = plain(99);
    other.principal = Principal("somebody-else".to_owned());
    one(&*ledger, with_key(accepted(&other), "order")).await.unwrap();
    let theirs = ledger.by_key(other.principal, "order".to_owned()).await.unwrap();
    assert_eq!(theirs.map(|holder| holder.id), Some(id(99)));
}

#[tokio::test]
async fn a_released_key_can_be_claimed_again() {
    let ledger = in_memory();
    one(&ledger, with_key(accepted(&plain(1)), "order")).await.unwrap();
    one(&ledger, with_key(accepted(&plain(2)), "other")).await.unwrap();
    let first = ledger.find(id(1)).await.unwrap().unwrap();
    let mut release = changed(&first, "failed");
    release.key = Some(KeyChange::Release);
    one(&ledger, release).await.unwrap();
    one(&ledger, with_key(accepted(&plain(3)), "order")).await.unwrap();
    let holder = |key: &str| ledger.by_key(Principal::loopback(), key.to_owned());
    assert_eq!(holder("order").await.unwrap().unwrap().id, id(3));
    assert_eq!(holder("other").await.unwrap().unwrap().id, id(2));
}

#[tokio::test]
async fn a_commit_of_several_is_all_or_nothing() {
    let ledger = in_memory();
    let first = accept(&ledger, plain(1)).await;
    let mut stale = accept(&ledger, plain(2)).await;
    stale.version = 9;
    let fresh = with_key(accepted(&plain(3)), "k");
    let batch = vec![changed(&first, "spooled"), fresh.clone(), changed(&stale, "spooled")];
    let refused = ledger.commit(batch).await;
    assert_eq!(refused, Err(CommitError::Conflict { id: id(2), expected_version: 9 }));
    assert_eq!(ledger.find(id(1)).await.unwrap().unwrap().version, 1);
    assert_eq!(ledger.find(id(3)).await.unwrap(), None);
    assert_eq!(ledger.history_after(None, 0, 10).await.unwrap().len(), 2);

    // The same message twice in one commit: the second sees the first.
    let twice = ledger.commit(vec![changed(&first, "a"), changed(&first, "b")]).await;
    assert_eq!(twice, Err(CommitError::Conflict { id: id(1), expected_version: 1 }));
    stale.version = 1;
    let batch = vec![changed(&first, "spooled"), fresh, changed(&stale, "spooled")];
    let done = ledger.commit(batch).await.unwrap();
    assert_eq!(done.iter().map(|done| done.version).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(done[0].accepted_seq, 1);
    assert!(done[1].accepted_seq > 2);
}

#[tokio::test]
async fn many_submitters_each_get_their_own_answer() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Arc::new(open(directory.path()));
    let lives = (0..64).map(|number| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            let mut record = accept(&*ledger, plain(number)).await;
            for version in 2..=20 {
                record.attempts += 1;
                let done = one(&*ledger, changed(&record, "tried")).await.unwrap();
                assert_eq!((done.version, done.accepted_seq), (version, record.accepted_seq));
                // A stale repeat in the same group is refused and spoils nobody's commit.
                let stale = one(&*ledger, changed(&record, "tried")).await;
                assert!(matches!(stale, Err(CommitError::Conflict { .. })));
                record.version = version;
            }
            (number, record.accepted_seq)
        })
    });
    let mut places = std::collections::BTreeSet::new();
    for life in futures_util::future::join_all(lives).await {
        let (number, place) = life.unwrap();
        places.insert(place);
        let found = ledger.find(id(number)).await.unwrap().unwrap();
        assert_eq!((found.version, found.attempts), (20, 20));
    }
    assert_eq!(places.len(), 64);
    let history = ledger.history_after(None, 0, 10_000).await.unwrap();
    assert_eq!(history.len(), 64 * 20);
    assert!(history.windows(2).all(|two| two[0].seq < two[1].seq));
}

#[tokio::test]
async fn a_second_opener_is_locked_out_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let path = directory.path().join("ledger.sqlite");
    let second = SqliteLedger::open(&path, SqliteOptions::default(), never());
    assert!(matches!(second, Err(OpenError::Locked(at)) if at == directory.path()));
    accept(&first, plain(1)).await;
    first.close();
    let refused = one(&first, accepted(&plain(2))).await;
    assert_eq!(refused, Err(CommitError::Closed));
    assert!(first.find(id(1)).await.is_err());
    let second = SqliteLedger::open(&path, SqliteOptions::default(), never()).unwrap();
    assert!(second.find(id(1)).await.unwrap().is_some());
}

#[test]
fn files_are_private_and_settings_are_those_that_durability_needs() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let ledger = open(&data);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    assert!(ledger.free_bytes().unwrap() > 0);
    drop(ledger);
    let file = Connection::open(data.join("ledger.sqlite")).unwrap();
    let text = |pragma| file.pragma_query_value(None, pragma, |row| row.get::<_, String>(0));
    let number = |pragma| file.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    assert_eq!(text("journal_mode").unwrap(), "wal");
    assert_eq!(number("user_version").unwrap(), 8);
    assert_eq!(number("application_id").unwrap(), 0x5650_5354);
}

#[tokio::test]
async fn a_ledger_of_the_first_schema_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.sqlite");
    let ledger = open(directory.path());
    let accepted = accept(&ledger, plain(1)).await;
    drop(ledger);
    let file = Connection::open(&path).unwrap();
    // What later steps have made.
    let later = "DROP TABLE erasing; DROP TABLE erasure_copies; DROP TABLE erasures; \
                 DROP TABLE audit; DROP TABLE replies; DROP INDEX messages_conversation; \
                 DROP INDEX messages_lane; DROP INDEX copies_put_off; \
                 DROP TRIGGER messages_words; \
                 ALTER TABLE messages ADD COLUMN envelope BLOB; \
                 ALTER TABLE messages ADD COLUMN transcript BLOB; \
                 UPDATE messages SET envelope = (SELECT who FROM words WHERE seq = words_seq), \
                   transcript = (SELECT said FROM words WHERE seq = words_seq); \
                 ALTER TABLE messages DROP COLUMN words_seq; DROP TABLE words; \
                 PRAGMA user_version = 1";
    file.execute_batch(later).unwrap();
    drop(file);
    let ledger = open(directory.path());
    assert_eq!(ledger.find(id(1)).await.unwrap(), Some(accepted));
    assert_eq!(ledger.latest(u64::MAX, 10).await.unwrap(), []);
}

#[test]
fn newer_and_foreign_files_are_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.sqlite");
    drop(open(directory.path()));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let refused = SqliteLedger::open(&path, SqliteOptions::default(), never());
    assert!(matches!(refused, Err(OpenError::NewerSchema { found: 9, known: 8, .. })));

    let foreign = directory.path().join("foreign.sqlite");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    let refused = SqliteLedger::open(&foreign, SqliteOptions::default(), never());
    assert!(matches!(refused, Err(OpenError::Failed { .. })));
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
}
