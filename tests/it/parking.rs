//! Messages that wait for long sleep in the ledger, and leave their places to others.

use serde_json::Value;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};

use crate::support::{Form, TestGateway, eventually};

fn state(gateway: &TestGateway) -> Value {
    gateway.admin_get("/admin/state").receipt(200)
}

#[test]
fn more_messages_than_places_wait_out_a_pause_and_none_is_refused_for_it() {
    let gateway = TestGateway::builder().settings(|s| s.delivery.drives_max = 2).start();
    let pause = FaultAction::status(429).retry_after("7");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(1)]);
    let ids: Vec<String> = (0..6)
        .map(|number| {
            let conversation = format!("conversation-{number}");
            let form = Form::sample().with("conversation_id", &conversation);
            let form = form.header("Prefer", "respond-async");
            // A message that is just going to sleep may still have its place.
            let reply = eventually("there is a place", || {
                let reply = gateway.send(&form);
                (reply.status == 202).then_some(reply)
            });
            reply.receipt(202)["id"].as_str().unwrap().to_owned()
        })
        .collect();
    eventually("all sleep", || (state(&gateway)["messages_parked"] == 6).then_some(()));
    assert_eq!(state(&gateway)["drives_awake"], 0);
    for id in ids {
        gateway.receipt_when(&id, "it is sent", |receipt| receipt["status"] == "sent");
    }
    assert_eq!(state(&gateway)["messages_parked"], 0);
}

#[test]
fn a_sleeping_message_can_be_withdrawn_at_once() {
    let gateway = TestGateway::start();
    let pause = FaultAction::status(429).retry_after("60");
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, pause).times(1)]);
    let receipt = gateway.send(&Form::sample()).receipt(202);
    let id = receipt["id"].as_str().unwrap();
    eventually("it sleeps", || (state(&gateway)["messages_parked"] == 1).then_some(()));
    assert_eq!(gateway.delete(id).receipt(202)["status"], "cancelled");
    gateway.receipt_when(id, "its clip is gone", |receipt| receipt["purge"]["state"] == "purged");
    assert_eq!(state(&gateway)["messages_parked"], 0);
}
