//! kill -9 at each point of a message's way, for a clip in memory and for one in the spool.

use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};

use super::{copies, states};
use crate::process::{Send, World, late, wait_until};

fn one(conversation: &str) -> Send {
    Send::new(conversation, "Good morning, where is my parcel?").key("key-1")
}

/// Long enough to be killed in.
const HELD_SECONDS: u64 = 60;

#[test]
fn killed_during_the_upload_a_message_in_memory_has_failed_and_its_key_is_free() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, HELD_SECONDS);
    let sender = gateway.sending(one("c-1"));
    wait_until("the upload took effect", || world.uploads() == 1);
    let id = gateway.queue()[0].clone();
    gateway.kill();
    assert!(sender.join().unwrap().is_none(), "nobody was told a 2xx");
    world.release();

    let gateway = world.start();
    let receipt = gateway.receipt_at(&id, "failed");
    assert_eq!(receipt["error"]["code"], "interrupted");
    assert_eq!(receipt["delivery"]["possible_duplicate"], false, "nothing was posted");
    assert_eq!(states(&receipt), ["orphaned"], "a copy that nobody can name");
    assert_eq!(receipt["purge"]["state"], "incomplete", "never called purged");
    assert_eq!(gateway.admin("/admin/state")["ledger"]["orphaned"], 1);
    assert_eq!(gateway.history(&id), ["accepted", "failed"]);
    assert_eq!(world.posts(), 0);

    let repeat = gateway.send(&one("c-1"));
    assert_eq!(repeat.status, 201, "{repeat:?}");
    assert_ne!(repeat.id(), id, "the key was released");
    assert_eq!(world.posts(), 1);
    gateway.purge_at(&repeat.id(), "purged");
    assert_eq!(world.alive(), 1, "the orphan alone is left");
}

#[test]
fn killed_during_the_upload_a_spooled_message_is_delivered_once() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, HELD_SECONDS);
    let told = gateway.send(&one("c-1").prefer("respond-async"));
    assert_eq!(told.status, 202);
    let id = told.id();
    wait_until("the upload took effect", || world.uploads() == 1);
    assert_eq!(world.spooled().len(), 1);
    gateway.kill();
    world.release();

    let gateway = world.start();
    let receipt = gateway.receipt_at(&id, "sent");
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    let receipt = gateway.purge_at(&id, "incomplete");
    assert_eq!(states(&receipt), ["orphaned", "gone"]);
    assert_eq!((world.uploads(), world.alive(), world.posts()), (2, 1, 1));
    assert_eq!(gateway.admin("/admin/state")["ledger"]["orphaned"], 1);
    assert_eq!(world.spooled(), Vec::<String>::new());
    let history = gateway.history(&id);
    assert_eq!(
        history[..6],
        ["accepted", "clip-spooled", "upload-lost", "upload-intended", "uploaded", "posted"]
    );
    let repeat = gateway.send(&one("c-1"));
    assert_eq!((repeat.status, repeat.id()), (201, id), "its key still holds");
}

#[test]
fn killed_during_the_post_a_message_in_memory_has_failed_and_may_be_a_duplicate() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Post, HELD_SECONDS);
    let sender = gateway.sending(one("c-1"));
    wait_until("the post took effect", || world.posts() == 1);
    let id = gateway.queue()[0].clone();
    gateway.kill();
    assert!(sender.join().unwrap().is_none());
    world.release();

    let gateway = world.start();
    let receipt = gateway.receipt_at(&id, "failed");
    assert_eq!(receipt["error"]["code"], "interrupted");
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    let receipt = gateway.purge_at(&id, "purged");
    assert_eq!(states(&receipt), ["gone"]);
    assert_eq!(receipt["transcript"], serde_json::Value::Null, "it leaves with the last purge");
    let history = gateway.history(&id);
    assert_eq!(history, ["accepted", "uploaded", "post-lost", "failed", "copy-purged"]);
    let repeat = gateway.send(&one("c-1"));
    assert_eq!(repeat.status, 201);
    assert_ne!(repeat.id(), id, "the repeat has the key now");
    assert_eq!(
        gateway.receipt(&repeat.id())["delivery"]["possible_duplicate"],
        true,
        "its sender is told"
    );
    assert_eq!(world.posts(), 2, "the one in doubt and the sender's own repeat");
    assert_eq!(gateway.send(&one("c-1")).id(), repeat.id(), "one more repeat makes no message");
}

/// The key of a message that nobody was told of may be used for another request, which doubles
/// nothing.
#[test]
fn another_request_under_the_key_of_a_message_in_doubt_is_no_duplicate() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Post, HELD_SECONDS);
    let sender = gateway.sending(one("c-1"));
    wait_until("the post took effect", || world.posts() == 1);
    gateway.kill();
    assert!(sender.join().unwrap().is_none());
    world.release();

    let gateway = world.start();
    let other = gateway.send(&Send::new("c-2", "Something else").key("key-1"));
    assert_eq!(other.status, 201);
    let receipt = gateway.receipt(&other.id());
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
}

#[test]
fn killed_during_the_post_a_spooled_message_is_repeated_and_marked() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Post, HELD_SECONDS);
    let id = gateway.send(&one("c-1").prefer("respond-async")).id();
    wait_until("the post took effect", || world.posts() == 1);
    gateway.kill();
    world.release();

    let gateway = world.start();
    let receipt = gateway.receipt_at(&id, "sent");
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    assert_eq!((world.posts(), world.uploads()), (2, 1), "the same upload, posted again");
    let receipt = gateway.purge_at(&id, "purged");
    assert_eq!(copies(&receipt), [("uploaded-media".to_owned(), "gone".to_owned())]);
    assert_eq!(world.alive(), 0);
    let history = gateway.history(&id);
    assert!(
        history.starts_with(
            &["accepted", "clip-spooled", "uploaded", "post-lost", "post-intended", "posted"]
                .map(str::to_owned)
        )
    );
}

/// Between commit 2 and the post's intent: the second of a lane is uploaded and waits for the
/// first, whose upload is held.
#[test]
fn killed_while_it_waits_for_its_turn_an_uploaded_message_is_posted_once_or_not_at_all() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.faults(vec![FaultRule::new(Endpoint::Upload, late(HELD_SECONDS * 1000)).times(1)]);
    let first = gateway.send(&Send::new("c-1", "one").prefer("respond-async")).id();
    wait_until("the first upload took effect", || world.uploads() == 1);
    let second = gateway.send(&Send::new("c-1", "two").prefer("respond-async")).id();
    gateway.receipt_at(&second, "uploaded");
    let sender = gateway.sending(Send::new("c-1", "three"));
    wait_until("the third is there", || gateway.queue().len() == 3);
    let third = gateway.queue()[2].clone();
    gateway.receipt_at(&third, "uploaded");
    gateway.kill();
    assert!(sender.join().unwrap().is_none());
    world.release();

    let gateway = world.start();
    for (id, uploads) in [(&first, vec!["orphaned", "gone"]), (&second, vec!["gone"])] {
        let receipt = gateway.receipt_at(id, "sent");
        assert_eq!(receipt["delivery"]["possible_duplicate"], false);
        let receipt = gateway.receipt_when(id, "all purged", |receipt| states(receipt) == uploads);
        assert_eq!(receipt["delivery"]["last_error_code"].is_null(), uploads.len() == 1);
    }
    let receipt = gateway.receipt_at(&third, "failed");
    assert_eq!(receipt["error"]["code"], "interrupted");
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    assert_eq!(states(&gateway.purge_at(&third, "purged")), ["gone"]);
    assert_eq!(world.heard("c-1"), ["one", "two"], "in the order they were accepted");
    assert_eq!(world.alive(), 1, "the orphan alone is left");
}

/// Only what was on the wire can be lost: the others of the lane had intended nothing yet.
#[test]
fn killed_with_a_full_lane_only_those_near_its_head_leave_orphans() {
    const MESSAGES: usize = 8;
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, HELD_SECONDS);
    let sends = (0..MESSAGES).map(|number| Send::new("c-1", &number.to_string()));
    let senders: Vec<_> = sends.map(|send| gateway.sending(send.prefer("respond-async"))).collect();
    let answers = senders.into_iter().map(|sender| sender.join().unwrap());
    assert!(answers.into_iter().all(|answer| answer.is_some_and(|told| told.status == 202)));
    let queue = gateway.queue();
    wait_until("those near the head are on the wire", || world.uploads() == 3);
    gateway.kill();
    assert_eq!(world.uploads(), 3, "uploads run ahead by two");
    world.release();

    let gateway = world.start();
    for (place, id) in queue.iter().enumerate() {
        let gone = |receipt: &_| states(receipt).iter().any(|state| state == "gone");
        let receipt = gateway.receipt_when(id, "purged", gone);
        assert_eq!(states(&receipt).len(), if place < 3 { 2 } else { 1 }, "{place}: {receipt:#}");
        assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    }
    assert_eq!(gateway.admin("/admin/state")["ledger"]["orphaned"], 3);
    assert_eq!((world.posts(), world.alive()), (MESSAGES, 3));
}

#[test]
fn killed_after_the_post_its_purge_is_done_by_the_next_process() {
    let world = World::new(&[("PURGE__TTL_SECONDS", "2")]);
    let gateway = world.start();
    let id = gateway.send(&one("c-1")).id();
    let due_at = gateway.receipt(&id)["purge"]["due_at"].clone();
    gateway.kill();
    assert_eq!(world.alive(), 1);

    let gateway = world.start();
    assert_eq!(gateway.receipt(&id)["purge"]["due_at"], due_at, "a restart moves nothing");
    let receipt = gateway.purge_at(&id, "purged");
    assert_eq!(receipt["status"], "sent");
    assert_eq!((world.alive(), world.posts(), world.uploads()), (0, 1, 1));
    let repeat = gateway.send(&one("c-1"));
    assert_eq!((repeat.status, repeat.id()), (201, id), "a repeat learns what has become of it");
}

#[test]
fn killed_during_a_delete_the_next_process_proves_it() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Delete, HELD_SECONDS);
    let id = gateway.send(&one("c-1")).id();
    wait_until("the delete took effect", || world.alive() == 0);
    assert_eq!(gateway.receipt(&id)["purge"]["state"], "purging", "not proven yet");
    gateway.kill();
    world.release();

    let gateway = world.start();
    let receipt = gateway.purge_at(&id, "purged");
    assert_eq!(states(&receipt), ["gone"], "404 of the same host is proof");
    let attempts = world.account(|account| account.uploads()[0].delete_attempts);
    assert_eq!(attempts, 2);
}

#[test]
fn found_in_flight_at_three_starts_a_message_is_held_and_its_lane_goes_on() {
    let world = World::new(&[]);
    world.hold(Endpoint::Post, HELD_SECONDS);
    let mut gateway = world.start();
    let id = gateway.send(&one("c-1").prefer("respond-async")).id();
    for crash in 1..=3 {
        wait_until("it is in flight", || world.posts() == crash);
        gateway.kill();
        gateway = world.start();
    }
    let receipt = gateway.receipt_at(&id, "held");
    assert_eq!(receipt["error"]["code"], "crash-loop");
    assert_eq!(gateway.admin("/admin/state")["ledger"]["held"], 1);
    assert_eq!(world.spooled().len(), 1, "its clip is kept for the operator");
    world.release();
    let next = gateway.send(&Send::new("c-1", "two"));
    assert_eq!(next.status, 201, "{next:?}");
    assert_eq!(world.posts(), 4, "the held one stays where it is");
    assert_eq!(gateway.receipt(&id)["status"], "held");
}

/// The clip was synced, the commit that says so was not: nobody was told of it.
#[test]
fn a_spool_file_that_no_commit_knows_is_deleted_at_start() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, HELD_SECONDS);
    let kept = gateway.send(&Send::new("c-2", "kept").prefer("respond-async")).id();
    let file_of_kept = world.spooled()[0].clone();
    let _sender = gateway.sending(one("c-1"));
    wait_until("both are on their way", || world.uploads() == 2);
    let lost = gateway.queue()[1].clone();
    gateway.kill();
    let spool = world.data.path().join("spool");
    let file_of_lost = file_of_kept.replace(&kept, &lost);
    assert_ne!(file_of_lost, file_of_kept, "files are named by their messages");
    std::fs::copy(spool.join(&file_of_kept), spool.join(&file_of_lost)).unwrap();

    let gateway = world.start();
    assert_eq!(gateway.receipt(&lost)["error"]["code"], "interrupted");
    assert_eq!(world.spooled(), [file_of_kept], "the file without a commit is gone");
    world.release();
    gateway.kill();
    let gateway = world.start();
    gateway.receipt_at(&kept, "sent");
    assert_eq!(world.heard("c-2"), ["kept"]);
}

#[test]
fn two_hundred_purges_owed_at_the_kill_are_done_after_it() {
    const MESSAGES: usize = 200;
    let world = World::new(&[("PURGE__TTL_SECONDS", "5"), ("PURGE__CALLS_MAX", "16")]);
    let gateway = world.start();
    // However slow the machine is, no purge is done before the kill.
    world.faults(vec![FaultRule::new(Endpoint::Delete, FaultAction::status(503))]);
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let address = gateway.public;
            std::thread::spawn(move || {
                let numbers = (sender..MESSAGES).step_by(8);
                let ids = numbers.map(|number| {
                    let conversation = format!("c-{sender}");
                    let told = Send::new(&conversation, &number.to_string()).to(address);
                    let told = told.expect("the gateway answers");
                    assert_eq!(told.status, 201, "{told:?}");
                    told.id()
                });
                ids.collect::<Vec<_>>()
            })
        })
        .collect();
    let ids: Vec<String> = senders.into_iter().flat_map(|s| s.join().unwrap()).collect();
    assert_eq!((ids.len(), world.posts(), world.alive()), (MESSAGES, MESSAGES, MESSAGES));
    gateway.kill();
    world.release();

    let gateway = world.start();
    wait_until("all are deleted", || world.alive() == 0);
    for id in &ids {
        gateway.purge_at(id, "purged");
    }
    assert_eq!(gateway.admin("/admin/state")["ledger"]["purges_owed"], 0);
    assert_eq!(world.posts(), MESSAGES, "nothing was posted twice");
}
