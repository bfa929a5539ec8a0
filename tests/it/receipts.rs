//! What a sender is told about a voice message that is on its way, delivered, withdrawn, purged.

use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::support::{CONVERSATION, Form, TRANSCRIPT, TestGateway, eventually, fixture};

#[test]
fn a_delivered_message_has_a_whole_receipt() {
    let gateway =
        TestGateway::builder().settings(|settings| settings.audio.waveforms = true).start();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let clip = fixture("hello.ogg");
    let sha256 = ring::digest::digest(&ring::digest::SHA256, &clip);
    let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let posts = gateway.at_genesys(|sandbox| sandbox.account().posts().to_vec());
    let [post] = posts.as_slice() else { panic!("{} posts", posts.len()) };
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(
        receipt,
        json!({
            "id": id,
            "status": "sent",
            "message_id": post.message_id,
            "conversation_id": CONVERSATION,
            "media": {
                "id": id, "media_type": "audio/ogg", "codec": "opus", "duration_ms": 5000,
                "bytes": clip.len(), "sha256": sha256, "converted_from": null, "notes": [],
                "waveform": null, "silent": null,
            },
            "transcript": {"text": TRANSCRIPT, "source": "sender"},
            "delivery": {
                "route": "media-api", "attempts": 1, "possible_duplicate": false,
                "next_attempt_at": null, "last_error_code": null,
            },
            "purge": {
                "due_at": receipt["purge"]["due_at"], "state": "scheduled",
                "copies": [{"kind": "uploaded-media", "state": "owed"}],
            },
            "created_at": receipt["created_at"],
            "error": Value::Null,
        })
    );
    // The clip is looked at when the delivery is over.
    let drawn =
        gateway.receipt_when(id, "it is drawn", |receipt| receipt["media"]["waveform"].is_array());
    assert_eq!(drawn["media"]["silent"], false);
    let peaks = drawn["media"]["waveform"].as_array().unwrap();
    assert_eq!(peaks.len(), 64);
    assert!(peaks.iter().any(|peak| peak.as_u64() > Some(40)), "{peaks:?}");
    let mut wanted = receipt.clone();
    wanted["media"]["waveform"] = drawn["media"]["waveform"].clone();
    wanted["media"]["silent"] = false.into();
    assert_eq!(drawn, wanted);
}

#[test]
fn respond_async_is_answered_as_soon_as_the_clip_is_durable() {
    let gateway = TestGateway::start();
    let slow = FaultAction::latency(Latency::Fixed(1_000));
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, slow)]);
    let started = Instant::now();
    let reply = gateway.send(&Form::sample().header("Prefer", "respond-async"));
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    let receipt = reply.receipt(202);
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(receipt["status"], "accepted");
    assert_eq!(receipt["message_id"], Value::Null);
    assert_eq!(receipt["error"], Value::Null);
    assert_eq!(
        receipt["purge"],
        json!({"due_at": null, "state": "scheduled",
            "copies": [{"kind": "spool-file", "state": "owed"}]})
    );
    assert_eq!(reply.header("location"), Some(format!("/v1/voice-messages/{id}").as_str()));
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert_eq!(spooled(&gateway), 1, "clip and record are durable");
    let receipt = gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
    assert!(receipt["message_id"].is_string());
    gateway.receipt_when(id, "our own copy is gone", |receipt| {
        receipt["purge"]["copies"] == json!([{"kind": "uploaded-media", "state": "owed"}])
    });
    assert_eq!(spooled(&gateway), 0);
}

#[test]
fn a_sender_chooses_how_long_to_wait() {
    let gateway = TestGateway::start();
    let slow = FaultAction::latency(Latency::Fixed(1_500));
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, slow)]);
    for (prefer, shortest_ms, status) in
        [("wait=0", 0, 202), ("wait=1", 950, 202), ("", 1_450, 201)]
    {
        let form = Form::sample().with("conversation_id", format!("c-{shortest_ms}"));
        let started = Instant::now();
        let receipt = gateway.send(&form.header("Prefer", prefer)).receipt(status);
        let waited_ms = started.elapsed().as_millis();
        assert!((shortest_ms..shortest_ms + 500).contains(&waited_ms), "{prefer}: {waited_ms} ms");
        let id = receipt["id"].as_str().unwrap();
        gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
    }
}

#[test]
fn a_client_that_hangs_up_after_its_body_changes_nothing() {
    let gateway = TestGateway::start();
    let slow = FaultAction::latency(Latency::Fixed(300));
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, slow)]);
    let mut stream = gateway.public.connect();
    stream.write_all(&Form::sample().request().to_bytes()).unwrap();
    eventually("it is accepted", || (gateway.records().len() == 1).then_some(()));
    drop(stream);
    let id = gateway.records()[0].id.to_string();
    gateway.receipt_when(&id, "it is sent", |receipt| receipt["status"] == "sent");
}

#[test]
fn a_message_that_was_not_posted_is_withdrawn_for_good() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, pause)]);
    let receipt = gateway.send(&Form::sample()).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(receipt["status"], "uploaded");
    let withdrawn = gateway.delete(id).receipt(202);
    assert_eq!(withdrawn["status"], "cancelled");
    gateway.receipt_when(id, "its audio is gone", |r| r["purge"]["state"] == "purged");
    assert_eq!(gateway.delete(id).receipt(200)["status"], "cancelled");
    gateway.at_genesys(|sandbox| {
        let summary = sandbox.account().summary();
        assert_eq!((summary.uploads, summary.deleted, summary.posts), (1, 1, 0));
        assert_eq!(summary.retentions, 0, "a message that was not sent gets no retention call");
    });
    assert_eq!(spooled(&gateway), 0);
}

#[test]
fn a_message_whose_post_is_on_the_wire_is_purged_at_the_floor() {
    let gateway = TestGateway::builder().settings(|s| s.purge.ttl_seconds = 900).start();
    let slow = FaultAction::latency(Latency::Fixed(500));
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, slow)]);
    let receipt = gateway.send(&Form::sample().header("Prefer", "respond-async")).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    eventually("the post is on the wire", || {
        gateway.at_genesys(|sandbox| (!sandbox.account().posts().is_empty()).then_some(()))
    });
    assert_eq!(gateway.delete(id).receipt(202)["status"], "uploaded");
    let receipt = gateway.receipt_when(id, "it is purged", |r| r["purge"]["state"] == "purged");
    assert_eq!(receipt["status"], "sent", "it could not be called back");
    kept_for(&gateway, 1_000..3_000);
}

#[test]
fn a_message_that_was_sent_is_purged_at_the_floor() {
    let gateway = TestGateway::builder().settings(|s| s.purge.ttl_seconds = 900).start();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let id = receipt["id"].as_str().unwrap();
    let due_at = |receipt: &Value| -> jiff::Timestamp {
        receipt["purge"]["due_at"].as_str().unwrap().parse().unwrap()
    };
    let withdrawn = gateway.delete(id).receipt(202);
    let hastened = due_at(&receipt).as_second() - due_at(&withdrawn).as_second();
    assert!((898..=900).contains(&hastened), "sooner by {hastened} s");
    assert_eq!(withdrawn["status"], "sent");
    gateway.receipt_when(id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    assert_eq!(gateway.delete(id).receipt(200)["purge"]["state"], "purged");
    kept_for(&gateway, 1_000..3_000);
}

#[test]
fn an_id_that_no_message_has_is_not_found() {
    let gateway = TestGateway::start();
    let unknown = "019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";
    for id in [unknown, "1", "019AA6C27F317C559D0E3B1F6A2C4E88", "%2e%2e", "%ff", "a%20b"] {
        for reply in [gateway.get(id), gateway.delete(id)] {
            reply.problem(404, "message-not-found");
        }
    }
    assert!(gateway.get(unknown).problem(404, "message-not-found").contains(unknown));
}

/// Files in the spool.
fn spooled(gateway: &TestGateway) -> usize {
    std::fs::read_dir(gateway.data.path().join("spool")).unwrap().count()
}

/// Asserts how many milliseconds after its post the only clip was deleted.
#[track_caller]
fn kept_for(gateway: &TestGateway, expected_ms: Range<i64>) {
    gateway.at_genesys(|sandbox| {
        let (upload, post) = (&sandbox.account().uploads()[0], &sandbox.account().posts()[0]);
        let kept_ms = upload.deleted_at_ms.expect("it is deleted") - post.arrived_at_ms;
        assert!(expected_ms.contains(&kept_ms), "kept for {kept_ms} ms");
    });
}
