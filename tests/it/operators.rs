//! What operators may order: hold, release, drain; and what they see of what waits.

use serde_json::json;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::process::{Send, World, wait_until};
use crate::support::{Form, TestGateway, logged};

fn asynchronous() -> Form {
    Form::sample().header("Prefer", "respond-async")
}

#[test]
fn a_message_is_held_with_the_operators_reason_and_released() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(1)]);
    let receipt = gateway.send(&asynchronous()).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    gateway.receipt_when(id, "it pauses", |r| !r["delivery"]["next_attempt_at"].is_null());
    let path = format!("/admin/messages/{id}/hold");
    let blank = gateway.admin_post(&path, &json!({"reason": " "}));
    assert!(blank.problem(400, "invalid-field").contains("not 1 to 500"));
    let held = gateway.admin_post(&path, &json!({"reason": "the guest has called"})).receipt(200);
    assert_eq!(held["status"], "held");
    assert_eq!(held["error"], json!({"code": "on-hold", "detail": "the guest has called"}));
    assert_eq!(gateway.admin_get("/admin/held").receipt(200)[0]["id"], id);
    let again = gateway.admin_post(&path, &json!({"reason": "again"}));
    assert!(again.problem(409, "wrong-state").contains("is held"));
    gateway.admin_post(&format!("/admin/messages/{id}/release"), &json!({})).receipt(200);
    gateway.delete(id).receipt(202);
}

#[test]
fn a_message_whose_call_is_on_the_wire_cannot_be_held() {
    let gateway = TestGateway::start();
    let slow = FaultAction::latency(Latency::Fixed(1_500));
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, slow).times(1)]);
    let receipt = gateway.send(&asynchronous()).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    let hold = gateway.admin_post(&format!("/admin/messages/{id}/hold"), &json!({"reason": "x"}));
    assert!(hold.problem(409, "wrong-state").contains("the upload of message"));
    let queue = gateway.admin_get("/admin/messages").receipt(200);
    assert_eq!(queue[0]["waits_for"], "its-call", "{queue}");
    gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
}

#[test]
fn purges_say_what_they_wait_for() {
    let gateway = TestGateway::start();
    let refused = FaultAction::status(503).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Delete, refused).times(1)]);
    let id = gateway.send(&Form::sample()).receipt(201)["id"].as_str().unwrap().to_owned();
    let purges = || gateway.admin_get("/admin/purges").receipt(200);
    assert_eq!(purges()[0]["waits_for"], "its-time");
    gateway.receipt_when(&id, "a try failed", |receipt| {
        receipt["purge"]["state"] == "purging" && purges()[0]["attempts"] == 1
    });
    assert_eq!(purges()[0]["waits_for"], "its-next-attempt");
}

#[test]
fn new_messages_are_refused_while_purges_are_late() {
    let gateway = TestGateway::builder().settings(|s| s.purge.backpressure_seconds = 1).start();
    gateway.trouble(vec![FaultRule::new(Endpoint::Delete, FaultAction::status(503))]);
    let id = gateway.send(&Form::sample()).receipt(201)["id"].as_str().unwrap().to_owned();
    crate::support::eventually("the brake is on", || {
        let reply = gateway.public.get("/readyz");
        (reply.status == 503).then_some(())
    });
    let refused = gateway.send(&Form::sample());
    assert_eq!(refused.header("retry-after"), Some("30"));
    let detail = refused.problem(503, "purge-backlog");
    assert!(detail.starts_with("the oldest purge is") && detail.ends_with("more than 1 s"));
    let state = gateway.admin_get("/admin/state").receipt(200);
    assert!(state["purges_late_since"].is_string(), "{state}");
    gateway.trouble(Vec::new());
    gateway.receipt_when(&id, "it is purged", |r| r["purge"]["state"] == "purged");
    gateway.send(&Form::sample()).receipt(201);
}

#[test]
fn an_operator_drains_the_gateway_over_http() {
    let world = World::new(&[]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, 60);
    let sender = gateway.sending(Send::new("c-1", "drained"));
    wait_until("the upload took effect", || world.uploads() == 1);
    world.release();
    assert_eq!(gateway.command("/admin/drain", "").body["draining"], true);
    let answer = sender.join().unwrap().expect("the sender is told before the end");
    assert_eq!(answer.status, 202, "{answer:?}");
    drop(gateway);
}

#[test]
fn a_message_that_waits_for_a_place_has_no_call_on_the_wire_at_a_kill() {
    let world = World::new(&[("GENESYS__UPLOADS_MAX", "1"), ("GENESYS__POSTS_MAX", "1")]);
    let gateway = world.start();
    world.hold(Endpoint::Upload, 60);
    let ids: Vec<String> = (0..3)
        .map(|number| {
            let send = Send::new(&format!("c-{number}"), &format!("message {number}"));
            gateway.send(&send.prefer("respond-async")).id()
        })
        .collect();
    wait_until("one upload took effect", || world.uploads() == 1);
    gateway.kill();
    world.release();

    let gateway = world.start();
    for id in &ids {
        gateway.receipt_at(id, "sent");
    }
    assert_eq!(gateway.admin("/admin/state")["ledger"]["orphaned"], 1, "the one on the wire");
    assert_eq!((world.posts(), world.uploads()), (3, 4));
}

/// Two drives of one message would make its calls twice, and only one of them could say so.
#[test]
fn holding_and_releasing_again_and_again_leaves_one_drive() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("1");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(2)]);
    let receipt = gateway.send(&asynchronous()).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    let mut held = 0;
    for _ in 0..60 {
        let order = |name: &str| {
            let body = json!({"reason": "x"});
            gateway.admin_post(&format!("/admin/messages/{id}/{name}"), &body).status
        };
        held += usize::from(order("hold") == 200);
        order("release");
    }
    assert!(held > 0, "it was never held");
    gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
    gateway.at_genesys(|sandbox| {
        assert_eq!((sandbox.account().posts().len(), sandbox.account().uploads().len()), (1, 1));
    });
}

#[test]
fn while_purges_are_late_a_message_is_let_in_now_and_then() {
    let gateway = TestGateway::builder().settings(|s| s.purge.backpressure_seconds = 1).start();
    // The first copy cannot be deleted for as long as the test lasts; others can.
    let poisoned = FaultRule::new(Endpoint::Delete, FaultAction::status(503).retry_after("90"));
    gateway.trouble(vec![poisoned.times(1)]);
    gateway.send(&Form::sample()).receipt(201);
    crate::support::eventually("the brake is on", || {
        (gateway.public.get("/readyz").status == 503).then_some(())
    });
    gateway.send(&Form::sample()).problem(503, "purge-backlog");
    let begun = std::time::Instant::now();
    let told = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        gateway.send(&Form::sample())
    });
    let let_in = told.take(90).find(|reply| reply.status == 201).expect("one is let in");
    assert!(begun.elapsed().as_secs() >= 25, "not at once");
    let id = let_in.at("/id");
    gateway.receipt_when(&id, "its purge succeeds", |r| r["purge"]["state"] == "purged");
    gateway.send(&Form::sample()).receipt(201);
}

/// A purge that Genesys keeps putting off is no failed try, and not silent either.
#[test]
fn a_delete_that_is_answered_429_is_in_the_log() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("1");
    gateway.trouble(vec![FaultRule::new(Endpoint::Delete, pause).times(2)]);
    let id = gateway.send(&Form::sample()).receipt(201)["id"].as_str().unwrap().to_owned();
    let purged =
        gateway.receipt_when(&id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    assert_eq!(purged["purge"]["copies"][0]["state"], "gone");
    let told = |line: &&str| line.contains("purges pause") && line.contains(&id);
    assert_eq!(logged().lines().filter(told).count(), 2);
}

/// What `POST` to the path answers to six who ask at once.
fn at_once(gateway: &TestGateway, path: &str, body: &serde_json::Value) -> Vec<u16> {
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..6).map(|_| scope.spawn(|| gateway.admin_post(path, body).status)).collect();
        let mut statuses: Vec<u16> = asked.into_iter().map(|one| one.join().unwrap()).collect();
        statuses.sort_unstable();
        statuses
    })
}

#[test]
fn of_orders_that_come_together_one_counts_and_the_others_are_told_so() {
    let gateway = TestGateway::builder().settings(|s| s.purge.ttl_seconds = 900).start();
    for _ in 0..5 {
        let sent = gateway.send(&Form::sample()).receipt(201);
        let id = sent["id"].as_str().unwrap();
        let give_up = format!("/admin/messages/{id}/copies/0/give-up");
        let reason = json!({"reason": "the org was deleted"});
        assert_eq!(at_once(&gateway, &give_up, &reason), [200, 409, 409, 409, 409, 409]);
    }
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause)]);
    for _ in 0..5 {
        let receipt = gateway.send(&asynchronous()).receipt(202);
        let id = receipt["id"].as_str().unwrap();
        gateway.receipt_when(id, "it pauses", |r| !r["delivery"]["next_attempt_at"].is_null());
        let hold = format!("/admin/messages/{id}/hold");
        gateway.admin_post(&hold, &json!({"reason": "the guest has called"})).receipt(200);
        let release = format!("/admin/messages/{id}/release");
        assert_eq!(at_once(&gateway, &release, &json!({})), [200, 409, 409, 409, 409, 409]);
        gateway.delete(id).receipt(202);
    }
}
