//! Starts that must not happen.

use std::process::Output;

use voicepost::domain::RouteName;

use crate::process::World;

fn refused(world: &World) -> String {
    let Output { status, stderr, .. } = world.serve().output().expect("the program starts");
    let said = String::from_utf8(stderr).expect("it writes UTF-8");
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let world = World::new(&[]);
    let gateway = world.start();
    let said = refused(&world);
    assert!(said.contains("another process uses the data directory"), "{said}");
    assert!(said.contains(world.data.path().to_str().unwrap()), "it names which: {said}");
    assert_eq!(gateway.admin("/admin/state")["draining"], false);
}

#[test]
fn a_ledger_of_a_newer_program_is_refused_and_left_as_it_is() {
    let world = World::new(&[]);
    let gateway = world.start();
    gateway.terminate();
    assert_eq!(gateway.ended().code(), Some(0));
    let path = world.data.path().join("voicepost.db");
    let ledger = rusqlite::Connection::open(&path).unwrap();
    ledger.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    let before = std::fs::read(&path).unwrap();
    let said = refused(&world);
    assert!(said.contains("schema 99, newer than the"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// The media host's clips would be swept as the spool's strays.
#[test]
fn one_directory_for_the_spool_and_the_media_host_is_refused() {
    let settings = [("SPOOL__DIR", "."), ("GENESYS__OPEN_MESSAGING__FILES_DIR", ".")];
    let said = refused(&World::on(RouteName::OpenMessaging, &settings));
    assert!(said.contains("each wants a directory of its own"), "{said}");
}
