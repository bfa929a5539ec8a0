//! What was acknowledged is there after `kill -9`, and a killed process leaves no lock behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};
use voicepost::ledger::{Ledger, OpenError};

use super::{accept, changed, never, one, open};
use crate::samples::{id, plain};

const DIRECTORY: &str = "VOICEPOST_TEST_CRASH_DIRECTORY";

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::crash::commits_until_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    while told.lines().count() < 500 {
        assert!(lines.read_line(&mut told).unwrap() > 0, "the child ended: {told}");
    }
    let path = directory.path().join("ledger.sqlite");
    let second = SqliteLedger::open(&path, SqliteOptions::default(), never());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    child.kill().unwrap();
    child.wait().unwrap();
    lines.read_to_string(&mut told).unwrap();

    let ledger = open(directory.path());
    let mut acknowledged = 0;
    for line in told.lines().filter_map(|line| line.strip_prefix("committed ")) {
        // The kill may have cut off the last line.
        let Some((number, version)) = line.split_once(' ') else { continue };
        let (Ok(number), Ok(version)) = (number.parse(), version.parse::<u64>()) else { continue };
        let found = ledger.find(id(number)).await.unwrap().unwrap();
        assert!(found.version >= version && found.attempts as u64 == found.version);
        acknowledged += 1;
    }
    assert!(acknowledged >= 400, "{acknowledged} commits");
    drop(ledger);
    let file = Connection::open(&path).unwrap();
    let sound: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

#[tokio::test]
#[ignore = "runs until it is killed: the child process of the test above"]
async fn commits_until_killed() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let ledger = Arc::new(open(Path::new(&directory)));
    let tell = |number: u64, version: u64| {
        // One write a line, so that a kill cuts off at most the last.
        let line = format!("committed {number} {version}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    };
    let submitters = (0..16).map(|submitter| {
        let ledger = Arc::clone(&ledger);
        async move {
            for number in (submitter..).step_by(16) {
                let mut record = accept(&*ledger, plain(number)).await;
                tell(number, record.version);
                record.attempts += 1;
                tell(number, one(&*ledger, changed(&record, "tried")).await.unwrap().version);
            }
        }
    });
    futures_util::future::join_all(submitters).await;
}
