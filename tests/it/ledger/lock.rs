//! One process uses a ledger, by whatever path.

use voicepost::ledger::OpenError;
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};

use super::never;
use crate::support::{Form, TestGateway};

/// Whatever is deleted in the directory, and by whatever path the file is named.
#[test]
fn no_other_way_to_the_same_file_gets_past_the_lock() {
    let base = tempfile::tempdir().unwrap();
    let (data, linked, elsewhere) =
        (base.path().join("data"), base.path().join("linked"), base.path().join("elsewhere"));
    let _first =
        SqliteLedger::open(&data.join("ledger.sqlite"), SqliteOptions::default(), never()).unwrap();
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap().path();
        if !file.file_name().unwrap().to_str().unwrap().starts_with("ledger.sqlite") {
            std::fs::remove_file(file).unwrap();
        }
    }
    std::os::unix::fs::symlink(&data, &linked).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    let link = elsewhere.join("other.sqlite");
    std::os::unix::fs::symlink(data.join("ledger.sqlite"), &link).unwrap();
    for path in [data.join("ledger.sqlite"), linked.join("ledger.sqlite"), link] {
        let second = SqliteLedger::open(&path, SqliteOptions::default(), never());
        assert!(matches!(second, Err(OpenError::Locked(_))), "{}", path.display());
    }
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_makes_it_private() {
    use std::os::unix::fs::PermissionsExt;
    let base = tempfile::tempdir().unwrap();
    let (link, file) = (base.path().join("link.sqlite"), base.path().join("file.sqlite"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    drop(SqliteLedger::open(&link, SqliteOptions::default(), never()).unwrap());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// A process does not keep itself out.
#[test]
fn a_spool_in_the_directory_of_the_ledger_is_no_second_user_of_it() {
    let builder = TestGateway::builder();
    std::os::unix::fs::symlink(builder.data(), builder.data().join("spool")).unwrap();
    let gateway = builder.start();
    gateway.send(&Form::sample().header("Prefer", "respond-async")).receipt(202);
}
