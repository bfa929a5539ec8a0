//! The access token: one exchange for all, renewed ahead, refused credentials, a login host in
//! trouble.

use std::time::{Duration, Instant};

use serde_json::json;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};

use crate::support::{Form, TestGateway, eventually};

fn exchanges(gateway: &TestGateway) -> u64 {
    gateway.at_genesys(|sandbox| sandbox.account().summary().tokens_issued)
}

#[test]
fn fifty_senders_with_a_revoked_token_cause_one_exchange() {
    let gateway = TestGateway::start();
    assert_eq!(exchanges(&gateway), 1);
    gateway.sandbox.with(|sandbox| sandbox.revoke_tokens());
    std::thread::scope(|scope| {
        for sender in 0..50 {
            let form = Form::sample().with("conversation_id", format!("c-{sender}"));
            let gateway = &gateway;
            scope.spawn(move || gateway.send(&form).receipt(201));
        }
    });
    assert_eq!(exchanges(&gateway), 2);
    gateway.at_genesys(|sandbox| {
        assert!(sandbox.account().calls(Endpoint::Upload, Some(401)) >= 1);
        assert_eq!(sandbox.account().posts().len(), 50);
    });
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let gateway = TestGateway::builder().sandbox(|s| s.token_expires_in_seconds = 2).start();
    let until = Instant::now() + Duration::from_millis(4_500);
    while Instant::now() < until {
        gateway.send(&Form::sample()).receipt(201);
        crate::support::pause(Duration::from_millis(50));
    }
    assert!((3..=4).contains(&exchanges(&gateway)), "{} exchanges", exchanges(&gateway));
    for endpoint in [Endpoint::Upload, Endpoint::Post] {
        gateway.at_genesys(|sandbox| {
            assert_eq!(sandbox.account().calls(endpoint, Some(401)), 0, "no call met an old token");
        });
    }
}

#[test]
fn refused_credentials_end_the_start_in_the_words_of_the_contract() {
    let refused = TestGateway::builder().wrong_secret("not the secret").try_start().err();
    let words = "OAuth token invalid or expired. Check client credentials.";
    assert_eq!(refused.as_deref(), Some(words));
    let trouble = |status| vec![FaultRule::new(Endpoint::Token, FaultAction::status(status))];
    let refused = TestGateway::builder().faults(trouble(401)).try_start().err();
    assert_eq!(refused.as_deref(), Some(words));
    let refused = TestGateway::builder().faults(trouble(403)).try_start().err();
    let words = "Missing required scopes. Verify media:upload and webchat:write are granted.";
    assert_eq!(refused.as_deref(), Some(words));
}

#[test]
fn a_login_host_in_trouble_leaves_the_gateway_started_and_not_ready() {
    let trouble = vec![FaultRule::new(Endpoint::Token, FaultAction::status(503))];
    let gateway = TestGateway::builder().faults(trouble).start();
    let ready = gateway.public.get("/readyz");
    assert_eq!(ready.status, 503);
    let reasons = json!(["no access token: the login host answered 503"]);
    assert_eq!(ready.json(), json!({"ready": false, "reasons": reasons}));
    let receipt = gateway.send(&Form::sample().header("Prefer", "wait=1")).receipt(202);
    let detail = gateway.admin_post("/admin/token/refresh", &json!({}));
    assert!(detail.problem(502, "token-unavailable").contains("503"));
    assert!(detail.header("retry-after").is_some());
    gateway.trouble(Vec::new());
    eventually("it is ready", || (gateway.public.get("/readyz").status == 200).then_some(()));
    let id = receipt["id"].as_str().unwrap();
    gateway.receipt_when(id, "the message that waited is sent", |r| r["status"] == "sent");
}

#[test]
fn a_token_that_is_refused_again_and_again_fails_no_message() {
    let gateway = TestGateway::start();
    gateway.trouble(vec![FaultRule::new(Endpoint::Upload, FaultAction::status(401))]);
    let receipt = gateway.send(&Form::sample().header("Prefer", "wait=1")).receipt(202);
    assert_eq!(receipt["status"], "accepted");
    eventually("it is not ready", || (gateway.public.get("/readyz").status == 503).then_some(()));
    gateway.trouble(Vec::new());
    let id = receipt["id"].as_str().unwrap();
    let receipt = gateway.receipt_when(id, "it is sent", |receipt| receipt["status"] == "sent");
    assert_eq!(receipt["delivery"]["last_error_code"], "token-unavailable");
    assert_eq!(gateway.public.get("/readyz").status, 200);
}

#[test]
fn an_answer_that_holds_no_usable_token_is_not_taken_for_one() {
    for (body, words) in [
        (r#"{"access_token":""}"#, "cannot be sent in a header"),
        (r#"{"access_token":"a\r\nX-Evil: 1","expires_in":60}"#, "cannot be sent in a header"),
        (r#"{"expires_in":60}"#, "has no access_token"),
        ("<html>", "is no JSON"),
    ] {
        let wrong = FaultAction { body: Some(body.to_owned()), ..FaultAction::status(200) };
        let rule = FaultRule::new(Endpoint::Token, wrong).times(1);
        let gateway = TestGateway::builder().faults(vec![rule]).start();
        let ready = gateway.public.get("/readyz");
        assert_eq!(ready.status, 503, "{body}");
        assert!(ready.text().contains(words), "{body}: {}", ready.text());
        // The next exchange is right, and nobody has lost anything.
        gateway.send(&Form::sample()).receipt(201);
    }
}
