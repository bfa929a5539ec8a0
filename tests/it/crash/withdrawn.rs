//! Withdrawals that meet a call on the wire, and a kill.

use serde_json::Value;
use voicepost::sandbox::Endpoint;

use super::states;
use crate::process::{Send, World, wait_until};

const TEXT: &str = "Good morning, where is my parcel?";

#[test]
fn withdrawn_during_the_upload_it_is_never_posted_and_the_lost_copy_is_named() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, 60);
    let id = gateway.send(&Send::new("c-1", TEXT).prefer("respond-async")).id();
    wait_until("the upload is on the wire", || world.uploads() == 1);
    let told = gateway.withdraw(&id);
    assert_eq!((told.status, &told.body["status"]), (202, &Value::from("cancelled")));
    gateway.kill();
    world.release();

    let gateway = world.start();
    let receipt = gateway.purge_at(&id, "incomplete");
    assert_eq!(receipt["status"], "cancelled");
    assert_eq!(states(&receipt), ["orphaned"]);
    assert_eq!(receipt["transcript"], Value::Null);
    assert_eq!(gateway.send(&Send::new("c-1", "next")).status, 201);
    assert_eq!(world.heard("c-1"), ["next"]);
    assert_eq!(world.spooled(), Vec::<String>::new());
}

/// It may stand in the conversation; posting it once more would make sure that it does.
#[test]
fn withdrawn_during_a_post_whose_answer_is_lost_it_is_not_posted_again() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Post, 60);
    let id = gateway.send(&Send::new("c-1", TEXT).prefer("respond-async")).id();
    wait_until("the post is on the wire", || world.posts() == 1);
    let told = gateway.withdraw(&id);
    assert_eq!((told.status, &told.body["status"]), (202, &Value::from("uploaded")));
    gateway.kill();
    world.release();

    let gateway = world.start();
    let receipt = gateway.purge_at(&id, "purged");
    assert_eq!(receipt["status"], "failed");
    assert_eq!(receipt["error"]["code"], "genesys-answer-lost");
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    assert_eq!((world.posts(), world.alive()), (1, 0));
    assert_eq!(world.spooled(), Vec::<String>::new());
}

#[test]
fn a_message_withdrawn_before_its_turn_is_over_at_once() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, 60);
    for number in 0..4 {
        gateway.send(&Send::new("c-1", &number.to_string()).prefer("respond-async"));
    }
    wait_until("those near the head upload", || world.uploads() == 3);
    let waiting = gateway.queue()[3].clone();
    gateway.withdraw(&waiting);
    let receipt = gateway.purge_at(&waiting, "purged");
    assert_eq!(receipt["status"], "cancelled");
    assert_eq!(states(&receipt), Vec::<String>::new());
    assert_eq!(receipt["transcript"], Value::Null, "it leaves with the last purge");
    gateway.kill();
    world.release();

    let gateway = world.start();
    wait_until("the others are sent", || world.posts() == 3);
    assert_eq!(states(&gateway.receipt(&waiting)), Vec::<String>::new(), "no false orphan");
    assert_eq!(world.heard("c-1"), ["0", "1", "2"]);
}
