//! Withdrawals that meet the message at every moment of its way.

use std::time::Duration;

use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::support::{Form, TestGateway};

#[test]
fn a_withdrawal_is_never_lost_whenever_it_comes() {
    let gateway = TestGateway::builder().settings(|s| s.purge.ttl_seconds = 900).start();
    let slow = |endpoint| FaultRule::new(endpoint, FaultAction::latency(Latency::Range([1, 9])));
    gateway.trouble(vec![slow(Endpoint::Upload), slow(Endpoint::Post)]);
    let ids: Vec<String> = (0..60)
        .map(|number| {
            let conversation = format!("conversation-{number}");
            let form = Form::sample().with("conversation_id", &conversation);
            let reply = gateway.send(&form.header("Prefer", "respond-async"));
            let id = reply.receipt(202)["id"].as_str().unwrap().to_owned();
            std::thread::sleep(Duration::from_millis(number % 20));
            let status = gateway.delete(&id).status;
            assert!(status == 200 || status == 202, "{status} after {} ms", number % 20);
            id
        })
        .collect();
    // Long before the time to live is over everything is gone, whether it was posted or not.
    for id in ids {
        gateway.receipt_when(&id, "it is purged", |receipt| receipt["purge"]["state"] == "purged");
    }
}
