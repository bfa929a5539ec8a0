//! A spool that fails: nothing is promised that cannot be kept, and nothing promised is given up.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use voicepost::domain::{MessageId, Stage};
use voicepost::pipeline::Clip;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};
use voicepost::settings::{LiveSecret, Secret};

use crate::support::{Form, TestGateway, eventually, wait_for};

fn spool(gateway: &TestGateway) -> PathBuf {
    gateway.data.path().join("spool")
}

#[test]
fn a_clip_that_cannot_be_kept_is_not_promised() {
    let gateway = TestGateway::start();
    std::fs::remove_dir(spool(&gateway)).unwrap();
    let form = Form::sample().header("Prefer", "respond-async").header("Idempotency-Key", "once");
    let reply = gateway.send(&form);
    reply.problem(503, "storage-failed");
    assert!(reply.header("retry-after").is_some());
    std::fs::create_dir(spool(&gateway)).unwrap();
    // Nobody was told of the first one, so its key is free.
    let receipt = gateway.send(&form).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    assert_ne!(id, reply.at("/id"));
    gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
}

/// Each 202 would be refused, so nobody should be sent here.
#[test]
fn a_gateway_whose_spool_takes_no_clips_is_not_ready() {
    let gateway = TestGateway::start();
    let look = || wait_for(gateway.pipeline().admission().look_at_spool());
    look();
    gateway.public.get("/readyz").receipt(200);
    std::fs::remove_dir(spool(&gateway)).unwrap();
    look();
    let ready = gateway.public.get("/readyz");
    assert_eq!(ready.status, 503);
    let reason = ready.at("/reasons/0");
    assert!(reason.starts_with("the spool failed to take a file"), "{reason}");
    assert!(!spool(&gateway).exists(), "it is made by nobody but a start");
    std::fs::create_dir(spool(&gateway)).unwrap();
    look();
    gateway.public.get("/readyz").receipt(200);
    assert_eq!(std::fs::read_dir(spool(&gateway)).unwrap().count(), 0);
}

/// A sender who was sent away with a 409, as nothing could be kept, has no promise that failed.
#[test]
fn who_was_told_to_come_back_is_told_of_the_failure() {
    let gateway = TestGateway::start();
    std::fs::remove_dir(spool(&gateway)).unwrap();
    let refused = FaultAction::status(400);
    let slow = FaultAction { latency_ms: Some(Latency::Fixed(2_500)), ..refused };
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, slow)]);
    let form = Form::sample().header("Prefer", "wait=1").header("Idempotency-Key", "once");
    gateway.send(&form).problem(409, "in-progress");
    eventually("it fails", || (gateway.records()[0].stage == Stage::Failed).then_some(()));
    std::fs::create_dir(spool(&gateway)).unwrap();
    let code = gateway.records()[0].ending.as_ref().unwrap().code.as_str();
    gateway.send(&form).problem(502, code);
}

/// Another request without a key would be another message in the conversation.
#[test]
fn who_has_no_key_is_not_told_to_send_again() {
    let gateway = TestGateway::start();
    std::fs::remove_dir(spool(&gateway)).unwrap();
    gateway
        .trouble(vec![FaultRule::new(Endpoint::Post, FaultAction::latency(Latency::Fixed(2_500)))]);
    let reply = gateway.send(&Form::sample().header("Prefer", "wait=1"));
    reply.problem(409, "undecided");
    assert_eq!(reply.json()["retryable"], false);
    let id = reply.at("/id");
    assert_eq!(reply.header("location"), Some(format!("/v1/voice-messages/{id}").as_str()));
    assert!(reply.header("retry-after").is_some());
    gateway.receipt_when(&id, "it is sent", |receipt| receipt["status"] == "sent");
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 1);
}

/// Invariant 1: what was told a 202 is not lost because a file could not be read for a while.
#[test]
fn a_clip_that_cannot_be_read_for_a_while_is_sent_later() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("1");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(1)]);
    let form = Form::sample().header("Prefer", "respond-async");
    let receipt = gateway.send(&form).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    let (file, aside) = (spool(&gateway).join(format!("{id}.clip")), gateway.data.path().join("x"));
    std::fs::rename(&file, &aside).unwrap();
    // A folder in its place is there, and cannot be read.
    std::fs::create_dir(&file).unwrap();
    let unread = gateway.receipt_when(id, "it could not be read", |receipt| {
        receipt["delivery"]["last_error_code"] == "storage-failed"
    });
    assert_eq!(unread["status"], "accepted");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
}

/// What is delivered is what was accepted, or nothing: whichever way the file came to be another.
#[test]
fn a_clip_that_is_not_the_one_that_was_kept_is_not_delivered() {
    const KEY: &str = "a-key-of-the-operator-0123456789";
    for key in [None, Some(Secret::new(KEY))] {
        for how in ["cut off", "changed"] {
            let key = key.clone().map(LiveSecret::from);
            let gateway = TestGateway::builder().access(|access| access.data_key = key).start();
            let pause = FaultAction::status(429).retry_after("1");
            gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(1)]);
            let form = Form::sample().header("Prefer", "respond-async");
            let receipt = gateway.send(&form).receipt(202);
            let id = receipt["id"].as_str().unwrap();
            let path = spool(&gateway).join(format!("{id}.clip"));
            let mut file = std::fs::read(&path).unwrap();
            match how {
                "cut off" => file.truncate(5_000),
                _ => file[20_000] ^= 1,
            }
            std::fs::write(&path, file).unwrap();
            let failed = gateway.receipt_when(id, how, |receipt| receipt["status"] == "failed");
            assert_eq!(failed["error"]["code"], "internal", "{how}");
            let detail = "the clip that is there is not the one that was accepted";
            assert_eq!(failed["error"]["detail"], detail, "{how}");
            assert!(gateway.at_genesys(|sandbox| sandbox.account().uploads().is_empty()), "{how}");
        }
    }
}

/// What could not be deleted here is told to the sender and to the operator, as what lies outside.
#[test]
fn a_spool_file_that_cannot_be_deleted_is_seen() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause)]);
    let receipt = gateway.send(&Form::sample().header("Prefer", "respond-async")).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    let file = spool(&gateway).join(format!("{id}.clip"));
    std::fs::remove_file(&file).unwrap();
    // A folder in its place cannot be deleted as a file.
    std::fs::create_dir(&file).unwrap();
    gateway.delete(id).receipt(202);
    let purge = |state| move |receipt: &Value| receipt["purge"]["state"] == state;
    let overdue = gateway.receipt_when(id, "it is overdue", purge("purging"));
    assert_eq!(overdue["purge"]["copies"], json!([{"kind": "spool-file", "state": "owed"}]));
    let queue = gateway.admin_get("/admin/messages").receipt(200);
    assert_eq!(queue[0]["waits_for"], "its-next-attempt");
    let undeleted = || {
        gateway.admin_get("/admin/state").receipt(200)["ledger"]["spool_files_undeleted"].clone()
    };
    assert_eq!(undeleted(), 1);
    // Each order tries once more.
    eventually("it is stuck", || {
        (gateway.delete(id).receipt(202)["purge"]["state"] == "stuck").then_some(())
    });
    gateway.delete(id).receipt(202);
    std::fs::remove_dir(&file).unwrap();
    eventually("it is gone", || {
        (gateway.delete(id).json()["purge"]["state"] == "purged").then_some(())
    });
    assert_eq!(undeleted(), 0);
    let history = gateway.admin_get(&format!("/admin/messages/{id}/history")).json();
    let rows = history.as_array().unwrap().iter();
    let deferred: Vec<_> = rows.filter(|row| row["event"] == "clip-drop-deferred").collect();
    assert_eq!(deferred.len(), 8, "more of them would tell nothing new: {history}");
    let detail = deferred[0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("the spool failed to delete a clip"), "{detail}");
}

/// A clip that came by the spool may wait for long until it is looked into, or is converted.
#[test]
fn a_clip_that_is_still_being_accepted_is_no_stray() {
    let gateway = TestGateway::builder().settings(|s| s.memory.clips_bytes_max = 1 << 20).start();
    let admission = gateway.pipeline().admission();
    let id = MessageId::new(gateway.pipeline().clock().now(), [2; 10]);
    let mut incoming = admission.receive(id, None, 4 << 20).unwrap();
    // More than memory has room for.
    wait_for(incoming.push(vec![0; 2 << 20].into())).unwrap();
    let clip = wait_for(incoming.finish()).unwrap();
    assert!(matches!(clip, Clip::Spooled(_)));
    let mut strays = std::collections::HashMap::new();
    for _ in 0..3 {
        let swept = wait_for(gateway.pipeline().sweep_spool(&mut strays, Duration::ZERO));
        assert_eq!((swept.unwrap(), strays.len()), (0, 0));
    }
    assert_eq!(admission.spool_bytes(), 2 << 20);
    drop(clip);
    eventually("nobody wants it", || (admission.spool_bytes() == 0).then_some(()));
}

/// What no record counts on goes; what is promised, or may just be coming, stays.
#[test]
fn a_sweep_of_the_spool_takes_only_what_nobody_counts_on() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(1)]);
    let form = Form::sample().header("Prefer", "respond-async");
    let receipt = gateway.send(&form).receipt(202);
    let promised = receipt["id"].as_str().unwrap();
    let now = gateway.pipeline().clock().now();
    let stray = MessageId::new(now, [1; 10]);
    std::fs::write(spool(&gateway).join(format!("{stray}.clip")), b"clip").unwrap();
    let mut strays = std::collections::HashMap::new();
    let mut sweep =
        |age_min| wait_for(gateway.pipeline().sweep_spool(&mut strays, age_min)).unwrap();
    assert_eq!(sweep(Duration::ZERO), 0, "its record may be on its way");
    assert_eq!(sweep(Duration::from_secs(600)), 0, "and may be slow");
    assert_eq!(sweep(Duration::ZERO), 1);
    let files = std::fs::read_dir(spool(&gateway)).unwrap();
    let left: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, [format!("{promised}.clip")]);
    gateway.delete(promised).receipt(202);
}
