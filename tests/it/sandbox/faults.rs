//! Trouble on request, as a client sees it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Latency, SandboxSettings};

use super::{CLIP, Client, UPLOAD, UPLOAD_HEADERS, bytes_of, request_bytes};

#[test]
fn a_cut_connection_brings_no_byte_before_or_after_the_effect() {
    let client = Client::start(SandboxSettings::default());
    let bearer = format!("Bearer {}", client.token);
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(UPLOAD_HEADERS);
    let request = request_bytes("POST", UPLOAD, &headers, CLIP);
    let uploads = || client.server.with(|sandbox| sandbox.account().uploads().len());

    let rule = |cut| FaultRule::new(Endpoint::Upload, FaultAction::cut(cut)).times(1);
    client.faults(vec![rule(Cut::Before), rule(Cut::After)]);
    assert_eq!(client.exchange_bytes(&request), b"");
    assert_eq!(uploads(), 0, "cut before the effect");
    assert_eq!(client.exchange_bytes(&request), b"");
    assert_eq!(uploads(), 1, "cut after the effect");
    assert_eq!(client.upload().status, 200, "the rules are used up");
    let calls = client.server.with(|sandbox| sandbox.account().calls(Endpoint::Upload, None));
    assert_eq!(calls, 2);
}

#[test]
fn a_cut_ends_a_connection_that_was_kept_alive() {
    let client = Client::start(SandboxSettings::default());
    let address = client.server.base_url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the sandbox listens");
    let credentials = STANDARD.encode("sandbox-client:sandbox-secret");
    let body = "grant_type=client_credentials";
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the first request is taken");
    let mut buffer = [0; 4_096];
    let count = stream.read(&mut buffer).expect("the first answer");
    assert!(buffer[..count].starts_with(b"HTTP/1.1 200"));
    let rule = FaultRule::new(Endpoint::Token, FaultAction::cut(Cut::After));
    client.faults(vec![rule]);
    stream.write_all(request.as_bytes()).expect("the second request is taken");
    assert_eq!(stream.read(&mut buffer).unwrap_or(0), 0, "closed without a byte");
}

#[test]
fn fault_rules_set_over_http_strike_as_written() {
    let client = Client::start(SandboxSettings::default());
    let set = |rules: Value| client.send("POST", "/sandbox/faults", &[], &bytes_of(&rules));
    let accepted = set(json!([
        {"endpoint": "upload", "times": 1, "rate": 1.0, "do": {"status": 429, "retry_after": "2"}},
        {"endpoint": "upload", "times": 1, "do": {"status": 503, "retry_after_date_seconds": 3}},
        {"endpoint": "upload", "times": 1, "do": {"status": 503, "effect": true}},
        {"endpoint": "upload", "times": 1, "do": {"status": 200, "body": "{\"mediaUrl\":\"x\"}"}},
        {"endpoint": "upload", "times": 1, "do": {"latency_ms": [200, 250]}},
    ]));
    assert_eq!(accepted.status, 200);
    let first = client.upload();
    assert_eq!((first.status, first.header("retry-after")), (429, Some("2")));
    assert_eq!(first.json()["code"], "too.many.requests");
    let second = client.upload();
    assert!(second.header("retry-after").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(client.server.with(|sandbox| sandbox.account().uploads().len()), 0);
    assert_eq!(client.upload().status, 503);
    assert_eq!(client.server.with(|sandbox| sandbox.account().uploads().len()), 1);
    assert_eq!(client.upload().body, b"{\"mediaUrl\":\"x\"}");
    let began = Instant::now();
    assert_eq!(client.upload().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(200));

    for wrong in [
        json!([{"endpoint": "upload", "do": {"status": 503, "cut": "after"}}]),
        json!([{"endpoint": "upload", "do": {"statsu": 503}}]),
        json!([{"endpoint": "nowhere", "do": {"status": 503}}]),
        json!([{"endpoint": "upload", "rate": 2, "do": {"status": 503}}]),
    ] {
        assert_eq!(set(wrong.clone()).status, 400, "{wrong}");
    }
    set(json!([{"endpoint": "delete", "do": {"status": 500}}]));
    assert_eq!(client.call("DELETE", "/api/v2/media/attachments/0", &[], b"").status, 500);
    assert_eq!(client.send("DELETE", "/sandbox/faults", &[], b"").status, 204);
    assert_eq!(client.call("DELETE", "/api/v2/media/attachments/0", &[], b"").status, 404);
}

#[test]
fn a_stalled_body_comes_after_its_headers() {
    let client = Client::start(SandboxSettings::default());
    let stall = FaultAction { stall_ms: Some(300), ..FaultAction::default() };
    client.faults(vec![FaultRule::new(Endpoint::Token, stall)]);
    let began = Instant::now();
    let answer = client.ask_token("sandbox-client:sandbox-secret");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    assert!(answer.json()["access_token"].is_string());
}

#[test]
fn a_client_that_gives_up_during_the_latency_has_changed_nothing() {
    let client = Client::start(SandboxSettings::default());
    let slow = FaultAction::latency(Latency::Fixed(60_000));
    client.faults(vec![FaultRule::new(Endpoint::Upload, slow)]);
    let bearer = format!("Bearer {}", client.token);
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(UPLOAD_HEADERS);
    let address = client.server.base_url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the sandbox listens");
    stream.write_all(&request_bytes("POST", UPLOAD, &headers, CLIP)).expect("it is taken");
    let deadline = Instant::now() + Duration::from_secs(5);
    while client.server.with(|sandbox| sandbox.account().uploads().is_empty()) {
        assert!(Instant::now() < deadline, "the effect comes before the latency");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stream);
    let began = Instant::now();
    client.server.stop();
    assert!(began.elapsed() < Duration::from_secs(5), "stop does not wait for the latency");
}
