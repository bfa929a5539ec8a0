//! Messages whose post may stand, though nobody has confirmed it.

use voicepost::domain::{
    Code, CopyKind, CopyState, Event, Keeping, PurgeState, Record, RouteName, Step, withdrawal,
};
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule};
use voicepost::settings::{OnUnknown, Settings};

use crate::lifecycle::{after, ending, post_lost, uploaded};
use crate::samples::{START, intent};
use crate::support::{Form, Reply, TestGateway, eventually};

fn doubled() -> Record {
    let lost = post_lost(false);
    let repeat = Event::Intended { intent: intent(Step::Post), repeat: true };
    let paused = Event::Deferred { code: Code::GenesysRateLimited, next_attempt_at: START };
    after(&[uploaded(Some(intent(Step::Post))), lost, repeat, paused])
}

/// Invariant 4: the first post may stand, whatever became of the repeat.
#[test]
fn a_copy_whose_post_may_stand_keeps_to_the_floor() {
    let keeping = Keeping { ttl_seconds: 900, delay_seconds_min: 30, failed_seconds: 0 };
    let mut record = doubled();
    assert_eq!(keeping.due_early_at(&record, START), START.plus_seconds(30));
    assert!(record.apply(&Event::Cancelled { due_at: START }, START).is_err(), "not unposted");
    let asked = withdrawal(&record, &keeping, START);
    assert_eq!(asked, Some(Event::WithdrawalAsked));
}

/// Its clip is published anew, and the post that may stand still references the old one.
#[test]
fn an_upload_that_is_too_old_keeps_its_audio_while_its_post_may_stand() {
    let keeping = Keeping { ttl_seconds: 900, delay_seconds_min: 30, failed_seconds: 0 };
    assert_eq!(keeping.due_outdated_at(&doubled(), START), START.plus_seconds(900));
    let unposted = after(&[uploaded(None)]);
    assert_eq!(keeping.due_outdated_at(&unposted, START), START);
    let withdrawn = Record { withdrawn: true, ..doubled() };
    assert_eq!(keeping.due_outdated_at(&withdrawn, START), START.plus_seconds(30));
}

/// What nobody could look up may stand in the conversation's recording, which no call deletes: such
/// a message is never called purged.
#[test]
fn a_failed_message_whose_post_may_stand_names_the_recording() {
    let failed = Event::Failed { ending: ending(), due_at: START };
    for (route, wanted) in
        [(RouteName::OpenMessaging, Some(CopyState::NotPossible)), (RouteName::MediaApi, None)]
    {
        let mut record = Record { route, ..doubled() };
        record.apply(&failed, START).unwrap();
        record.apply(&Event::CopyPurged { ordinal: 0 }, START).unwrap();
        let recording = record.copies.iter().find(|copy| copy.kind == CopyKind::Recording);
        assert_eq!(recording.map(|copy| copy.state), wanted);
        let state = record.purge_state(START);
        let complete = state == PurgeState::Purged;
        assert_eq!(complete, wanted.is_none(), "{state:?}");
    }
    // One that was surely never posted is in no recording.
    let mut record = Record { route: RouteName::OpenMessaging, ..after(&[uploaded(None)]) };
    record.apply(&failed, START).unwrap();
    assert!(record.copies.iter().all(|copy| copy.kind != CopyKind::Recording));
}

/// A gateway whose posts arrive, and whose answers to them are lost.
fn losing(settings: impl FnOnce(&mut Settings)) -> TestGateway {
    let gateway = TestGateway::builder().settings(settings).start();
    gateway.trouble(vec![FaultRule::new(Endpoint::Post, FaultAction::cut(Cut::After))]);
    gateway
}

/// The next try comes after everything that the test is about.
fn slowly(settings: &mut Settings) {
    (settings.delivery.pause_ms_min, settings.delivery.pause_ms_max) = (20_000, 20_000);
}

/// What was told does not invite to send once more what has arrived.
fn assert_undecided(gateway: &TestGateway, reply: &Reply, cause: &str) {
    let detail = reply.problem(409, "undecided");
    assert!(detail.ends_with("; the message may be posted all the same"), "{detail}");
    assert_eq!(reply.json()["retryable"], false);
    let id = reply.at("/id");
    assert_eq!(reply.header("location"), Some(format!("/v1/voice-messages/{id}").as_str()));
    let receipt = gateway.get(&id).receipt(200);
    assert_eq!((&receipt["status"], &receipt["error"]["code"]), (&"failed".into(), &cause.into()));
    assert_eq!(receipt["delivery"]["possible_duplicate"], true);
    assert_eq!(gateway.at_genesys(|sandbox| sandbox.account().posts().len()), 1);
}

/// `hold` is chosen so that nothing is doubled.
#[test]
fn who_waits_for_a_message_in_doubt_that_cannot_be_held_is_not_told_to_send_again() {
    let gateway = losing(|settings| settings.delivery.on_unknown = OnUnknown::Hold);
    std::fs::remove_dir(gateway.data.path().join("spool")).unwrap();
    assert_undecided(&gateway, &gateway.send(&Form::sample()), "genesys-answer-lost");
}

/// Under its key nothing else is answered later, and nothing else is posted.
#[test]
fn a_key_changes_nothing_for_a_failed_message_in_doubt() {
    let gateway = losing(|settings| settings.delivery.on_unknown = OnUnknown::Hold);
    std::fs::remove_dir(gateway.data.path().join("spool")).unwrap();
    let form = Form::sample().header("Idempotency-Key", "once");
    let first = gateway.send(&form);
    let again = gateway.send(&form);
    assert_eq!(first.at("/id"), again.at("/id"));
    for reply in [first, again] {
        assert_undecided(&gateway, &reply, "genesys-answer-lost");
    }
}

#[test]
fn who_waits_for_a_message_in_doubt_that_expires_is_not_told_to_send_again() {
    let gateway = losing(|settings| {
        slowly(settings);
        settings.delivery.expires_after_seconds = 1;
    });
    let reply = gateway.send(&Form::sample().header("Prefer", "wait=30"));
    assert_undecided(&gateway, &reply, "expired");
}

#[test]
fn who_waits_for_a_message_in_doubt_that_is_withdrawn_is_not_told_to_send_again() {
    let gateway = losing(slowly);
    let reply = std::thread::scope(|scope| {
        let sender = scope.spawn(|| gateway.send(&Form::sample().header("Prefer", "wait=30")));
        let id = eventually("its post is in doubt", || {
            let records = gateway.records();
            records.first().filter(|record| record.post_in_doubt).map(|record| record.id)
        });
        gateway.delete(&id.to_string()).receipt(202);
        sender.join().unwrap()
    });
    assert_undecided(&gateway, &reply, "genesys-answer-lost");
}
