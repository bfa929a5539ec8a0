//! Failed messages keep their clip for a while, and operators may have them delivered anew.

use serde_json::{Value, json};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};

use crate::process::{Send, World, wait_until};
use crate::support::{Form, TestGateway, eventually};

/// A gateway with one message that was told 202 and then refused for good by Genesys.
fn failed(keep_seconds: u64) -> (TestGateway, String) {
    let keep = |settings: &mut voicepost::settings::Settings| {
        settings.delivery.failed_keep_seconds = keep_seconds;
        settings.purge.ttl_seconds = 1;
    };
    let gateway = TestGateway::builder().settings(keep).start();
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, FaultAction::status(403)).times(1)]);
    let receipt = gateway.send(&Form::sample().header("Prefer", "respond-async")).receipt(202);
    let id = receipt["id"].as_str().unwrap().to_owned();
    let receipt = gateway.receipt_when(&id, "it failed", |r| r["status"] == "failed");
    assert_eq!(receipt["error"]["code"], "genesys-refused");
    (gateway, id)
}

fn spooled(gateway: &TestGateway) -> usize {
    std::fs::read_dir(gateway.data.path().join("spool")).unwrap().count()
}

fn replay(gateway: &TestGateway, id: &str) -> crate::support::Reply {
    gateway.admin_post(&format!("/admin/messages/{id}/replay"), &json!({}))
}

#[test]
fn a_failed_message_is_delivered_anew() {
    let (gateway, id) = failed(3_600);
    gateway.receipt_when(&id, "its upload is deleted", |receipt| {
        receipt["purge"]["copies"][0]["state"] == "gone"
    });
    let kept = gateway.get(&id).receipt(200);
    assert_eq!(kept["purge"]["state"], "scheduled", "our own copy is kept: {kept}");
    assert_eq!(kept["purge"]["copies"][1], json!({"kind": "spool-file", "state": "owed"}));
    assert_eq!(spooled(&gateway), 1);
    assert_eq!(replay(&gateway, &id).receipt(200)["status"], "accepted");
    let sent = gateway.receipt_when(&id, "it is sent", |receipt| receipt["status"] == "sent");
    assert_eq!(sent["error"], Value::Null);
    assert_eq!(sent["delivery"]["possible_duplicate"], false);
    let purged = gateway.receipt_when(&id, "all is gone", |r| r["purge"]["state"] == "purged");
    assert_eq!(purged["transcript"], Value::Null);
    eventually("the spool is empty", || (spooled(&gateway) == 0).then_some(()));
    assert_eq!(gateway.at_genesys(|s| s.account().summary().posts), 1);
    assert!(replay(&gateway, &id).problem(409, "wrong-state").contains("is sent, not failed"));
}

#[test]
fn of_replays_that_come_together_one_counts_and_the_others_are_told_so() {
    for _ in 0..5 {
        let (gateway, id) = failed(3_600);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let replays: Vec<_> =
                (0..6).map(|_| scope.spawn(|| replay(&gateway, &id).status)).collect();
            replays.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let count = |status| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(200), count(409)), (1, 5), "{statuses:?}");
    }
}

#[test]
fn a_kept_clip_goes_when_its_time_is_over() {
    let (gateway, id) = failed(1);
    let refused = replay(&gateway, &id).problem(409, "wrong-state");
    assert!(refused.contains("its clip is not kept"), "about to go: {refused}");
    let gone = gateway.receipt_when(&id, "all is gone", |r| r["purge"]["state"] == "purged");
    assert_eq!(gone["transcript"], Value::Null, "invariant 11");
    assert_eq!(spooled(&gateway), 0);
}

#[test]
fn a_sender_who_withdraws_a_failed_message_has_its_clip_removed_at_once() {
    let (gateway, id) = failed(3_600);
    gateway.delete(&id).receipt(202);
    let gone = gateway.receipt_when(&id, "all is gone", |r| r["purge"]["state"] == "purged");
    assert_eq!(gone["transcript"], Value::Null);
    assert_eq!(spooled(&gateway), 0);
    assert!(replay(&gateway, &id).problem(409, "wrong-state").contains("not kept"));
    gateway.delete(&id).receipt(200);
}

#[test]
fn without_a_time_to_keep_nothing_is_kept() {
    let (gateway, id) = failed(0);
    gateway.receipt_when(&id, "all is gone", |r| r["purge"]["state"] == "purged");
    assert_eq!(spooled(&gateway), 0);
}

#[test]
fn a_kept_clip_outlives_a_kill() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.faults(vec![FaultRule::new(Endpoint::Upload, FaultAction::status(415)).times(1)]);
    let id = gateway.send(&Send::new("c-1", "replay me").prefer("respond-async")).id();
    gateway.receipt_at(&id, "failed");
    gateway.kill();

    let gateway = world.start();
    assert_eq!(world.spooled().len(), 1, "a failed message's clip is no stray");
    let answer = gateway.command(&format!("/admin/messages/{id}/replay"), "{}");
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.receipt_at(&id, "sent");
    wait_until("its clip has gone", || world.spooled().is_empty());
    assert_eq!(world.heard("c-1"), ["replay me"]);
}
