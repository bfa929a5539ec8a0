//! Messages that wait for an operator: seen, let go on, or ended.

use serde_json::json;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};
use voicepost::settings::OnUnknown;

use crate::support::{Form, TestGateway};

/// A gateway with one message held because its post's answer was lost; the post did happen.
fn holding() -> (TestGateway, String) {
    let hold = |settings: &mut voicepost::settings::Settings| {
        settings.delivery.on_unknown = OnUnknown::Hold;
        settings.purge.ttl_seconds = 1;
    };
    let gateway = TestGateway::builder().settings(hold).start();
    let cut = FaultAction::cut(Cut::After);
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, cut).times(1)]);
    let receipt = gateway.send(&Form::sample()).receipt(202);
    assert_eq!(receipt["status"], "held");
    let id = receipt["id"].as_str().unwrap().to_owned();
    (gateway, id)
}

fn spooled(gateway: &TestGateway) -> usize {
    std::fs::read_dir(gateway.data.path().join("spool")).unwrap().count()
}

#[test]
fn a_held_message_is_listed_with_what_holds_it() {
    let (gateway, id) = holding();
    let held = gateway.admin_get("/admin/held").receipt(200);
    let [message] = held.as_array().unwrap().as_slice() else { panic!("{held}") };
    assert_eq!(message["id"], id.as_str());
    assert_eq!(message["why"]["code"], "genesys-answer-lost");
    assert_eq!(message["post_in_doubt"], true);
    let reply = gateway.admin_post(&format!("/admin/messages/{id}/purge"), &json!({}));
    assert!(reply.problem(409, "wrong-state").contains("held"));
}

#[test]
fn a_held_message_that_is_released_is_posted_again_and_marked() {
    let (gateway, id) = holding();
    let receipt = gateway.admin_post(&format!("/admin/messages/{id}/release"), &json!({}));
    assert_eq!(receipt.receipt(200)["status"], "uploaded");
    let sent = gateway.receipt_when(&id, "it is sent", |receipt| receipt["status"] == "sent");
    assert_eq!(sent["delivery"]["possible_duplicate"], true);
    assert_eq!(sent["error"], json!(null));
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 2);
    gateway.receipt_when(&id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    assert_eq!(spooled(&gateway), 0);
    assert_eq!(gateway.admin_get("/admin/held").receipt(200), json!([]));
    let again = gateway.admin_post(&format!("/admin/messages/{id}/release"), &json!({}));
    assert!(again.problem(409, "wrong-state").contains("sent"));
}

#[test]
fn a_held_message_that_is_withdrawn_ends_and_its_copies_go() {
    let (gateway, id) = holding();
    let receipt = gateway.delete(&id).receipt(202);
    // Its post may stand in the conversation, so it cannot be called cancelled.
    assert_eq!(receipt["status"], "failed");
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    gateway.receipt_when(&id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    assert_eq!(spooled(&gateway), 0);
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 1);
}
