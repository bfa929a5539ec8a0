//! A post whose answer was lost on `open-messaging`: the question whether it has happened has
//! limits, outages and restarts of its own.

use std::time::{Duration, Instant};

use voicepost::domain::RouteName;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};

use crate::process::{Send, World};
use crate::support::{Form, TestGateway};

fn form(sender_id: &str) -> Form {
    Form::sample().without("conversation_id").without("sender_id").with("sender_id", sender_id)
}

/// The answer to the next post is lost, and the look-up is answered like this, once.
fn trouble(gateway: &TestGateway, look_up: FaultAction) {
    gateway.trouble(vec![
        FaultRule::new(Endpoint::InboundMessage, FaultAction::cut(Cut::After)).times(1),
        FaultRule::new(Endpoint::Conversation, look_up).times(1),
    ]);
}

/// Invariants 3 and 5: the question is asked again when its wait is over, the message is not posted
/// twice, and nobody else waits for that.
#[test]
fn a_look_up_that_is_asked_to_wait_is_repeated_and_keeps_nobody_else() {
    for look_up in [
        FaultAction::status(429).retry_after("6"),
        FaultAction::status(503).retry_after("6"),
        FaultAction::cut(Cut::After),
    ] {
        let gateway = TestGateway::builder().open_messaging().start();
        gateway.send(&form("guest-1")).receipt(201);
        trouble(&gateway, look_up);
        let lost = gateway.send(&form("guest-1").header("Prefer", "respond-async")).receipt(202);
        let id = lost["id"].as_str().unwrap();
        gateway.receipt_when(id, "the look-up waits", |r| r["delivery"]["attempts"] == 2);
        let asked_at = Instant::now();
        let other = gateway.send(&form("guest-2")).receipt(201);
        assert_eq!(other["status"], "sent");
        assert!(asked_at.elapsed() < Duration::from_secs(4), "it waited for the look-up's six");
        let sent = gateway.receipt_when(id, "it is sent", |r| r["status"] == "sent");
        assert_eq!(sent["delivery"]["possible_duplicate"], false);
        assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 3);
    }
}

/// The ledger knows where the guest's messages went, also for the next process.
#[test]
fn a_look_up_after_a_restart_knows_the_conversation() {
    let world = World::on(RouteName::OpenMessaging, &[]);
    let gateway = world.start();
    assert_eq!(gateway.send(&Send::new("c-1", "first")).status, 201);
    world.faults(vec![
        FaultRule::new(Endpoint::InboundMessage, FaultAction::cut(Cut::After)).times(1),
        FaultRule::new(Endpoint::Conversation, FaultAction::status(503)),
    ]);
    assert_eq!(gateway.send(&Send::new("c-1", "second")).status, 202);
    gateway.kill();
    world.release();
    let gateway = world.start();
    gateway.settled(Duration::from_secs(30));
    assert_eq!(world.sandbox.with(|sandbox| sandbox.account().posts().len()), 2);
}
