//! What operators see and do, over their own listener.

use serde_json::{Value, json};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};

use crate::support::{Form, SENDER, TRANSCRIPT, TestGateway, eventually};

const UNKNOWN: &str = "019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";

/// A message that is sent, its audio due in a quarter of an hour.
fn sent(gateway: &TestGateway) -> String {
    gateway.send(&Form::sample()).receipt(201)["id"].as_str().unwrap().to_owned()
}

fn quarter_of_an_hour() -> TestGateway {
    TestGateway::builder().settings(|s| s.purge.ttl_seconds = 900).start()
}

#[test]
fn the_state_shows_actors_and_ledger() {
    let gateway = quarter_of_an_hour();
    sent(&gateway);
    let state = eventually("the message is no longer awake", || {
        let state = gateway.admin_get("/admin/state").receipt(200);
        (state["drives_awake"] == 0).then_some(state)
    });
    assert_eq!(state["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(state["draining"], false);
    assert_eq!(state["storage_low"], false);
    assert_eq!(state["clip_memory_bytes"], 0);
    assert!(state["spool_bytes"].is_u64());
    let ledger =
        json!({"open": 0, "held": 0, "purges_owed": 1, "orphaned": 0, "spool_files_undeleted": 0});
    assert_eq!(state["ledger"], ledger);
    let actors = &state["actors"];
    assert_eq!(
        (&actors["token"]["valid"], &actors["token"]["exchanges"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(actors["uploader"]["in_flight"], 0);
    assert_eq!(actors["messenger"]["in_flight"], 0);
    for actor in ["token", "validator", "uploader", "messenger", "janitor"] {
        assert!(actors[actor].is_object(), "{actor}: {}", actors[actor]);
    }
}

#[test]
fn the_queue_shows_messages_on_their_way_without_identities() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause)]);
    let ids: Vec<Value> =
        (0..2).map(|_| gateway.send(&Form::sample()).receipt(202)["id"].clone()).collect();
    let reply = gateway.admin_get("/admin/messages");
    let queue = reply.receipt(200);
    let queue = queue.as_array().unwrap();
    assert_eq!(queue.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(queue[0]["status"], "accepted");
    assert_eq!(queue[0]["last_error_code"], "genesys-rate-limited");
    assert!(!reply.text().contains(TRANSCRIPT) && !reply.text().contains(SENDER));
    let one = gateway.admin_get("/admin/messages?limit=1").receipt(200);
    assert_eq!(one.as_array().unwrap().len(), 1);
}

#[test]
fn the_history_tells_every_change_and_no_identity() {
    let gateway = TestGateway::builder().settings(|s| s.purge.ttl_seconds = 1).start();
    let id = sent(&gateway);
    gateway.receipt_when(&id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    let reply = gateway.admin_get(&format!("/admin/messages/{id}/history"));
    let rows = reply.receipt(200);
    let events: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    let expected = ["accepted", "uploaded", "posted", "retention-settled", "copy-purged"];
    assert_eq!(events, expected);
    let seqs: Vec<u64> =
        rows.as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    assert!(!reply.text().contains(TRANSCRIPT) && !reply.text().contains(SENDER));
    let receipt = gateway.admin_get(&format!("/admin/messages/{id}")).receipt(200);
    assert_eq!(receipt, gateway.get(&id).receipt(200));
}

#[test]
fn a_purge_that_is_owed_can_be_brought_forward() {
    let gateway = quarter_of_an_hour();
    let id = sent(&gateway);
    let owed = gateway.admin_get("/admin/purges").receipt(200);
    let [purge] = owed.as_array().unwrap().as_slice() else { panic!("{owed}") };
    assert_eq!(purge["id"], id.as_str());
    assert_eq!((&purge["ordinal"], &purge["kind"]), (&json!(0), &json!("uploaded-media")));
    let receipt =
        gateway.admin_post(&format!("/admin/messages/{id}/purge"), &json!({})).receipt(200);
    assert_eq!(receipt["purge"]["state"], "scheduled", "the floor holds for operators too");
    gateway.receipt_when(&id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    assert_eq!(gateway.admin_get("/admin/purges").receipt(200), json!([]));
    gateway.at_genesys(|sandbox| {
        let (upload, post) = (&sandbox.account().uploads()[0], &sandbox.account().posts()[0]);
        let kept_ms = upload.deleted_at_ms.unwrap() - post.arrived_at_ms;
        assert!((1_000..3_000).contains(&kept_ms), "kept for {kept_ms} ms");
    });
}

#[test]
fn a_message_on_its_way_is_not_purged_by_an_operator() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause)]);
    let receipt = gateway.send(&Form::sample()).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    let reply = gateway.admin_post(&format!("/admin/messages/{id}/purge"), &json!({}));
    assert!(reply.problem(409, "wrong-state").contains("accepted"));
    assert_eq!(reply.at("/id"), id);
}

#[test]
fn giving_up_a_purge_takes_a_reason_and_keeps_it() {
    let gateway = quarter_of_an_hour();
    let id = sent(&gateway);
    let give_up = |copy: &str, body: &Value| {
        gateway.admin_post(&format!("/admin/messages/{id}/copies/{copy}/give-up"), body)
    };
    give_up("0", &json!({})).problem(400, "malformed-request");
    give_up("0", &json!({"reason": "x", "more": 1})).problem(400, "malformed-request");
    let reply = give_up("0", &json!({"reason": "  "}));
    reply.problem(400, "invalid-field");
    assert_eq!((&reply.json()["limit"], &reply.json()["actual"]), (&json!(500), &json!(0)));
    give_up("0", &json!({"reason": "x".repeat(501)})).problem(400, "invalid-field");
    give_up("1", &json!({"reason": "no such copy"})).problem(409, "wrong-state");
    give_up("none", &json!({"reason": "no number"})).problem(409, "wrong-state");
    let reason = "the org was deleted, ticket 4711";
    let receipt = give_up("0", &json!({"reason": reason})).receipt(200);
    assert_eq!(receipt["purge"]["state"], "given-up");
    let copies = json!([{"kind": "uploaded-media", "state": "given-up", "detail": reason}]);
    assert_eq!(receipt["purge"]["copies"], copies);
    assert_eq!(gateway.admin_get("/admin/purges").receipt(200), json!([]));
    give_up("0", &json!({"reason": "twice"})).problem(409, "wrong-state");
    let history = gateway.admin_get(&format!("/admin/messages/{id}/history"));
    assert!(history.text().contains(reason), "the decision is on record");
    assert!(gateway.records()[0].transcript.is_none(), "nothing is owed any more");
}

#[test]
fn an_operator_asks_for_a_message_that_is_not_there() {
    let gateway = TestGateway::start();
    for path in [format!("/admin/messages/{UNKNOWN}"), format!("/admin/messages/{UNKNOWN}/history")]
    {
        gateway.admin_get(&path).problem(404, "message-not-found");
    }
    for path in [
        format!("/admin/messages/{UNKNOWN}/purge"),
        format!("/admin/messages/{UNKNOWN}/copies/0/give-up"),
    ] {
        gateway.admin_post(&path, &json!({"reason": "x"})).problem(404, "message-not-found");
    }
}

#[test]
fn what_an_operator_mistypes_is_a_problem_like_any_other() {
    let gateway = TestGateway::start();
    for query in ["limit=many", "limit=-1", "limit=99999999999", "limit=1&limit=2"] {
        let reply = gateway.admin_get(&format!("/admin/messages?{query}"));
        assert!(!reply.problem(400, "malformed-request").is_empty(), "{query}");
    }
    let large = json!({"reason": "x".repeat(300_000)});
    let path = format!("/admin/messages/{UNKNOWN}/copies/0/give-up");
    let reply = gateway.admin_post(&path, &large);
    assert!(reply.problem(413, "too-large").contains("16384"));
    assert_eq!(reply.json()["limit"], 16_384);
}

#[test]
fn the_token_is_refreshed_on_request() {
    let gateway = TestGateway::start();
    let refreshed = gateway.admin_post("/admin/token/refresh", &json!({})).receipt(200);
    assert_eq!(refreshed, json!({"token_version": 2}));
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().summary().tokens_issued), 2);
}

#[test]
fn the_metrics_can_be_scraped_in_both_formats() {
    let gateway = quarter_of_an_hour();
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::Before)).times(1)]);
    sent(&gateway);
    gateway.send(&Form::with_clip("document.mp3")).problem(415, "unsupported-audio-format");
    let classic = gateway.admin_get("/metrics");
    assert_eq!(classic.status, 200);
    assert!(classic.header("content-type").is_some_and(|text| text.starts_with("text/plain")));
    check_exposition(classic.text());
    for line in [
        "voicepost_requests_total{code=\"unsupported-audio-format\"} 1",
        "voicepost_calls_total{call=\"post\",outcome=\"unknown\"} 1",
        "voicepost_messages_total{event=\"posted\"} 1",
        "voicepost_token_valid 1",
    ] {
        assert!(classic.text().lines().any(|found| found == line), "no {line}");
    }
    let modern = crate::support::Request::new("GET", "/metrics")
        .header("Accept", "application/openmetrics-text; version=1.0.0");
    let modern = gateway.admin.send(&modern);
    let content_type = modern.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    assert!(modern.text().ends_with("# EOF\n"));
    check_exposition(modern.text());
}

/// Every line is a comment or `name{label="value",…} number`, and every sample has its type.
#[track_caller]
fn check_exposition(text: &str) {
    let mut families = Vec::new();
    let mut samples = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some(family) = comment.strip_prefix("TYPE ") {
                families.push(family.split(' ').next().unwrap().to_owned());
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(families.iter().any(|family| name.starts_with(family)), "{name} has no type");
        let labels = series.strip_prefix(name).unwrap();
        assert!(labels.is_empty() || labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
        samples += 1;
    }
    assert!(samples > 20, "only {samples} samples");
}
