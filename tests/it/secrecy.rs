//! Invariant 8: secrets, tokens, transcripts and guest identities are never logged, not even at
//! the most talkative level, and not by the libraries underneath.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};
use voicepost::settings::Log;

use crate::support::{Form, TestGateway, fixture, logged};

const SECRET: &str = "planted-secret-5b0c77";
const SENDER: &str = "planted-sender-90d1fa";
const TRANSCRIPT: &str = "planted transcript 1e44ab";
const LANGUAGE: &str = "x-planted-language-c3";
const METADATA: &str = "planted-metadata-77aa01";
const FILE_NAME: &str = "planted-file-name-8812";

fn planted() -> Form {
    Form::empty()
        .file(&format!("{FILE_NAME}.ogg"), fixture("hello.ogg"))
        .field("conversation_id", "secrecy")
        .field("sender_id", SENDER)
        .field("transcript", TRANSCRIPT)
        .field("language", LANGUAGE)
        .field("metadata", format!("{{\"key\":\"{METADATA}\"}}"))
}

#[test]
fn nothing_of_a_guest_and_no_secret_is_logged() {
    let gateway = TestGateway::builder()
        .settings(|s| s.purge.ttl_seconds = 1)
        .sandbox(|s| s.client_secret = SECRET.to_owned())
        .start();
    let token = || {
        let view = gateway.pipeline().actors().token_view.borrow().clone();
        view.token.expect("a token").value.expose().to_owned()
    };
    let first_token = token();
    let mut ids = vec![gateway.send(&planted()).receipt(201)["id"].clone()];
    let status = FaultAction::status;
    for (endpoint, action) in [
        (Endpoint::Upload, status(400)),
        (Endpoint::Upload, status(401)),
        (Endpoint::Upload, FaultAction::cut(Cut::After)),
        (Endpoint::Post, status(400)),
        (Endpoint::Post, FaultAction::cut(Cut::After)),
        (Endpoint::Post, FaultAction::effect_then_status(503)),
        (Endpoint::Retention, status(400)),
        (Endpoint::Delete, status(500)),
    ] {
        gateway.trouble(vec![FaultRule::new(endpoint, action).times(1)]);
        ids.push(gateway.send(&planted()).json()["id"].clone());
    }
    gateway.trouble(Vec::new());
    gateway
        .send(&planted().with("transcript", TRANSCRIPT.repeat(300)))
        .problem(422, "transcript-too-long");
    gateway.send(&planted().with("metadata", METADATA)).problem(400, "invalid-field");
    gateway.send(&planted().field("sender_id", SENDER)).problem(400, "duplicate-part");
    gateway.admin_post("/admin/token/refresh", &json!({})).receipt(200);
    for id in &ids {
        let id = id.as_str().unwrap();
        gateway.receipt_when(id, "it is purged", |receipt| {
            receipt["purge"]["state"] == "purged" || receipt["purge"]["state"] == "incomplete"
        });
    }
    let tokens = [first_token, token()];
    let urls: Vec<String> = gateway.at_genesys(|sandbox| {
        sandbox.account().uploads().iter().map(|upload| upload.media_url.clone()).collect()
    });
    drop(gateway);
    let log = logged();
    for id in &ids {
        assert!(log.contains(id.as_str().unwrap()), "the log is that of this test");
    }
    let basic = STANDARD.encode(format!("sandbox-client:{SECRET}"));
    let words = [SECRET, SENDER, TRANSCRIPT, LANGUAGE, METADATA, FILE_NAME, basic.as_str()];
    let secrets = words.into_iter().chain(tokens.iter().chain(&urls).map(String::as_str));
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret:?} is logged");
    }
}

/// In a process of its own, which is this test once more: log and panics are set up once a process.
#[test]
fn a_panic_is_logged_without_what_it_was_about() {
    if std::env::var_os(PANICS).is_some() {
        return panic_over_what_a_guest_said();
    }
    let process = Command::new(std::env::current_exe().unwrap())
        .args(["secrecy::a_panic_is_logged_without_what_it_was_about", "--exact", "--nocapture"])
        .env(PANICS, "1")
        .output()
        .unwrap();
    assert!(process.status.success(), "{process:?}");
    let log = String::from_utf8(process.stderr).unwrap();
    let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).collect();
    assert_eq!(panics.len(), 2, "{log}");
    assert!(panics.iter().all(|panic| panic.contains("tests/it/secrecy.rs:")), "{log}");
    assert_eq!(panics.iter().filter(|panic| panic.contains("a literal")).count(), 1, "{log}");
    assert!(!log.contains(TRANSCRIPT), "{log}");
}

const PANICS: &str = "VOICEPOST_TEST_PANICS";

fn panic_over_what_a_guest_said() {
    let log: Log = serde_json::from_value(json!({ "filter": "trace", "format": "text" })).unwrap();
    voicepost::telemetry::init(&log).unwrap();
    let transcript = format!("{TRANSCRIPT} \u{fc}");
    let within_a_letter = transcript.len() - 1;
    let threads = [
        std::thread::spawn(move || transcript[..within_a_letter].len()),
        std::thread::spawn(|| panic!("a literal")),
    ];
    assert!(threads.into_iter().all(|thread| thread.join().is_err()));
}
