//! What a start makes of rows that an earlier process left behind, as their senders see it. That
//! the rows are these after a crash is shown where processes are killed.

use ring::digest;
use serde_json::json;
use voicepost::domain::{ClipPlace, Event, MessageId, Posted, Record, Step, hex};
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};
use voicepost::ledger::{Ledger, Transition};

use crate::samples;
use crate::support::{Builder, TestGateway, eventually, fixture, wait_for};

/// A gateway that finds this record, accepted a moment ago, and its clip where it says "spooled".
fn found(change: impl FnOnce(&mut Record), clip: Option<Vec<u8>>) -> (TestGateway, MessageId) {
    found_by(TestGateway::builder(), change, clip)
}

fn found_by(
    builder: Builder,
    change: impl FnOnce(&mut Record),
    clip: Option<Vec<u8>>,
) -> (TestGateway, MessageId) {
    let mut record = samples::plain(1);
    let now = voicepost::clock::Clock::system().now();
    (record.created_at, record.expires_at) = (now, now.plus_seconds(3_600));
    change(&mut record);
    if let Some(clip) = &clip {
        record.media.bytes = clip.len() as u64;
        record.sha256 = hex(digest::digest(&digest::SHA256, clip).as_ref());
    }
    let id = record.id;
    let path = builder.data().join("voicepost.db");
    let fatal = std::sync::Arc::new(|reason| panic!("{reason}"));
    let ledger = SqliteLedger::open(&path, SqliteOptions::default(), fatal).unwrap();
    let event = Transition {
        record,
        expected_version: None,
        key: None,
        event: "accepted",
        detail: None,
        at: now,
    };
    wait_for(ledger.commit(vec![event])).unwrap();
    ledger.close();
    drop(ledger);
    if let Some(clip) = clip {
        let spool = builder.data().join("spool");
        let spool = voicepost::spool::disk::DiskSpool::open(&spool).unwrap();
        let kept = voicepost::spool::Spool::keep(&spool, id, clip.into());
        actix_rt::System::new().block_on(kept).unwrap();
    }
    (builder.start(), id)
}

#[test]
fn a_clip_that_was_only_in_memory_is_interrupted() {
    let (gateway, id) = found(|_| {}, None);
    let receipt = gateway.get(&id.to_string()).receipt(200);
    assert_eq!(receipt["status"], "failed");
    assert_eq!(receipt["error"]["code"], "interrupted");
    assert_eq!(receipt["purge"]["copies"][0]["state"], "orphaned", "an upload was on the wire");
}

#[test]
fn a_clip_in_the_spool_is_delivered() {
    let spooled = |record: &mut Record| record.clip = ClipPlace::Spooled;
    let (gateway, id) = found(spooled, Some(fixture("hello.ogg")));
    let receipt = gateway.receipt_when(&id.to_string(), "it is sent", |r| r["status"] == "sent");
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    gateway.at_genesys(|sandbox| {
        assert_eq!(&sandbox.account().uploads()[0].audio[..], fixture("hello.ogg"));
    });
}

#[test]
fn a_message_met_by_three_crashes_is_held() {
    let met = |record: &mut Record| {
        record.clip = ClipPlace::Spooled;
        record.crashes = 2;
    };
    let (gateway, id) = found(met, Some(fixture("hello.ogg")));
    let receipt = gateway.get(&id.to_string()).receipt(200);
    assert_eq!(receipt["status"], "held");
    assert_eq!(receipt["error"]["code"], "crash-loop");
    let state = gateway.admin_get("/admin/state").receipt(200);
    assert_eq!(state["ledger"]["held"], 1);
}

#[test]
fn a_clip_that_left_the_spool_is_a_fault_of_the_gateway() {
    let (gateway, id) = found(|record| record.clip = ClipPlace::Spooled, None);
    let receipt =
        gateway.receipt_when(&id.to_string(), "it has failed", |r| r["status"] == "failed");
    assert_eq!(receipt["error"]["code"], "internal");
    assert_eq!(receipt["error"]["detail"], "the clip is no longer there to be uploaded");
}

/// What is promised stays promised: nothing of it is called for, and nothing of it is given up.
#[test]
fn a_message_of_another_route_is_held_until_it_is_back() {
    let spooled = |record: &mut Record| record.clip = ClipPlace::Spooled;
    let builder = TestGateway::builder().open_messaging();
    let (gateway, id) = found_by(builder, spooled, Some(fixture("hello.ogg")));
    let receipt = gateway.get(&id.to_string()).receipt(200);
    assert_eq!(
        (&receipt["status"], &receipt["error"]["code"]),
        (&"held".into(), &"other-route".into())
    );
    let detail = receipt["error"]["detail"].as_str().unwrap();
    assert_eq!(detail, "accepted on the route media-api, and this gateway runs open-messaging");
    let release = gateway.admin_post(&format!("/admin/messages/{id}/release"), &json!({}));
    release.problem(409, "other-route");
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 0);
    assert!(gateway.data.path().join("spool").join(format!("{id}.clip")).exists());
}

#[test]
fn a_copy_of_another_route_is_owed_until_it_is_back() {
    let sent = |record: &mut Record| {
        let now = record.created_at;
        let copies = vec![samples::new_copy()];
        let post = Some(samples::intent(Step::Post));
        record.apply(&Event::Uploaded { copies, post }, now).unwrap();
        let (posted, due_at) = (Posted::default(), now);
        record.apply(&Event::Posted { posted, due_at, retention: false }, now).unwrap();
        record.clip = ClipPlace::Gone;
    };
    let (gateway, id) = found_by(TestGateway::builder().open_messaging(), sent, None);
    eventually("its purge is tried", || {
        let told =
            gateway.admin_get(&format!("/admin/messages/{id}/history")).receipt(200).to_string();
        told.contains("purge-deferred").then_some(())
    });
    let receipt = gateway.get(&id.to_string()).receipt(200);
    assert_eq!(receipt["purge"]["copies"][0]["state"], "owed");
}
