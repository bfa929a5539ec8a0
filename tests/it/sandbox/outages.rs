//! A sandbox that is not there, slow, or short of what a client needs.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use voicepost::sandbox::{
    Cut, Endpoint, FaultAction, FaultRule, Outage, RateLimit, SandboxSettings, Target,
};

use super::{CLIP, Client, UPLOAD, UPLOAD_HEADERS, bytes_of, request_bytes};

fn start() -> Client {
    Client::start(SandboxSettings::default())
}

fn connect(client: &Client) -> TcpStream {
    let address = client.server.base_url().trim_start_matches("http://");
    let stream = TcpStream::connect(address).expect("the sandbox listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    stream
}

/// The bytes of an upload, its connection kept alive.
fn upload_bytes(client: &Client) -> Vec<u8> {
    let bearer = format!("Bearer {}", client.token);
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(UPLOAD_HEADERS);
    let bytes = request_bytes("POST", UPLOAD, &headers, CLIP);
    String::from_utf8(bytes).unwrap().replacen("Connection: close\r\n", "", 1).into_bytes()
}

fn outage(outage: Outage) -> Vec<FaultRule> {
    vec![FaultRule::new(Target::Any, FaultAction::outage(outage))]
}

fn uploads(client: &Client) -> usize {
    client.server.with(|sandbox| sandbox.account().uploads().len())
}

/// What a client reads that sends these bytes: a kind of error, or how many bytes.
fn told(stream: &mut TcpStream, request: &[u8]) -> Result<usize, ErrorKind> {
    stream.write_all(request).map_err(|error| error.kind())?;
    stream.read(&mut [0; 4_096]).map_err(|error| error.kind())
}

#[test]
fn a_reset_breaks_the_connection_off_and_nothing_happens() {
    let client = start();
    for form in [Outage::Refuse, Outage::Reset] {
        client.faults(outage(form));
        let mut stream = connect(&client);
        let found = told(&mut stream, &upload_bytes(&client));
        assert_eq!(found, Err(ErrorKind::ConnectionReset), "{form:?}");
        assert_eq!(uploads(&client), 0);
    }
    let calls = client.server.with(|sandbox| sandbox.account().calls(Endpoint::Upload, None));
    assert_eq!(calls, 2);
    client.faults(Vec::new());
    assert_eq!(client.upload().status, 200);
}

#[test]
fn refused_is_a_request_whose_body_has_not_come() {
    let client = start();
    client.faults(outage(Outage::Refuse));
    let request = upload_bytes(&client);
    let mut stream = connect(&client);
    let found = told(&mut stream, &request[..request.len() - CLIP.len()]);
    assert_eq!(found, Err(ErrorKind::ConnectionReset), "nobody waits for the body");
}

#[test]
fn a_call_that_hangs_is_let_go_when_the_trouble_ends() {
    let client = start();
    client.faults(outage(Outage::Hang));
    let mut stream = connect(&client);
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    let found = told(&mut stream, &upload_bytes(&client));
    assert_eq!(found, Err(ErrorKind::WouldBlock), "not a byte");
    client.faults(Vec::new());
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
    let error = stream.read(&mut [0; 64]).expect_err("it is reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(uploads(&client), 0, "nothing came of it");
}

#[test]
fn a_closed_door_refuses_connections_and_keeps_what_was_there() {
    let client = start();
    client.uploaded();
    let address = client.server.base_url().trim_start_matches("http://").to_owned();
    client.server.close();
    let error = TcpStream::connect(&address).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    client.server.open().expect("the address is free");
    client.server.open().expect("open is open");
    assert_eq!(client.upload().status, 200, "the token still holds");
    assert_eq!(uploads(&client), 2);
}

#[test]
fn an_effect_can_be_followed_by_a_cut_on_a_reused_connection_or_on_a_fresh_one() {
    let client = start();
    let request = upload_bytes(&client);
    let cut = || FaultRule::new(Endpoint::Upload, FaultAction::cut(Cut::After)).times(1);
    let before = client.server.connections();
    client.faults(vec![cut().skip(1)]);
    let mut stream = connect(&client);
    assert!(told(&mut stream, &request).is_ok_and(|bytes| bytes > 0));
    assert_eq!(told(&mut stream, &request).unwrap_or(0), 0, "cut without a byte");
    assert_eq!((uploads(&client), client.server.connections() - before), (2, 1));

    let close = FaultAction { close: true, ..FaultAction::default() };
    client.faults(vec![FaultRule::new(Endpoint::Upload, close).times(1), cut()]);
    let mut stream = connect(&client);
    assert!(told(&mut stream, &request).is_ok_and(|bytes| bytes > 0));
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_ok(), "closed after the answer");
    let mut stream = connect(&client);
    assert_eq!(told(&mut stream, &request).unwrap_or(0), 0, "cut without a byte");
    assert_eq!((uploads(&client), client.server.connections() - before), (4, 3));
}

#[test]
fn bodies_can_be_read_and_sent_slowly() {
    let client = start();
    let bytes_per_second = u32::try_from(CLIP.len()).unwrap() * 2;
    let slow =
        FaultAction { read_bytes_per_second: Some(bytes_per_second), ..FaultAction::default() };
    client.faults(vec![FaultRule::new(Endpoint::Upload, slow)]);
    let began = Instant::now();
    assert_eq!(client.upload().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());

    let drip = FaultAction { drip_bytes_per_second: Some(400), ..FaultAction::default() };
    client.faults(vec![FaultRule::new(Endpoint::Upload, drip)]);
    let began = Instant::now();
    let answer = client.upload();
    let length = answer.body.len();
    assert_eq!(answer.header("content-length"), Some(length.to_string().as_str()));
    let least = Duration::from_millis(u64::try_from(length).unwrap() * 2);
    assert!(began.elapsed() >= least, "{length} bytes in {:?}", began.elapsed());
    assert!(answer.json()["mediaId"].is_string(), "and arrives whole");
}

#[test]
fn tokens_are_revoked_by_a_rule_and_live_as_long_as_they_are_told_to() {
    let client = start();
    let revoke = FaultAction { revoke_tokens: true, ..FaultAction::default() };
    client.faults(vec![FaultRule::new(Endpoint::Upload, revoke).times(1)]);
    assert_eq!(client.upload().status, 401, "this one finds its token revoked");
    assert_eq!(client.upload().status, 401, "and so does whoever has it still");
    let life = client.send("POST", "/sandbox/tokens/life", &[], b"{\"seconds\":1}");
    assert_eq!(life.status, 204);
    let renewed = Client { token: client.exchange(), ..client };
    assert_eq!(renewed.upload().status, 200);
    std::thread::sleep(Duration::from_millis(1_050));
    assert_eq!(renewed.upload().status, 401, "its second is over");
}

#[test]
fn a_limit_counts_by_window_for_the_client_or_for_one_endpoint() {
    let client = start();
    let set = |limit| client.send("POST", "/sandbox/rate", &[], &bytes_of(&limit)).status;
    assert_eq!(set(json!({"endpoint": "upload", "calls": 1, "window_seconds": 1})), 204);
    assert_eq!(set(json!({"endpoint": "nowhere", "calls": 1})), 400);
    assert_eq!(client.upload().status, 200);
    let refused = client.upload();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(refused.json()["limit"]["key"], "endpoint.rate.per.window");
    let delete = || client.call("DELETE", "/api/v2/media/attachments/0", &[], b"").status;
    assert_eq!(delete(), 404, "another endpoint has no such limit");
    std::thread::sleep(Duration::from_millis(1_050));
    assert_eq!(client.upload().status, 200, "a new window");

    let limit = RateLimit { endpoint: Target::Any, calls: 2, window_seconds: 60 };
    client.server.with(|sandbox| sandbox.set_rate_limit(limit));
    assert_eq!([delete(), delete(), delete()], [404, 404, 429], "the client's own limit");
}
