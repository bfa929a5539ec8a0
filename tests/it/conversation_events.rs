//! Following a conversation: what agents answer, for who has a message of their own in it.

use serde_json::{Value, json};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};
use voicepost::settings::Secret;

use crate::access::{add_key, bearer, signed, with_key, with_tokens};
use crate::events::Events;
use crate::replies::{SECRET, answer, bring, next_reply, sent, start};
use crate::support::issuer::guest;
use crate::support::{Builder, Form, Request, SENDER, TestGateway};

fn path(conversation_id: &Value) -> String {
    format!("/v1/conversations/{}/events", conversation_id.as_str().unwrap())
}

fn follow(gateway: &TestGateway, request: &Request) -> Events {
    Events::of(&gateway.public, request)
}

fn known(builder: Builder) -> Builder {
    builder.open_messaging().access(|access| {
        access.webhook_secret = Some(Secret::new(SECRET).into());
    })
}

#[test]
fn a_conversations_stream_tells_all_answers_and_resumes_after_the_last() {
    let gateway = start();
    let id = sent(&gateway);
    let conversation_id = gateway.get(&id).receipt(200)["conversation_id"].clone();
    bring(&gateway, &answer("r-1", SENDER, "one"));
    bring(&gateway, &answer("r-other", "another guest", "not for you"));
    // A later message of the guest changes nothing: the first one's answers are still told.
    sent(&gateway);
    let request = Request::new("GET", &path(&conversation_id));
    let mut events = follow(&gateway, &request);
    let (first_id, first) = next_reply(&mut events);
    assert_eq!((&first["id"], &first["text"]), (&json!("r-1"), &json!("one")));
    bring(&gateway, &answer("r-2", SENDER, "two"));
    assert_eq!(next_reply(&mut events).1["id"], "r-2");
    drop(events);
    let mut resumed = follow(&gateway, &request.header("Last-Event-ID", &first_id));
    assert_eq!(next_reply(&mut resumed).1["id"], "r-2");
    for unknown in ["no-such-conversation", "%2e%2e", "a%20b"] {
        let path = format!("/v1/conversations/{unknown}/events");
        gateway.public.get(&path).problem(404, "message-not-found");
    }
}

#[test]
fn more_answers_than_a_stream_takes_at_once_all_come() {
    let gateway = start();
    let conversation_id = gateway.get(&sent(&gateway)).receipt(200)["conversation_id"].clone();
    for number in 0..130 {
        bring(&gateway, &answer(&format!("r-{number}"), SENDER, "one of many"));
    }
    let mut events = follow(&gateway, &Request::new("GET", &path(&conversation_id)));
    for number in 0..130 {
        assert_eq!(next_reply(&mut events).1["id"], format!("r-{number}"));
    }
}

#[test]
fn nobody_follows_a_conversation_that_has_no_message_of_theirs() {
    let (builder, file, key) = with_key(known(with_tokens()));
    let other_key = add_key(&file, 2, |_| {});
    let gateway = builder.start();
    let mine = guest("guest-1", "c-1");
    let form = || Form::sample().without("conversation_id").without("sender_id");
    let conversation_id =
        gateway.send(&signed(form(), &mine)).receipt(201)["conversation_id"].clone();
    let ask = |token: &str| {
        Request::new("GET", &path(&conversation_id)).header("Authorization", &bearer(token))
    };
    for stranger in [&guest("guest-2", "c-1"), &key, &other_key] {
        gateway.public.send(&ask(stranger)).problem(404, "message-not-found");
    }
    gateway.public.get(&path(&conversation_id)).problem(401, "unauthorized");
    // One who names the conversation of another guest, in a message that Genesys refuses, has a
    // message in it by their own word, and still gets only what is for them.
    let refuse = FaultAction::status(400);
    gateway.trouble(vec![FaultRule::new(Endpoint::InboundMessage, refuse).times(1)]);
    let thief = guest("guest-2", conversation_id.as_str().unwrap());
    gateway.send(&signed(form(), &thief)).problem(502, "genesys-refused");
    bring(&gateway, &answer("r-1", "guest-1", "for the first guest only"));
    bring(&gateway, &answer("r-2", "guest-2", "for the second guest"));
    let mut stolen = follow(&gateway, &ask(&thief));
    assert_eq!(next_reply(&mut stolen).1["id"], "r-2");
    let mut own = follow(&gateway, &ask(&mine));
    assert_eq!(next_reply(&mut own).1["id"], "r-1");
}

#[test]
fn where_no_answers_come_there_is_no_conversation_to_follow() {
    let without_secret = TestGateway::builder().open_messaging().start();
    let conversation_id =
        without_secret.get(&sent(&without_secret)).receipt(200)["conversation_id"].clone();
    without_secret.public.get(&path(&conversation_id)).problem(404, "message-not-found");
    let media_api = TestGateway::start();
    media_api.send(&Form::sample().with("conversation_id", "c-1")).receipt(201);
    media_api.public.get("/v1/conversations/c-1/events").problem(404, "message-not-found");
}
