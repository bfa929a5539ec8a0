//! The reckoning finds what it is there to find: a clean run is spoilt in one way after the other.

use std::time::Duration;

use rusqlite::Connection;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};

use crate::load::{Book, Told};
use crate::process::{Send, World};
use crate::reckoning::{Exempt, Reckoning};

/// Two messages of a lane, delivered and purged; the post of the second made twice, and marked.
fn lived() -> (World, Book) {
    let world = World::new(&[]);
    let cut = FaultAction::cut(Cut::After);
    world.faults(vec![FaultRule::new(Endpoint::Post, cut).skip(1).times(1)]);
    let gateway = world.start();
    let mut book = Book::default();
    for key in ["one", "two"] {
        book.send(Send::new("c-1", key).key(key), gateway.public);
    }
    gateway.settled(Duration::from_secs(20));
    (world, book)
}

fn reckoned(world: &World, book: &Book) -> Reckoning {
    Reckoning::of(world, book, &Exempt::default())
}

/// What is found once the ledger's file has been falsified.
fn falsified(sql: &str) -> Reckoning {
    let (world, book) = lived();
    let clean = reckoned(&world, &book);
    assert!(clean.is_clean() && clean.doubled == 1 && clean.marked == 1, "{clean}");
    let file = Connection::open(world.data.path().join("voicepost.db")).unwrap();
    file.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    assert!(file.total_changes() > 0, "nothing was falsified: {sql}");
    reckoned(&world, &book)
}

/// Invariant 1, invariant 3, invariant 4 and invariant 7: a breach of each is seen.
#[test]
fn a_breach_of_each_promise_is_found() {
    let failed = falsified("UPDATE messages SET stage = 'failed' WHERE accepted_seq = 1;");
    assert_eq!(failed.lost.len(), 1, "{failed}");
    let forgotten = falsified("DELETE FROM messages WHERE accepted_seq = 1;");
    assert_eq!(forgotten.lost.len(), 1, "{forgotten}");
    let released = falsified("DELETE FROM keys WHERE key = 'one';");
    assert_eq!(released.lost.len(), 1, "{released}");
    let unmarked = falsified(
        "UPDATE messages SET body = json_set(body, '$.possible_duplicate', json('false'));",
    );
    assert_eq!(unmarked.doubled_unmarked.len(), 1, "{unmarked}");
    let unsaid = falsified("DELETE FROM history WHERE event = 'post-lost';");
    assert_eq!(unsaid.doubled_unmarked.len(), 1, "{unsaid}");
    let late = falsified("UPDATE messages SET accepted_seq = 9 WHERE accepted_seq = 1;");
    assert_eq!(late.out_of_order.len(), 2, "the first posts and the last ones: {late}");
    let owed = falsified("UPDATE copies SET state = 'owed';");
    assert!(!owed.unaccounted.is_empty(), "{owed}");
}

#[test]
fn a_promise_without_a_post_and_a_clip_left_behind_are_found() {
    let (world, mut book) = lived();
    let id = book.told[0].id.clone();
    book.told.push(Told { key: "never".to_owned(), id, status: 202 });
    std::fs::write(world.data.path().join("spool/stray.clip"), b"left").unwrap();
    let found = reckoned(&world, &book);
    assert_eq!((found.lost.len(), found.unaccounted.len()), (1, 1), "{found}");
}
