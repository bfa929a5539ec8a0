//! Connections that are reset before the answer: what the gateway counts and writes down is not
//! lost with them.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use rusqlite::Connection;
use rustix::net::sockopt::set_socket_linger;
use serde_json::{Value, json};
use voicepost::domain::Stage;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::access::{signed, with_tokens};
use crate::replies;
use crate::support::issuer::{Issuer, SECRET, claims};
use crate::support::{Form, Request, SENDER, TestGateway, eventually, pause};

fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

fn slow(gateway: &TestGateway, endpoint: Endpoint) {
    let action = FaultAction::latency(Latency::Fixed(600));
    gateway.trouble(vec![FaultRule::new(endpoint, action)]);
}

#[test]
fn a_clip_counts_though_its_sender_is_gone_before_the_answer() {
    let gateway = with_tokens().start();
    let mut one = claims("guest-1", "c-1");
    one["clips_max"] = json!(1);
    let token = Issuer::Shared(SECRET.into()).token(&one);
    let form = signed(Form::sample().without("conversation_id").without("sender_id"), &token);
    let body = form.body();
    let head = form.request_head().head(&format!("Content-Length: {}", body.len()));
    slow(&gateway, Endpoint::Post);
    for number in 0..4 {
        let mut stream = gateway.public.connect();
        stream.write_all(&head).unwrap();
        // Whoever is refused may not get rid of everything.
        let _ = stream.write_all(&body);
        if number == 0 {
            eventually("it is accepted", || (gateway.records().len() == 1).then_some(()));
        } else {
            pause(Duration::from_millis(100));
        }
        reset(stream);
    }
    let posted = || gateway.at_genesys(|sandbox| sandbox.account().posts().len());
    // While it is on its way its place is taken all the same.
    eventually("it is sent", || (gateway.records()[0].stage == Stage::Sent).then_some(()));
    pause(Duration::from_millis(200));
    gateway.send(&form).problem(403, "forbidden");
    assert_eq!((posted(), gateway.records().len()), (1, 1));
}

#[test]
fn the_books_tell_how_an_order_ended_whose_giver_is_gone() {
    let gateway = TestGateway::start();
    slow(&gateway, Endpoint::Token);
    let mut stream = gateway.admin.connect();
    stream
        .write_all(&Request::new("POST", "/admin/token/refresh").head("Content-Length: 0"))
        .unwrap();
    let rows = || gateway.admin_get("/admin/audit").receipt(200).as_array().unwrap().clone();
    eventually("the order is in the books", || (rows().len() == 1).then_some(()));
    assert_eq!(rows()[0]["status"], Value::Null);
    reset(stream);
    let status = eventually("its end is too", || {
        Some(rows()[0]["status"].clone()).filter(|status| !status.is_null())
    });
    assert_eq!(status, 200);
}

#[test]
fn a_stranger_who_breaks_off_counts_like_one_who_waits_for_the_refusal() {
    let gateway = replies::builder().settings(|s| s.quota.address_per_minute = 3).start();
    let begun = Request::new("POST", "/webhooks/open-messaging")
        .header("X-Hub-Signature-256", "sha256=made-up")
        .head("Content-Length: 1000");
    for _ in 0..3 {
        let mut stream = gateway.public.connect();
        stream.write_all(&begun).unwrap();
        pause(Duration::from_millis(100));
        reset(stream);
    }
    eventually("the address is shut", || {
        (replies::call(&gateway, replies::SECRET, b"{}").status == 429).then_some(())
    });
}

#[test]
fn who_signs_and_breaks_off_counts_against_nobody() {
    let builder = replies::builder().settings(|s| s.quota.address_per_minute = 3);
    let ledger = builder.data().join("voicepost.db");
    let gateway = builder.start();
    let ledger = Connection::open(ledger).unwrap();
    // As long as somebody else writes, no reply is committed, and no call of the webhook answered.
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..4 {
        let body = replies::answer(&format!("reply-{number}"), SENDER, "Hello").to_string();
        let call = Request::new("POST", "/webhooks/open-messaging")
            .header("Content-Type", "application/json")
            .header("X-Hub-Signature-256", &replies::signature(replies::SECRET, body.as_bytes()))
            .head(&format!("Content-Length: {}", body.len()));
        let mut stream = gateway.public.connect();
        stream.write_all(&call).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        pause(Duration::from_millis(100));
        reset(stream);
    }
    pause(Duration::from_millis(100));
    ledger.execute_batch("ROLLBACK").unwrap();
    let last = replies::answer("reply-4", SENDER, "Hello").to_string();
    assert_eq!(replies::call(&gateway, replies::SECRET, last.as_bytes()).status, 200);
}
