//! What a sender is told when Genesys refuses, asks for a pause, or its answer is lost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, MediaIds};
use voicepost::settings::{OnUnknown, UploadBody};

use crate::support::{CONVERSATION, Form, TestGateway, eventually, fixture};

fn once(endpoint: Endpoint, action: FaultAction) -> Vec<FaultRule> {
    vec![FaultRule::new(endpoint, action).times(1)]
}

fn always(endpoint: Endpoint, action: FaultAction) -> Vec<FaultRule> {
    vec![FaultRule::new(endpoint, action)]
}

fn posts(gateway: &TestGateway) -> usize {
    gateway.at_genesys(|sandbox| sandbox.account().posts().len())
}

#[test]
fn a_clip_that_genesys_refuses_is_refused() {
    let gateway = TestGateway::start();
    for (status, words) in [
        (400, "Invalid audio payload rejected by Genesys Cloud."),
        (413, "the clip is too large for Genesys Cloud (413)"),
        (415, "Genesys Cloud does not take this type (415)"),
    ] {
        gateway.trouble(once(Endpoint::Upload, FaultAction::status(status)));
        let reply = gateway.send(&Form::sample());
        assert_eq!(reply.problem(422, "clip-refused-by-genesys"), words);
        let receipt = gateway.get(&reply.at("/id")).receipt(200);
        assert_eq!(receipt["status"], "failed");
        assert_eq!(receipt["error"], json!({"code": "clip-refused-by-genesys", "detail": words}));
        assert_eq!(receipt["purge"]["state"], "purged");
    }
    assert_eq!(posts(&gateway), 0);
}

#[test]
fn missing_scopes_are_named() {
    let gateway = TestGateway::start();
    gateway.trouble(once(Endpoint::Upload, FaultAction::status(403)));
    let detail = gateway.send(&Form::sample()).problem(502, "genesys-refused");
    assert_eq!(
        detail,
        "Missing required scopes. Verify media:upload and webchat:write are granted."
    );
    gateway.trouble(once(Endpoint::Post, FaultAction::status(403)));
    let detail = gateway.send(&Form::sample()).problem(502, "genesys-refused");
    assert_eq!(detail, "Missing webchat:write or conversations:write scope.");
    gateway.trouble(once(Endpoint::Post, FaultAction::status(400)));
    let detail = gateway.send(&Form::sample()).problem(502, "genesys-refused");
    assert!(detail.contains("400"), "{detail}");
}

#[test]
fn a_conversation_that_is_closed_is_not_found_and_its_clip_is_deleted() {
    let gateway = TestGateway::start();
    gateway.sandbox.with(|sandbox| sandbox.close_conversation(CONVERSATION));
    let reply = gateway.send(&Form::sample());
    let detail = reply.problem(404, "conversation-not-found");
    assert_eq!(detail, format!("Conversation {CONVERSATION} not found."));
    let receipt = gateway.receipt_when(&reply.at("/id"), "the clip is purged", |receipt| {
        receipt["purge"]["state"] == "purged"
    });
    assert_eq!(receipt["error"]["code"], "conversation-not-found");
    assert_eq!(receipt["purge"]["copies"][0]["state"], "gone");
    gateway.at_genesys(|sandbox| {
        let summary = sandbox.account().summary();
        assert_eq!((summary.uploads, summary.deleted, summary.retentions), (1, 1, 0));
    });
}

/// Invariant 3: an answer that broke off is lost. The clip may be there under an id nobody knows.
/// Half of each comes.
#[test]
fn an_upload_answer_that_is_cut_off_is_a_lost_one() {
    let gateway = TestGateway::start();
    for body in ["{", "{}", "{\"mediaId\":\"01234567\"}"] {
        let cut = FaultAction {
            body: Some(body.to_owned()),
            cut: Some(Cut::Within),
            ..FaultAction::effect_then_status(200)
        };
        gateway.trouble(once(Endpoint::Upload, cut));
        let receipt = gateway.send(&Form::sample()).receipt(201);
        let states: Vec<_> = receipt["purge"]["copies"].as_array().unwrap().iter().collect();
        assert_eq!(
            (&states[0]["state"], &states[1]["state"]),
            (&json!("orphaned"), &json!("owed"))
        );
    }
    assert_eq!(posts(&gateway), 3);
}

#[test]
fn an_upload_answer_without_identifiers_is_final() {
    let gateway = TestGateway::start();
    let answer = |body: &str| FaultAction {
        body: Some(body.to_owned()),
        ..FaultAction::effect_then_status(200)
    };
    for (body, copy) in [
        ("", "orphaned"),
        ("{}", "orphaned"),
        ("no JSON", "orphaned"),
        ("{\"mediaUrl\":\"https://media.example/x\"}", "orphaned"),
        ("{\"mediaId\":\"0123\"}", "gone"),
    ] {
        gateway.trouble(once(Endpoint::Upload, answer(body)));
        let reply = gateway.send(&Form::sample());
        let detail = reply.problem(502, "genesys-refused");
        assert_eq!(detail, "Media API returned missing identifiers.", "{body}");
        let what = format!("{body}: the copy is {copy}");
        gateway.receipt_when(&reply.at("/id"), &what, |receipt| {
            receipt["purge"]["copies"][0]["state"] == copy
        });
    }
    assert_eq!(posts(&gateway), 0);
    // Their ids never reached the gateway, so the sandbox keeps them; the ledger says "orphaned",
    // but for the last, whose invented id was deleted in its place.
    gateway.sandbox.with(|sandbox| sandbox.reset());
}

#[test]
fn nothing_is_posted_before_the_pause_that_genesys_asks_for_is_over() {
    let gateway = TestGateway::start();
    let asked = FaultAction::status(429).retry_after("1");
    gateway.trouble(once(Endpoint::Post, asked));
    let started = Instant::now();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(receipt["delivery"]["attempts"], 2);
    assert_eq!(receipt["delivery"]["possible_duplicate"], false);
    gateway.at_genesys(|sandbox| {
        let account = sandbox.account();
        let (upload, post) = (&account.uploads()[0], &account.posts()[0]);
        assert!(post.arrived_at_ms - upload.arrived_at_ms >= 1_000);
        assert_eq!(account.summary().posts, 1);
    });
}

#[test]
fn a_pause_that_outlasts_the_wait_is_answered_202_at_once() {
    let gateway = TestGateway::start();
    gateway.trouble(always(Endpoint::Upload, FaultAction::status(429).retry_after("30")));
    let started = Instant::now();
    let reply = gateway.send(&Form::sample());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let receipt = reply.receipt(202);
    assert_eq!(receipt["status"], "accepted");
    assert_eq!(receipt["delivery"]["last_error_code"], "genesys-rate-limited");
    assert!(receipt["delivery"]["next_attempt_at"].is_string());
    assert_eq!(receipt["purge"]["copies"], json!([{"kind": "spool-file", "state": "owed"}]));
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), Some(format!("/v1/voice-messages/{id}").as_str()));
    assert!(reply.header("retry-after").is_some());
}

#[test]
fn trouble_that_passes_is_ridden_out_while_the_sender_waits() {
    let gateway = TestGateway::start();
    gateway.trouble(vec![
        FaultRule::new(Endpoint::Upload, FaultAction::status(429).retry_after("0")).times(1),
        FaultRule::new(Endpoint::Post, FaultAction::status(429).retry_after("0")).times(2),
    ]);
    let receipt = gateway.send(&Form::sample()).receipt(201);
    assert_eq!(receipt["delivery"]["attempts"], 3, "tries of the last step");
    assert_eq!(posts(&gateway), 1);
}

#[test]
fn a_lost_upload_answer_leaves_an_orphaned_copy() {
    let gateway = TestGateway::start();
    gateway.trouble(once(Endpoint::Upload, FaultAction::cut(Cut::After)));
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let states = |receipt: &Value| receipt["purge"]["copies"].clone();
    let kind = "uploaded-media";
    assert_eq!(
        states(&receipt),
        json!([{"kind": kind, "state": "orphaned"}, {"kind": kind, "state": "owed"}])
    );
    let id = receipt["id"].as_str().unwrap();
    let receipt = gateway.receipt_when(id, "the named copy is gone", |receipt| {
        receipt["purge"]["copies"][1]["state"] == "gone"
    });
    assert_eq!(receipt["purge"]["state"], "incomplete", "an orphan is never called purged");
    gateway.at_genesys(|sandbox| {
        let summary = sandbox.account().summary();
        assert_eq!((summary.uploads, summary.deleted, summary.posts), (2, 1, 1));
    });
}

#[test]
fn an_upload_answered_503_may_have_stored_the_clip() {
    let gateway = TestGateway::start();
    gateway.trouble(once(Endpoint::Upload, FaultAction::effect_then_status(503)));
    let receipt = gateway.send(&Form::sample()).receipt(201);
    assert_eq!(receipt["purge"]["copies"][0]["state"], "orphaned");
    assert_eq!(receipt["delivery"]["last_error_code"], "genesys-unavailable");
}

#[test]
fn a_lost_post_answer_is_repeated_and_marked() {
    let gateway = TestGateway::start();
    gateway.trouble(once(Endpoint::Post, FaultAction::cut(Cut::After)));
    let receipt = gateway.send(&Form::sample()).receipt(201);
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    gateway.at_genesys(|sandbox| {
        let posts = sandbox.account().posts();
        assert_eq!(posts.len(), 2);
        assert_eq!(posts[0].media_id, posts[1].media_id, "a repeat sends the same bytes");
        assert_eq!(receipt["message_id"], posts[1].message_id.as_str());
    });
}

#[test]
fn with_on_unknown_hold_a_message_in_doubt_waits_for_an_operator() {
    let hold = |settings: &mut voicepost::settings::Settings| {
        settings.delivery.on_unknown = OnUnknown::Hold;
    };
    let gateway = TestGateway::builder().settings(hold).start();
    gateway.trouble(once(Endpoint::Post, FaultAction::cut(Cut::After)));
    let receipt = gateway.send(&Form::sample()).receipt(202);
    assert_eq!(receipt["status"], "held");
    assert_eq!(receipt["error"]["code"], "genesys-answer-lost");
    assert_eq!(posts(&gateway), 1, "it is not repeated");
    let id = receipt["id"].as_str().unwrap();
    // A 2xx means that the clip is durable here: whoever decides later can still send it.
    let kept = gateway.data.path().join("spool");
    let files: Vec<_> = std::fs::read_dir(kept).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "the clip of {id} is in the spool");
    assert_eq!(std::fs::read(files[0].path()).unwrap(), fixture("hello.ogg"));
}

#[test]
fn a_message_that_is_not_delivered_in_time_expires() {
    let short = |settings: &mut voicepost::settings::Settings| {
        settings.delivery.expires_after_seconds = 1;
        settings.delivery.failed_keep_seconds = 1;
    };
    let gateway = TestGateway::builder().settings(short).start();
    gateway.trouble(always(Endpoint::Post, FaultAction::status(429)));
    let reply = gateway.send(&Form::sample().header("Prefer", "respond-async"));
    let id = reply.receipt(202)["id"].as_str().unwrap().to_owned();
    let receipt = gateway.receipt_when(&id, "it expires", |receipt| receipt["status"] == "failed");
    assert_eq!(receipt["error"]["code"], "expired");
    assert!(receipt["error"]["detail"].as_str().unwrap().contains("1 s"));
    gateway.receipt_when(&id, "its clips are gone", |r| r["purge"]["state"] == "purged");
}

#[test]
fn a_message_that_expires_while_its_sender_waits_is_refused() {
    let gateway = TestGateway::builder().settings(|s| s.delivery.expires_after_seconds = 1).start();
    gateway.trouble(always(Endpoint::Post, FaultAction::status(429).retry_after("3")));
    let reply = gateway.send(&Form::sample());
    assert!(reply.problem(502, "expired").contains("1 s"));
    gateway.receipt_when(&reply.at("/id"), "its clip is gone", |r| r["purge"]["state"] == "purged");
}

#[test]
fn once_the_tries_of_the_wait_are_used_up_the_sender_may_go() {
    let gateway = TestGateway::start();
    gateway.trouble(always(Endpoint::Post, FaultAction::status(429).retry_after("0")));
    let started = Instant::now();
    let receipt = gateway.send(&Form::sample().header("Prefer", "wait=60")).receipt(202);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(receipt["status"], "uploaded");
    assert!(receipt["delivery"]["attempts"].as_u64() >= Some(3), "{}", receipt["delivery"]);
    gateway.trouble(Vec::new());
    let id = receipt["id"].as_str().unwrap();
    gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
}

#[test]
fn the_upload_can_travel_as_a_form() {
    let gateway = TestGateway::builder()
        .settings(|s| s.genesys.media_api.upload_body = UploadBody::Multipart)
        .start();
    gateway.send(&Form::with_clip("hello.wav")).receipt(201);
    gateway.at_genesys(|sandbox| {
        let upload = &sandbox.account().uploads()[0];
        assert_eq!(&upload.audio[..], fixture("hello.wav"));
        assert_eq!(upload.file_name, "hello.wav");
        assert_eq!(upload.media_type, "audio/wav");
    });
}

#[test]
fn a_media_id_of_any_characters_is_posted_retained_and_deleted() {
    let gateway =
        TestGateway::builder().sandbox(|sandbox| sandbox.media_ids = MediaIds::Awkward).start();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let id = receipt["id"].as_str().unwrap();
    gateway.receipt_when(id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    gateway.at_genesys(|sandbox| {
        let summary = sandbox.account().summary();
        assert_eq!((summary.posts, summary.retentions, summary.deleted), (1, 1, 1));
    });
}

#[test]
fn the_audio_is_deleted_when_its_time_is_over_and_not_before() {
    let gateway = TestGateway::start();
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let id = receipt["id"].as_str().unwrap();
    let deleted_at_ms = eventually("the audio is deleted", || {
        gateway.at_genesys(|sandbox| sandbox.account().uploads()[0].deleted_at_ms)
    });
    gateway.at_genesys(|sandbox| {
        let posted_at_ms = sandbox.account().posts()[0].arrived_at_ms;
        let kept_ms = deleted_at_ms - posted_at_ms;
        assert!((2_000..4_000).contains(&kept_ms), "kept for {kept_ms} ms");
        assert_eq!(sandbox.account().retentions()[0].duration, "1m");
    });
    let receipt = gateway.receipt_when(id, "it is purged", |r| r["purge"]["state"] == "purged");
    assert_eq!(receipt["transcript"], Value::Null);
    let records = gateway.records();
    assert!(records[0].envelope.is_none(), "the sender leaves the ledger with the last purge");
    assert!(records[0].transcript.is_none());
}

#[test]
fn a_delete_is_repeated_until_it_is_proven() {
    let gateway = TestGateway::builder().settings(|s| s.purge.ttl_seconds = 1).start();
    gateway.trouble(vec![
        FaultRule::new(Endpoint::Retention, FaultAction::status(400)),
        FaultRule::new(Endpoint::Delete, FaultAction::status(500)).times(2),
        FaultRule::new(Endpoint::Delete, FaultAction::cut(Cut::Before)).times(1),
        FaultRule::new(Endpoint::Delete, FaultAction::cut(Cut::After)).times(1),
    ]);
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let id = receipt["id"].as_str().unwrap();
    gateway.receipt_when(id, "the refused retention is told", |receipt| {
        receipt["purge"]["copies"][0]["detail"] == "Invalid retention duration format."
    });
    gateway.receipt_when(id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    gateway.at_genesys(|sandbox| {
        assert_eq!(sandbox.account().uploads()[0].delete_attempts, 5, "the last is answered 404");
    });
}
