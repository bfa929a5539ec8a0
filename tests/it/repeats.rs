//! Idempotency keys, and requests that are turned away because too much is under way.

use std::io::Write;

use serde_json::{Value, json};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::support::{Form, Reply, TestGateway, eventually};

fn with_key(key: &str) -> Form {
    Form::sample().header("Idempotency-Key", key)
}

fn slow_upload(gateway: &TestGateway, latency_ms: u64) {
    let slow = FaultAction::latency(Latency::Fixed(latency_ms));
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, slow)]);
}

fn posts(gateway: &TestGateway) -> usize {
    gateway.at_genesys(|sandbox| sandbox.account().posts().len())
}

#[test]
fn a_repeat_gets_the_same_receipt_and_posts_nothing() {
    let gateway = TestGateway::start();
    let first = gateway.send(&with_key("order-66")).receipt(201);
    for repeat in [with_key("order-66"), with_key("\"order-66\""), with_key("order-66").reversed()]
    {
        assert_eq!(gateway.send(&repeat).receipt(201), first);
    }
    let renamed = with_key("order-66").without("file");
    let renamed = renamed.file("other-name.ogg", crate::support::fixture("hello.ogg"));
    assert_eq!(gateway.send(&renamed).receipt(201)["id"], first["id"], "the name does not count");
    assert_eq!(posts(&gateway), 1);
}

/// Once it is accepted, trouble that comes later is no error of the request.
#[test]
fn a_repeat_of_what_failed_after_its_202_gets_the_receipt() {
    let gateway = TestGateway::start();
    let refused = FaultAction::status(413);
    let slow = FaultAction { latency_ms: Some(Latency::Fixed(300)), ..refused };
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, slow)]);
    let accepted = gateway.send(&with_key("a").header("Prefer", "respond-async")).receipt(202);
    let id = accepted["id"].as_str().unwrap();
    let failed = gateway.receipt_when(id, "it fails", |receipt| receipt["status"] == "failed");
    let repeat = gateway.send(&with_key("a")).receipt(202);
    assert_eq!((&repeat["id"], &repeat["status"]), (&accepted["id"], &json!("failed")));
    assert_eq!(repeat["error"], failed["error"]);
    // Who was told of the failure instead of a 202 is told so again.
    let code = failed["error"]["code"].as_str().unwrap();
    for _ in 0..2 {
        gateway.send(&with_key("b")).problem(422, code);
    }
}

#[test]
fn a_key_used_for_another_request_is_refused() {
    let gateway = TestGateway::start();
    let first = gateway.send(&with_key("k")).receipt(201);
    let others = [
        Form::with_clip("hello.mp3").header("Idempotency-Key", "k"),
        with_key("k").with("conversation_id", "another"),
        with_key("k").with("sender_id", "another"),
        with_key("k").with("transcript", "another"),
        with_key("k").without("transcript"),
        with_key("k").field("language", "de"),
    ];
    for other in others {
        let reply = gateway.send(&other);
        reply.problem(422, "idempotency-mismatch");
        assert_eq!(reply.json()["id"], first["id"]);
    }
    assert_eq!(posts(&gateway), 1);
}

#[test]
fn a_repeat_that_comes_too_early_is_told_where_to_look() {
    let gateway = TestGateway::start();
    slow_upload(&gateway, 600);
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| gateway.send(&with_key("k")));
        eventually("the first is accepted", || (gateway.records().len() == 1).then_some(()));
        let reply = gateway.send(&with_key("k"));
        reply.problem(409, "in-progress");
        let id = gateway.records()[0].id.to_string();
        assert_eq!(reply.at("/id"), id);
        assert_eq!(reply.header("location"), Some(format!("/v1/voice-messages/{id}").as_str()));
        assert_eq!(reply.header("retry-after"), Some("1"));
        first.join().unwrap().receipt(201)
    });
    assert_eq!(gateway.send(&with_key("k")).receipt(201)["id"], first["id"]);
}

#[test]
fn a_repeat_of_a_durable_message_waits_like_the_first() {
    let gateway = TestGateway::start();
    slow_upload(&gateway, 600);
    let accepted = gateway.send(&with_key("k").header("Prefer", "respond-async")).receipt(202);
    let again = gateway.send(&with_key("k").header("Prefer", "respond-async")).receipt(202);
    assert_eq!(again["id"], accepted["id"]);
    let waited = gateway.send(&with_key("k")).receipt(201);
    assert_eq!(waited["id"], accepted["id"]);
    assert_eq!(posts(&gateway), 1);
}

#[test]
fn of_ten_requests_with_one_key_one_is_posted() {
    let gateway = TestGateway::start();
    slow_upload(&gateway, 100);
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let racers: Vec<_> =
            (0..10).map(|_| scope.spawn(|| gateway.send(&with_key("race")))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let id = gateway.records()[0].id.to_string();
    assert_eq!(gateway.records().len(), 1);
    let delivered = replies.iter().filter(|reply| reply.status == 201).count();
    for reply in &replies {
        assert_eq!(reply.at("/id"), id);
        if reply.status != 201 {
            reply.problem(409, "in-progress");
        }
    }
    assert!(delivered >= 1, "the first is delivered");
    assert_eq!(posts(&gateway), 1);
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().uploads().len()), 1);
}

#[test]
fn a_refusal_leaves_the_key_free() {
    let gateway = TestGateway::start();
    let bad = Form::with_clip("document.mp3").header("Idempotency-Key", "k");
    gateway.send(&bad).problem(415, "unsupported-audio-format");
    gateway.send(&with_key("k")).receipt(201);
}

#[test]
fn a_key_that_cannot_be_one_is_refused() {
    let gateway = TestGateway::start();
    for key in ["", "\"\"", &"k".repeat(256)] {
        let reply = gateway.send(&with_key(key));
        assert!(reply.problem(400, "invalid-field").contains("255"));
        assert_eq!(reply.json()["header"], "Idempotency-Key");
    }
    gateway.send(&with_key(&"k".repeat(255))).receipt(201);
}

/// Invariant 6: what is under way is bounded, and who comes too much is told so.
#[test]
fn one_request_too_many_is_told_that_it_is_busy_here() {
    let gateway = TestGateway::builder().settings(|s| s.server.requests_max = 1).start();
    let form = Form::sample();
    let body = form.body();
    let mut stream = gateway.public.connect();
    stream
        .write_all(&form.request_head().head(&format!("Content-Length: {}", body.len())))
        .unwrap();
    stream.write_all(&body[..1_000]).unwrap();
    eventually("the first is being read", || {
        (gateway.pipeline().admission().requests_in_flight() == 1).then_some(())
    });
    let reply = gateway.send(&Form::sample());
    assert!(reply.problem(503, "busy").contains("1 requests"));
    assert_eq!(reply.json()["limit"], 1);
    assert_eq!(reply.header("retry-after"), Some("2"));
    stream.write_all(&body[1_000..]).unwrap();
    Reply::read(&mut stream).receipt(201);
    gateway.send(&Form::sample()).receipt(201);
}

#[test]
fn messages_awake_are_bounded_too() {
    let gateway = TestGateway::builder().settings(|s| s.delivery.drives_max = 1).start();
    slow_upload(&gateway, 1_500);
    gateway.send(&Form::sample().header("Prefer", "respond-async")).receipt(202);
    let reply = gateway.send(&Form::sample());
    assert!(reply.problem(503, "busy").contains("1 messages"));
    eventually("there is room again", || {
        (gateway.send(&Form::sample()).status == 201).then_some(())
    });
}

#[test]
fn a_gateway_that_shuts_down_lets_its_senders_go_and_takes_no_new_ones() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("3");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause)]);
    let receipt = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| gateway.send(&Form::sample().header("Prefer", "wait=10")));
        eventually("it is accepted", || (gateway.records().len() == 1).then_some(()));
        gateway.pipeline().admission().drain().begin();
        waiting.join().unwrap().receipt(202)
    });
    assert_eq!(receipt["status"], "accepted");
    let reply = gateway.send(&Form::sample());
    reply.problem(503, "draining");
    assert_eq!(reply.header("retry-after"), Some("5"));
    let ready = gateway.public.get("/readyz");
    assert_eq!(ready.status, 503);
    let reasons = json!({"ready": false, "reasons": ["the gateway is shutting down"]});
    assert_eq!(ready.json(), reasons);
    assert_eq!(gateway.public.get("/livez").status, 200);
    let id = receipt["id"].as_str().unwrap();
    assert_eq!(gateway.get(id).receipt(200)["error"], Value::Null);
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_new_messages() {
    let gateway = TestGateway::builder().settings(|s| s.ledger.free_bytes_min = 1 << 40).start();
    eventually("free space was looked at", || {
        gateway.pipeline().admission().is_storage_low().then_some(())
    });
    let reply = gateway.send(&Form::sample());
    reply.problem(503, "storage-low");
    assert_eq!(reply.header("retry-after"), Some("60"));
    assert_eq!(gateway.public.get("/readyz").json()["reasons"], json!(["the disk is nearly full"]));
}

#[test]
fn clips_in_memory_have_one_budget_and_who_finds_it_taken_is_spooled() {
    let gateway = TestGateway::builder().settings(|s| s.memory.clips_bytes_max = 1 << 20).start();
    let form = Form::sample();
    let body = form.body();
    // A request starts with what it announced, in whole KiB, and at most with 64.
    let share_bytes = body.len().next_multiple_of(1024) as u64;
    let count = (1 << 20) / share_bytes;
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = gateway.public.connect();
        let head = form.request_head().head(&format!("Content-Length: {}", body.len()));
        stream.write_all(&head).unwrap();
        stream.write_all(&body[..5_000]).unwrap();
        streams.push(stream);
    }
    let clips = gateway.pipeline().admission().clips();
    eventually("no more fit", || (clips.bytes_reserved() == count * share_bytes).then_some(()));
    let receipt = gateway.send(&Form::sample()).receipt(201);
    let id = receipt["id"].as_str().unwrap();
    eventually("one more came by the spool, and left it", || {
        let history = gateway.admin_get(&format!("/admin/messages/{id}/history"));
        history.text().contains("clip-dropped").then_some(())
    });
    for mut stream in streams {
        stream.write_all(&body[5_000..]).unwrap();
        Reply::read(&mut stream).receipt(201);
    }
    eventually("the budget is given back", || (clips.bytes_reserved() == 0).then_some(()));
}
