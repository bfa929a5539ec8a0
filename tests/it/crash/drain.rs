//! SIGTERM: what is under way ends or becomes durable, its sender is told which, and nothing that
//! was not on the wire is taken for a lost call by the next process.

use std::time::{Duration, Instant};

use serde_json::Value;
use voicepost::sandbox::{Endpoint, FaultRule};

use super::states;
use crate::process::{Gateway, Send, World, late, wait_until};

const TEXT: &str = "Good morning, where is my parcel?";

/// Ends the gateway in order, within the time a drain has.
fn drained(gateway: Gateway) {
    gateway.terminate();
    assert_eq!(gateway.ended().code(), Some(0), "a whole drain");
}

#[test]
fn an_upload_in_flight_ends_within_the_drain_and_nothing_is_in_doubt() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.faults(vec![FaultRule::new(Endpoint::Upload, late(1_500))]);
    let sender = gateway.sending(Send::new("c-1", TEXT));
    wait_until("the upload is on the wire", || world.uploads() == 1);
    drained(gateway);
    let told = sender.join().unwrap().expect("the sender is answered");
    assert_eq!(told.status, 202, "{told:?}");
    world.release();

    let gateway = world.start();
    let receipt = gateway.receipt_at(&told.id(), "sent");
    assert_eq!(receipt["delivery"]["possible_duplicate"], false, "no post was on the wire");
    assert_eq!((world.uploads(), world.posts()), (1, 1));
    let receipt = gateway.purge_at(&told.id(), "purged");
    assert_eq!(states(&receipt), ["gone"]);
}

#[test]
fn stopped_while_it_starts_it_ends_at_once_and_in_order() {
    let world = World::new(&[]);
    world.hold(Endpoint::Token, 60);
    let process = world.launch();
    let asked = || world.account(|account| account.calls(Endpoint::Token, Some(200)));
    wait_until("it waits for its first token", || asked() == 1);
    let began = Instant::now();
    process.terminate();
    assert_eq!(process.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "after {:?}", began.elapsed());
}

#[test]
fn a_post_in_flight_ends_within_the_drain() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.faults(vec![FaultRule::new(Endpoint::Post, late(1_000))]);
    let sender = gateway.sending(Send::new("c-1", TEXT));
    wait_until("the post is on the wire", || world.posts() == 1);
    drained(gateway);
    let told = sender.join().unwrap().expect("the sender is answered");
    assert!([201, 202].contains(&told.status), "{told:?}");
    world.release();

    let gateway = world.start();
    let receipt = gateway.purge_at(&told.id(), "purged");
    assert_eq!(receipt["status"], "sent");
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    assert_eq!(world.posts(), 1);
    assert_eq!(world.spooled(), Vec::<String>::new());
}

#[test]
fn a_sender_is_let_go_at_once_new_ones_are_refused_and_a_second_signal_ends_it() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, 60);
    let sender = gateway.sending(Send::new("c-1", TEXT).prefer("wait=60"));
    wait_until("the upload is on the wire", || world.uploads() == 1);
    let began = Instant::now();
    gateway.terminate();
    let told = sender.join().unwrap().expect("the sender is answered");
    assert_eq!(told.status, 202, "{told:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "after {:?}", began.elapsed());
    let refused = gateway.send(&Send::new("c-2", TEXT));
    assert_eq!((refused.status, &refused.body["code"]), (503, &Value::from("draining")));
    let began = Instant::now();
    gateway.terminate();
    let status = gateway.ended();
    assert!(status.code().is_none_or(|code| code != 0), "{status}");
    assert!(began.elapsed() < Duration::from_secs(3), "after {:?}", began.elapsed());
    world.release();

    let gateway = world.start();
    gateway.receipt_at(&told.id(), "sent");
    assert_eq!((world.uploads(), world.posts()), (2, 1));
    let receipt = gateway.purge_at(&told.id(), "incomplete");
    assert_eq!(states(&receipt), ["orphaned", "gone"], "the held upload was cut off");
}

/// Three ends in order while this call hangs, then an end of the outage: the receipt by then.
fn outlasts_three_drains(hanging: Endpoint) -> (World, Value) {
    let world = World::new(&[("SERVER__DRAIN_SECONDS", "1"), ("GENESYS__TIMEOUT_SECONDS", "60")]);
    world.hold(hanging, 60);
    let mut gateway = world.start();
    let id = gateway.send(&Send::new("c-1", TEXT).prefer("respond-async")).id();
    for end in 1..=3 {
        wait_until("it is in flight", || match hanging {
            Endpoint::Upload => world.uploads() == end,
            _ => world.posts() == end,
        });
        drained(gateway);
        gateway = world.start();
    }
    world.release();
    let receipt = gateway.receipt_at(&id, "sent");
    (world, receipt)
}

/// What a drain does not wait for is lost, but it is not what has ended the process.
#[test]
fn an_upload_that_hangs_at_three_drains_is_made_again() {
    let (world, receipt) = outlasts_three_drains(Endpoint::Upload);
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    assert_eq!(states(&receipt), ["orphaned", "orphaned", "orphaned", "owed"]);
    assert_eq!(world.posts(), 1);
}

#[test]
fn a_post_that_hangs_at_three_drains_is_repeated_and_marked() {
    let (_, receipt) = outlasts_three_drains(Endpoint::Post);
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    assert_eq!(states(&receipt), ["owed"]);
}

#[test]
fn messages_that_wait_for_their_turn_leave_no_orphans_behind() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.faults(vec![FaultRule::new(Endpoint::Post, late(1_000)).times(1)]);
    let ids: Vec<String> = (0..8)
        .map(|number| Send::new("c-1", &number.to_string()).prefer("respond-async"))
        .map(|send| gateway.send(&send).id())
        .collect();
    wait_until("those near the head are uploaded", || world.uploads() == 3);
    drained(gateway);
    world.release();

    let gateway = world.start();
    for id in &ids {
        let receipt = gateway.purge_at(id, "purged");
        assert_eq!(states(&receipt), ["gone"], "{:?}", gateway.history(id));
        assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    }
    let heard: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    assert_eq!(world.heard("c-1"), heard);
    assert_eq!(world.uploads(), 8);
    assert_eq!(gateway.admin("/admin/state")["ledger"]["orphaned"], 0);
}
