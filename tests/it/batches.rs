//! Messages of one conversation that wait together go with one call, in their order.

use serde_json::Value;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Latency};

use crate::support::{CONVERSATION, Form, TestGateway, eventually};

/// Four messages into one conversation; the first one's post takes a while, so that the others
/// wait behind it. The rules come on top of that.
fn four(rules: Vec<FaultRule>) -> (TestGateway, Vec<String>) {
    let gateway = TestGateway::start();
    let slow = FaultAction::latency(Latency::Fixed(700));
    let mut trouble = vec![FaultRule::new(Endpoint::Post, slow).times(1)];
    trouble.extend(rules);
    gateway.trouble(trouble);
    let ids: Vec<String> = (0..4)
        .map(|number| {
            let form = Form::sample().with("transcript", format!("message {number}"));
            let receipt = gateway.send(&form.header("Prefer", "respond-async")).receipt(202);
            receipt["id"].as_str().unwrap().to_owned()
        })
        .collect();
    (gateway, ids)
}

fn all_sent(gateway: &TestGateway, ids: &[String]) -> Vec<Value> {
    let sent = |id: &String| gateway.receipt_when(id, "it is sent", |r| r["status"] == "sent");
    ids.iter().map(sent).collect()
}

/// Transcripts in the order of the conversation, and how many each call brought.
fn heard(gateway: &TestGateway) -> (Vec<String>, Vec<usize>) {
    gateway.at_genesys(|sandbox| {
        let posts = sandbox.account().posts();
        assert!(posts.iter().all(|post| post.conversation_id == CONVERSATION));
        let calls: Vec<u64> = posts.iter().map(|post| post.call).collect();
        let sizes = calls.chunk_by(|a, b| a == b).map(<[u64]>::len).collect();
        (posts.iter().map(|post| post.transcript.clone()).collect(), sizes)
    })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("message {number}")).collect()
}

#[test]
fn those_that_wait_behind_a_post_go_with_the_next_call() {
    let (gateway, ids) = four(Vec::new());
    let receipts = all_sent(&gateway, &ids);
    let (transcripts, calls) = heard(&gateway);
    assert_eq!(transcripts, names(4));
    // Two are uploaded ahead of the one that posts; the fourth may catch up with them.
    assert_eq!(calls[0], 1);
    assert!(calls[1] >= 2, "{calls:?}");
    // Each has the id that Genesys gave it, by its place in the call.
    let given: Vec<Value> = gateway.at_genesys(|sandbox| {
        sandbox.account().posts().iter().map(|post| post.message_id.as_str().into()).collect()
    });
    let told: Vec<Value> = receipts.iter().map(|r| r["message_id"].clone()).collect();
    assert_eq!(told, given);
    assert!(receipts.iter().all(|r| r["delivery"]["possible_duplicate"] == false));
}

#[test]
fn a_batch_that_is_refused_as_a_whole_goes_one_by_one() {
    for status in [400, 413] {
        // The second call is the batch: it was not done.
        let refused = FaultRule::new(Endpoint::Post, FaultAction::status(status)).times(1);
        let (gateway, ids) = four(vec![refused]);
        all_sent(&gateway, &ids);
        let (transcripts, calls) = heard(&gateway);
        assert_eq!(transcripts, names(4), "{status}");
        assert_eq!(calls[..3], [1, 1, 1], "{status}");
    }
}

#[test]
fn a_batch_whose_answer_is_lost_leaves_all_of_it_in_doubt() {
    let lost = FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::After)).times(1);
    let (gateway, ids) = four(vec![lost]);
    let receipts = all_sent(&gateway, &ids);
    let doubles = receipts.iter().filter(|r| r["delivery"]["possible_duplicate"] == true).count();
    let (transcripts, calls) = heard(&gateway);
    let batch = calls[1];
    assert!(batch >= 2, "{calls:?}");
    assert_eq!(doubles, batch, "those of the lost batch are marked, and no others");
    assert_eq!(transcripts.len(), 4 + batch);
    let mut first = transcripts.clone();
    let mut seen = std::collections::HashSet::new();
    first.retain(|transcript| seen.insert(transcript.clone()));
    assert_eq!(first, names(4), "invariant 7");
}

#[test]
fn a_conversation_that_is_gone_ends_the_whole_batch() {
    let gone = FaultRule::new(Endpoint::Post, FaultAction::status(404));
    let (gateway, ids) = four(vec![gone]);
    all_sent(&gateway, &ids[..1]);
    for id in &ids[1..] {
        let receipt = gateway.receipt_when(id, "it failed", |r| r["status"] == "failed");
        assert_eq!(receipt["error"]["code"], "conversation-not-found");
    }
    eventually("all uploads are deleted", || {
        gateway.at_genesys(|s| (s.account().summary().uploads_alive <= 1).then_some(()))
    });
}

#[test]
fn sleepers_behind_a_paused_post_go_along_when_it_wakes() {
    let gateway = TestGateway::builder().settings(|s| s.delivery.drives_max = 8).start();
    let pause = FaultAction::status(429).retry_after("7");
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, pause).times(1)]);
    let ids: Vec<String> = (0..3)
        .map(|number| {
            let form = Form::sample().with("transcript", format!("message {number}"));
            let receipt = gateway.send(&form.header("Prefer", "respond-async")).receipt(202);
            receipt["id"].as_str().unwrap().to_owned()
        })
        .collect();
    eventually("all sleep", || {
        let state = gateway.admin_get("/admin/state").receipt(200);
        (state["messages_parked"] == 3).then_some(())
    });
    let queue = gateway.admin_get("/admin/messages").receipt(200);
    assert_eq!(queue[0]["waits_for"], "its-next-attempt", "{queue}");
    assert_eq!(queue[1]["waits_for"], "messages-before", "{queue}");
    all_sent(&gateway, &ids);
    let (transcripts, calls) = heard(&gateway);
    assert_eq!(transcripts, names(3));
    assert_eq!(calls, [3], "one call for all that waited");
}
