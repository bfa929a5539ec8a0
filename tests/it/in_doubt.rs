//! Messages whose post may stand, though nobody has confirmed it.

use voicepost::domain::{
    Code, CopyKind, CopyState, Event, Keeping, PurgeState, Record, RouteName, Step, withdrawal,
};

use crate::lifecycle::{after, ending, post_lost, uploaded};
use crate::samples::{START, intent};

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
