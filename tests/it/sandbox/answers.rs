//! An agent's answer on its way to the webhook, and the receipts that come back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use voicepost::sandbox::{
    AnswerState, Endpoint, FaultAction, FaultRule, Sandbox, SandboxSettings, Webhook, WebhookEnd,
};

use super::{Client, INTEGRATION, MESSAGES, bytes_of};

const SECRET: &str = "a secret of some length";

/// A webhook that answers its calls with these statuses, in turn; what it was sent.
fn webhook(statuses: &'static [u16]) -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sent, received) = channel();
    std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().expect("a call");
            let call = read_call(&mut stream);
            let answer =
                format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("the answer is taken");
            let _ = sent.send(call);
        }
    });
    (url, received)
}

fn read_call(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).expect("the call");
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("ASCII").to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        if bytes.len() == end + 4 + length {
            let original = String::from_utf8(bytes[..end].to_vec()).expect("ASCII");
            return (original, bytes[end + 4..].to_vec());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(named, value)| named.eq_ignore_ascii_case(name).then_some(value))
}

/// A sandbox with this webhook, and the conversation of a guest's message in it.
fn start(url: &str) -> (Client, String) {
    let client = Client::start(SandboxSettings {
        webhook_url: url.to_owned(),
        webhook_secret: SECRET.to_owned(),
        webhook_retry_pause_ms: 10,
        ..SandboxSettings::default()
    });
    let conversation = client.open_message("audio/ogg")["conversationId"].clone();
    (client, conversation.as_str().expect("an id").to_owned())
}

fn answer(client: &Client, conversation: &str, text: &str) -> super::Answer {
    let body = json!({"conversation_id": conversation, "text": text});
    client.send("POST", "/sandbox/answers", &[], &bytes_of(&body))
}

fn settled(client: &Client) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answers = client.get("/sandbox/answers", &[]).json();
        if answers[0]["state"] != "queued" {
            return answers[0].clone();
        }
        assert!(Instant::now() < deadline, "still {answers}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_answer_reaches_the_webhook_signed() {
    let (url, calls) = webhook(&[200]);
    let (client, conversation) = start(&url);
    let id = answer(&client, &conversation, " It left today. ").json()["id"].clone();
    let (head, body) = calls.recv_timeout(Duration::from_secs(10)).expect("a call");
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "content-type"), Some("application/json"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = format!("sha256={}", STANDARD.encode(hmac::sign(&key, &body)));
    assert_eq!(header(&head, "x-hub-signature-256"), Some(signature.as_str()));
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(message["id"], id);
    assert_eq!(message["type"], "Text");
    assert_eq!(message["text"], "It left today.");
    assert_eq!(message["direction"], "Outbound");
    assert_eq!(message["originatingEntity"], "Human");
    let channel = &message["channel"];
    assert_eq!(channel["id"], INTEGRATION);
    assert_eq!((&channel["platform"], &channel["type"]), (&json!("Open"), &json!("Private")));
    assert_eq!(channel["to"], json!({"id": "guest-1", "idType": "Opaque"}));
    assert!(channel["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{channel}");
    let settled = settled(&client);
    assert_eq!((&settled["state"], &settled["tries"]), (&json!("delivered-to-webhook"), &json!(1)));
    assert_eq!(client.details(&id)["status"], "sent");
    let shown = client.call("GET", &format!("{MESSAGES}/{conversation}"), &[], b"").json();
    assert_eq!(shown["participants"][1]["messages"][0]["messageId"], id);
}

#[test]
fn a_call_that_may_pass_is_repeated_with_the_same_bytes_and_others_are_not() {
    let (url, calls) = webhook(&[503, 429, 204]);
    let (client, conversation) = start(&url);
    answer(&client, &conversation, "Hello");
    let all: Vec<_> =
        (0..3).map(|_| calls.recv_timeout(Duration::from_secs(10)).expect("a call")).collect();
    assert!(all.iter().all(|(_, body)| *body == all[0].1));
    let taken = settled(&client);
    assert_eq!((&taken["state"], &taken["tries"]), (&json!("delivered-to-webhook"), &json!(3)));

    let (url, _calls) = webhook(&[403]);
    let (client, conversation) = start(&url);
    answer(&client, &conversation, "Hello");
    let refused = settled(&client);
    assert_eq!((&refused["state"], &refused["tries"]), (&json!("failed"), &json!(1)));
    assert_eq!(refused["trouble"], "status 403");
}

#[test]
fn six_calls_in_all_five_seconds_apart_and_a_lost_one_is_made_again() {
    let (client, conversation) = start("");
    client.server.with(|sandbox| {
        // The core alone, at times that are said: nobody else makes the calls meanwhile.
        let empty = Sandbox::new(SandboxSettings::default(), "");
        let mut core = std::mem::replace(sandbox, empty);
        let hook = Webhook { url: "http://127.0.0.1:1/".to_owned(), secret: SECRET.to_owned() };
        core.set_webhook(hook);
        let id = core.answer_guest(&conversation, "Hello", 0).expect("an open conversation");
        assert_eq!(core.webhook_call_due(0).expect("the first").answer_within_ms, 10_000);
        assert!(core.webhook_call_due(10_999).is_none(), "the call may still end");
        assert!(core.webhook_call_due(11_000).is_some(), "its end was never told");
        let lost = WebhookEnd::NoAnswer("no answer within 10s".to_owned());
        for now_ms in [20_000, 30_000, 40_000, 50_000] {
            core.webhook_called(&id, &lost, now_ms);
            assert_eq!(core.answers()[0].state, AnswerState::Queued);
            assert!(core.webhook_call_due(now_ms + 9).is_none());
            assert!(core.webhook_call_due(now_ms + 10).is_some());
        }
        core.webhook_called(&id, &lost, 60_000);
        assert_eq!((core.answers()[0].state, core.answers()[0].tries), (AnswerState::Failed, 6));
    });
    assert_eq!(SandboxSettings::default().webhook_retry_pause_ms, 5_000);
}

#[test]
fn only_an_open_conversation_is_answered_with_a_text_that_fits() {
    let (client, conversation) = start("");
    assert_eq!(answer(&client, &conversation, "Hello").status, 409, "no webhook");
    let hook = json!({"url": "http://127.0.0.1:1/", "secret": SECRET});
    assert_eq!(client.send("POST", "/sandbox/webhook", &[], &bytes_of(&hook)).status, 204);
    assert_eq!(answer(&client, &conversation, " ").status, 400);
    assert_eq!(answer(&client, &conversation, &"ü".repeat(4_001)).status, 400);
    assert_eq!(answer(&client, "other", "Hello").status, 404);
    assert_eq!(answer(&client, &conversation, &"ü".repeat(4_000)).status, 201);
    client.server.with(|sandbox| sandbox.close_conversation(&conversation));
    assert_eq!(answer(&client, &conversation, "Hello").status, 404);
}

#[test]
fn receipts_are_checked_and_recorded_with_the_answer() {
    let (url, _calls) = webhook(&[200]);
    let (client, conversation) = start(&url);
    let id = answer(&client, &conversation, "Hello").json()["id"].clone();
    settled(&client);
    let receipt = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({
            "id": id,
            "channel": {"to": {"id": "guest-1"}, "time": "2026-11-25T12:00:01.000Z"},
            "status": "Delivered",
            "isFinalReceipt": true,
        });
        change(&mut body);
        client.json_call("POST", &format!("{MESSAGES}/{INTEGRATION}/inbound/open/receipt"), &body)
    };
    type Change = &'static dyn Fn(&mut Value);
    let wrong: [(u16, Change); 8] = [
        (404, &|body| body["id"] = json!("other")),
        (400, &|body| body["channel"]["to"]["id"] = json!("guest-2")),
        (400, &|body| body["channel"]["time"] = json!("today")),
        (400, &|body| body["status"] = json!("Read")),
        (400, &|body| body["status"] = json!("Sent")),
        (400, &|body| body["reasons"] = json!([{"code": "NoIdea", "message": "x"}])),
        (400, &|body| body["reasons"] = json!([{"code": "GeneralError"}])),
        (400, &|body| body["more"] = json!(1)),
    ];
    for (status, change) in wrong {
        assert_eq!(receipt(change).status, status);
    }
    let other = format!("{MESSAGES}/other/inbound/open/receipt");
    assert_eq!(client.json_call("POST", &other, &json!({})).status, 404);
    assert_eq!(client.get("/sandbox/answers", &[]).json()[0]["receipts"], json!([]));

    client
        .faults(vec![FaultRule::new(Endpoint::InboundReceipt, FaultAction::status(503)).times(1)]);
    assert_eq!(receipt(&|_| ()).status, 503);
    let failed = receipt(&|body| {
        body["status"] = json!("Failed");
        body["isFinalReceipt"] = json!(false);
        body["reasons"] = json!([{"code": "GeneralError", "message": "nobody listens"}]);
    });
    assert_eq!(failed.status, 200);
    assert_eq!(failed.json()["type"], "Receipt");
    assert_eq!(client.details(&id)["status"], "delivery-failed");
    assert_eq!(receipt(&|_| ()).status, 200);
    let details = client.details(&id);
    assert_eq!(details["status"], "delivery-success");
    assert_eq!(details["normalizedReceipts"][0]["reasons"][0]["code"], "GeneralError");
    let shown = client.get("/sandbox/account", &[]).json()["answers"][0].clone();
    assert_eq!(shown["receipts"][1]["status"], "Delivered");
    assert_eq!(shown["receipts"][1]["is_final"], true);
}
