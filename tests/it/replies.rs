//! What agents answer: from the webhook to whoever follows a message of the guest.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use voicepost::domain::RouteName;
use voicepost::sandbox::{Receipt, Webhook};
use voicepost::settings::Secret;

use crate::events::Events;
use crate::process::{Send, World, wait_until};
use crate::support::{Builder, Client, Form, Reply, Request, SENDER, TestGateway, eventually};

pub const SECRET: &str = "a-webhook-secret-of-24-c";
const WEBHOOK: &str = "/webhooks/open-messaging";

/// A gateway that has a webhook.
pub fn builder() -> Builder {
    let secret = || Some(Secret::new(SECRET).into());
    TestGateway::builder().open_messaging().access(|access| access.webhook_secret = secret())
}

pub fn start() -> TestGateway {
    builder().start()
}

pub fn sent(gateway: &TestGateway) -> String {
    let form = Form::sample().without("conversation_id");
    gateway.send(&form).receipt(201)["id"].as_str().unwrap().to_owned()
}

/// An agent's message, as Genesys sends it.
pub fn answer(id: &str, guest: &str, text: &str) -> Value {
    json!({
        "id": id,
        "channel": {
            "id": "5d9c2b1e-0000-4000-8000-000000000000", "platform": "Open", "type": "Private",
            "to": { "id": guest, "idType": "Opaque" },
            "from": { "nickname": "Ada" },
            "time": "2026-01-01T00:00:00.000Z",
        },
        "type": "Text",
        "text": text,
        "direction": "Outbound",
        "originatingEntity": "Human",
    })
}

pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", BASE64_STANDARD.encode(hmac::sign(&key, body)))
}

/// A call of the webhook by somebody who knows a secret.
pub fn call(gateway: &TestGateway, secret: &str, body: &[u8]) -> Reply {
    let request = Request::new("POST", WEBHOOK)
        .header("Content-Type", "application/json")
        .header("X-Hub-Signature-256", &signature(secret, body))
        .body(body.to_vec());
    Client::new(gateway.public.address(), None).send(&request)
}

pub fn bring(gateway: &TestGateway, message: &Value) -> Value {
    let reply = call(gateway, SECRET, message.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The next reply of a stream.
pub fn next_reply(events: &mut Events) -> (String, Value) {
    loop {
        let event = events.next().expect("the stream goes on");
        if event.kind == "reply" {
            return (event.id, event.receipt);
        }
    }
}

#[test]
fn an_agents_answer_reaches_who_follows_the_message() {
    let gateway = start();
    let id = sent(&gateway);
    let mut events = Events::open(&gateway.public, &id, None);
    assert_eq!(bring(&gateway, &answer("r-1", SENDER, "Hello!")), json!({ "entered": true }));
    let (_, reply) = next_reply(&mut events);
    assert_eq!(
        (&reply["id"], &reply["from"], &reply["text"], &reply["attachments"]),
        (&json!("r-1"), &json!("Ada"), &json!("Hello!"), &json!([]))
    );
    // Genesys sends again what it believes lost: it is told once.
    assert_eq!(bring(&gateway, &answer("r-1", SENDER, "Hello!")), json!({ "entered": false }));
    bring(&gateway, &answer("r-2", SENDER, "Still there?"));
    assert_eq!(next_reply(&mut events).1["id"], "r-2");
}

/// What is not as documented costs only itself: the agent's words are not lost with it.
#[test]
fn an_answer_with_odd_fields_is_told_as_far_as_it_can_be() {
    let gateway = start();
    let id = sent(&gateway);
    let mut events = Events::open(&gateway.public, &id, None);
    let mut odd = answer("r-1", SENDER, "Hello!");
    odd["type"] = Value::Null;
    odd["content"] = Value::Null;
    odd["channel"]["from"]["nickname"] = json!(7);
    assert_eq!(bring(&gateway, &odd), json!({ "entered": true }));
    let (_, reply) = next_reply(&mut events);
    assert_eq!((&reply["text"], &reply["from"]), (&json!("Hello!"), &Value::Null));
    let mut empty = answer("r-2", SENDER, "and this");
    empty["content"] = json!([null, 3, { "attachment": null }]);
    assert_eq!(bring(&gateway, &empty), json!({ "entered": true }));
    assert_eq!(next_reply(&mut events).1["attachments"], json!([]));
}

#[test]
fn a_stream_resumes_after_the_last_reply_and_other_guests_get_none() {
    let gateway = start();
    let id = sent(&gateway);
    bring(&gateway, &answer("r-1", SENDER, "one"));
    bring(&gateway, &answer("r-other", "another guest", "not for you"));
    bring(&gateway, &answer("r-2", SENDER, "two"));
    let mut events = Events::open(&gateway.public, &id, None);
    let (first_id, first) = next_reply(&mut events);
    assert_eq!((&first["id"], &next_reply(&mut events).1["id"]), (&json!("r-1"), &json!("r-2")));
    drop(events);
    let mut resumed = Events::open(&gateway.public, &id, Some(&first_id));
    assert_eq!(next_reply(&mut resumed).1["id"], "r-2");
    // What was said before a message is not an answer to it.
    let later = sent(&gateway);
    bring(&gateway, &answer("r-3", SENDER, "three"));
    let mut events = Events::open(&gateway.public, &later, None);
    assert_eq!(next_reply(&mut events).1["id"], "r-3");
}

#[test]
fn only_a_body_with_its_signature_is_taken() {
    let gateway = start();
    let message = answer("r-1", SENDER, "Hello!").to_string();
    let body = message.as_bytes();
    let client = Client::new(gateway.public.address(), None);
    let post = |signature: Option<String>| {
        let mut request = Request::new("POST", WEBHOOK).body(body.to_vec());
        if let Some(signature) = signature {
            request = request.header("X-Hub-Signature-256", &signature);
        }
        client.send(&request)
    };
    let good = signature(SECRET, body);
    let hex: String = good.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut changed = body.to_vec();
    changed[0] = b' ';
    for wrong in [
        None,
        Some(String::new()),
        Some("sha256=".to_owned()),
        Some(signature("another-secret-of-22-ch", body)),
        Some(signature(SECRET, &changed)),
        Some(format!("sha256={hex}")),
        Some(good.replace("sha256=", "sha1=")),
        Some(good.replace("sha256=", "")),
    ] {
        let reply = post(wrong.clone());
        assert_eq!((reply.status, reply.at("/code").as_str()), (401, "unauthorized"), "{wrong:?}");
    }
    assert_eq!(post(Some(good)).status, 200);
    assert_eq!(client.get(WEBHOOK).status, 405);
    let large = vec![b' '; 256 * 1024 + 1];
    let reply = call(&gateway, SECRET, &large);
    assert_eq!((reply.status, reply.at("/code").as_str()), (413, "too-large"));
}

#[test]
fn what_cannot_be_shown_is_taken_and_not_told() {
    let gateway = start();
    let id = sent(&gateway);
    let mut typing = answer("r-1", SENDER, "");
    typing["type"] = json!("Event");
    assert_eq!(bring(&gateway, &typing), json!({ "entered": false }));
    let mut echo = answer("r-0", SENDER, "what the guest said");
    echo["direction"] = json!("Inbound");
    assert_eq!(bring(&gateway, &echo), json!({ "entered": false }));
    bring(&gateway, &answer("r-2", SENDER, "   "));
    let mut picture = answer("r-3", SENDER, "");
    picture["content"] = json!([
        { "contentType": "Attachment", "attachment": {
            "mediaType": "Image", "url": "https://example.org/a.png", "mime": "image/png",
            "filename": "a.png" } },
        { "contentType": "Attachment", "attachment": {
            "mediaType": "Image", "url": "javascript:alert(1)" } },
    ]);
    bring(&gateway, &picture);
    let mut events = Events::open(&gateway.public, &id, None);
    let (_, reply) = next_reply(&mut events);
    assert_eq!((&reply["id"], &reply["text"]), (&json!("r-3"), &Value::Null));
    let shown = json!([
        { "url": "https://example.org/a.png", "media_type": "image/png", "file_name": "a.png" }
    ]);
    assert_eq!(reply["attachments"], shown);
    // Half an emoji at the end of a text that was cut off costs the half.
    let cut = answer("r-4", SENDER, "well done @").to_string().replace('@', "\\ud83d");
    assert_eq!(call(&gateway, SECRET, cut.as_bytes()).json(), json!({ "entered": true }));
    assert_eq!(next_reply(&mut events).1["text"], "well done \u{FFFD}");
    // Anything but a 200 to what Genesys has signed ends the chat for the agent.
    for unknown in [&b"{}"[..], b"[1, 2]", b"no JSON"] {
        let reply = call(&gateway, SECRET, unknown);
        assert_eq!((reply.status, reply.json()), (200, json!({ "entered": false })));
    }
}

#[test]
fn without_a_secret_there_is_no_webhook() {
    let gateway = TestGateway::builder().open_messaging().start();
    assert_eq!(call(&gateway, SECRET, b"{}").status, 404);
}

#[test]
fn what_agents_said_goes_with_the_guest() {
    let gateway = start();
    let message = answer("r-1", SENDER, "Hello!");
    let erase = || {
        let order = json!({ "sender_id": SENDER }).to_string();
        let request = Request::new("POST", "/admin/erasures")
            .header("Content-Type", "application/json")
            .body(order.into_bytes());
        gateway.admin.send(&request).status
    };
    // Also where no message leads to them.
    for expected in [200, 202] {
        assert_eq!(bring(&gateway, &message), json!({ "entered": true }));
        assert_eq!(erase(), expected);
        // What is known no more is new.
        assert_eq!(bring(&gateway, &message), json!({ "entered": true }));
        erase();
        sent(&gateway);
    }
}

/// Agents answer when they get to it: the audio is gone by then, the guest's page is not.
#[test]
fn an_answer_that_comes_after_the_purge_reaches_who_follows_and_the_agent_is_told() {
    let gateway = start();
    let id = sent(&gateway);
    let mut events = Events::open(&gateway.public, &id, None);
    let purge = format!("/admin/messages/{id}/purge");
    assert_eq!(gateway.admin_post(&purge, &json!({})).status, 200);
    gateway.receipt_when(&id, "all is done", |receipt| receipt["purge"]["state"] == "incomplete");
    let at_desk = ask_at_desk(&gateway, "Hello!");
    assert_eq!(next_reply(&mut events).1["text"], "Hello!");
    assert_eq!(receipt_of(&gateway, &at_desk).status, "Delivered");
    // Whoever comes only now is told as well, and goes on listening.
    let mut late = Events::open(&gateway.public, &id, None);
    assert_eq!(next_reply(&mut late).1["text"], "Hello!");
    ask_at_desk(&gateway, "Still there?");
    assert_eq!(next_reply(&mut late).1["text"], "Still there?");
}

/// An agent writes in the only conversation; the answer's id.
fn ask_at_desk(gateway: &TestGateway, text: &str) -> String {
    let url = format!("http://{}{WEBHOOK}", gateway.public.address());
    gateway.sandbox.with(|sandbox| {
        let conversation = sandbox.account().posts()[0].conversation_id.clone();
        sandbox.set_webhook(Webhook { url, secret: SECRET.to_owned() });
        sandbox.answer_guest(&conversation, text, 0).expect("an open conversation")
    })
}

/// What Genesys was told of an answer first, once it was.
fn receipt_of(gateway: &TestGateway, answer_id: &str) -> Receipt {
    eventually("the agent is told", || {
        gateway.at_genesys(|sandbox| {
            let answer = sandbox.answers().iter().find(|answer| answer.id == answer_id)?;
            answer.receipts.first().cloned()
        })
    })
}

/// A message without anything to show is not kept back from the agent: it has failed at once.
#[test]
fn an_answer_with_nothing_to_show_is_told_as_failed() {
    let gateway = start();
    sent(&gateway);
    let at_desk = gateway.sandbox.with(|sandbox| {
        let conversation = sandbox.account().posts()[0].conversation_id.clone();
        // Its call goes nowhere: this test brings the answer itself, emptied.
        let url = "http://127.0.0.1:1/nowhere".to_owned();
        sandbox.set_webhook(Webhook { url, secret: SECRET.to_owned() });
        sandbox.answer_guest(&conversation, "Hello!", 0).expect("an open conversation")
    });
    assert_eq!(bring(&gateway, &answer(&at_desk, SENDER, "  ")), json!({ "entered": true }));
    let told = receipt_of(&gateway, &at_desk);
    assert_eq!((told.status.as_str(), told.is_final), ("Failed", true));
    assert_eq!(told.reasons[0].code.as_deref(), Some("UnsupportedMessage"));
}

/// Nobody comes for it within its time: the agent sees that, also where the gateway was away.
#[test]
fn an_answer_that_nobody_fetches_in_time_is_told_as_failed() {
    let world =
        World::on(RouteName::OpenMessaging, &[]).variable("VOICEPOST_WEBHOOK_SECRET", Some(SECRET));
    let gateway = world.start();
    assert_eq!(gateway.send(&Send::new("c-1", "words")).status, 201);
    world.sandbox.with(|sandbox| {
        let conversation = sandbox.account().posts()[0].conversation_id.clone();
        let url = format!("http://{}{WEBHOOK}", gateway.public);
        sandbox.set_webhook(Webhook { url, secret: SECRET.to_owned() });
        sandbox.answer_guest(&conversation, "Hello!", 0).expect("an open conversation");
    });
    let answers = || world.sandbox.with(|sandbox| sandbox.answers().to_vec());
    wait_until("the answer is taken in", || format!("{:?}", answers()).contains("Delivered"));
    gateway.kill();
    // A day and a half goes by: `replies_seconds` is a day, and twice that is kept.
    let file = rusqlite::Connection::open(world.data.path().join("voicepost.db")).unwrap();
    let aged = "UPDATE replies SET came_at = came_at - 129600000 WHERE state = 'awaited'";
    assert_eq!(file.execute(aged, []).unwrap(), 1);
    drop(file);
    let _gateway = world.start();
    wait_until("the agent is told", || !answers()[0].receipts.is_empty());
    let receipts = answers()[0].receipts.clone();
    assert_eq!((receipts[0].status.as_str(), receipts[0].is_final), ("Failed", true));
    assert_eq!(receipts[0].reasons[0].code.as_deref(), Some("MessageExpired"));
}

#[test]
fn more_replies_than_a_stream_takes_at_once_all_come() {
    let gateway = start();
    let id = sent(&gateway);
    for number in 0..130 {
        bring(&gateway, &answer(&format!("r-{number}"), SENDER, "one of many"));
    }
    let mut events = Events::open(&gateway.public, &id, None);
    for number in 0..130 {
        assert_eq!(next_reply(&mut events).1["id"], format!("r-{number}"));
    }
}

/// Receipts that the ledger's file says are owed.
fn receipts_owed(world: &World) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let path = world.data.path().join("voicepost.db");
    let file = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let owed = "SELECT count(*) FROM replies WHERE receipt_owed = 1";
    file.query_row(owed, [], |row| row.get(0)).unwrap()
}

/// From the agent's desk to the guest's stream and back, by the real program; kill -9 after Genesys
/// was answered, before anybody was told.
#[test]
fn an_answer_that_was_taken_in_is_told_also_after_kill_9() {
    let settings = [("GENESYS__OPEN_MESSAGING__SERVE_SECONDS", "600")];
    let world = World::on(RouteName::OpenMessaging, &settings)
        .variable("VOICEPOST_WEBHOOK_SECRET", Some(SECRET));
    let answers = || world.sandbox.with(|sandbox| sandbox.answers().to_vec());
    let desk = |text: &str| {
        world.sandbox.with(|sandbox| {
            let conversation = sandbox.account().posts()[0].conversation_id.clone();
            let now_ms = sandbox.account().posts()[0].arrived_at_ms;
            sandbox.answer_guest(&conversation, text, now_ms).expect("an open conversation")
        })
    };
    let webhook = |gateway: std::net::SocketAddr| {
        let url = format!("http://{gateway}{WEBHOOK}");
        world.sandbox.with(|sandbox| sandbox.set_webhook(Webhook { url, secret: SECRET.into() }));
    };
    let gateway = world.start();
    webhook(gateway.public);
    let message = gateway.send(&Send::new("c-1", "words"));
    assert_eq!(message.status, 201);
    let answer_id = desk("Hello from the desk");
    wait_until("the answer is taken in", || format!("{:?}", answers()).contains("Delivered"));
    assert!(answers()[0].receipts.is_empty(), "nobody was told");
    gateway.kill();
    let gateway = world.start();
    webhook(gateway.public);
    let mut events = Events::open(&Client::new(gateway.public, None), &message.id(), None);
    let (_, reply) = next_reply(&mut events);
    assert_eq!((&reply["id"], &reply["text"]), (&json!(answer_id), &json!("Hello from the desk")));
    wait_until("the agent is told", || !answers()[0].receipts.is_empty());
    let receipts = answers()[0].receipts.clone();
    assert_eq!((receipts[0].status.as_str(), receipts[0].is_final), ("Delivered", true));
    drop(events);
    // Killed before it has noted that, it would rightly tell the agent once more.
    wait_until("that is durable", || receipts_owed(&world) == 0);
    gateway.kill();
    let gateway = world.start();
    webhook(gateway.public);
    // Receipts go in their order: after the second one's the first would have been repeated.
    desk("Still there?");
    let mut events = Events::open(&Client::new(gateway.public, None), &message.id(), None);
    assert_eq!(next_reply(&mut events).1["text"], "Hello from the desk");
    assert_eq!(next_reply(&mut events).1["text"], "Still there?");
    wait_until("the agent is told again", || !answers()[1].receipts.is_empty());
    assert_eq!(answers()[0].receipts.len(), 1);
}
