//! The life-cycle holds against any order of events, and the pauses against any numbers.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use voicepost::domain::{
    Backoff, ClipPlace, Code, CopyState, Ending, Event, Intent, NewCopy, NextStep, Posted, Record,
    Retry, Stage, Step, UnixMs, Waveform, next_step,
};

use crate::samples::{START, intent, new_copy, plain};

fn drawn() -> Event {
    Event::ClipAnalysed { waveform: Waveform { peaks: vec![9; 64], silent: false } }
}

fn any_event() -> impl Strategy<Value = Event> {
    let time = || (0i64..3_000_000).prop_map(|ms| START.plus_ms(ms));
    let code = || select(vec![Code::GenesysUnavailable, Code::GenesysAnswerLost, Code::Expired]);
    let ending = || code().prop_map(|code| Ending { code, detail: "why".to_owned() });
    let step = || select(vec![Step::Upload, Step::Post]).prop_map(intent);
    let ordinal = || 0u32..3;
    let detail = || "why".to_owned();
    let delivery = prop_oneof![
        (step(), any::<bool>()).prop_map(|(intent, repeat)| Event::Intended { intent, repeat }),
        Just(drawn()),
        (0usize..3, of(step()))
            .prop_map(|(count, post)| Event::Uploaded { copies: vec![new_copy(); count], post }),
        (code(), time()).prop_map(|(code, next_attempt_at)| Event::UploadLost {
            code,
            copies: vec![NewCopy { state: CopyState::Orphaned, ..new_copy() }],
            next_attempt_at,
            crashed: true
        }),
        (code(), time())
            .prop_map(|(code, next_attempt_at)| Event::Deferred { code, next_attempt_at }),
        (code(), time()).prop_map(|(code, at)| Event::PostLost {
            code,
            next_attempt_at: at,
            crashed: true
        }),
        Just(Event::PostDisproved),
        (time(), any::<bool>()).prop_map(|(due_at, retention)| Event::Posted {
            posted: Posted::default(),
            due_at,
            retention
        }),
        time().prop_map(|due_at| Event::UploadOutdated { due_at }),
        Just(Event::IntentDropped),
    ];
    let ends = prop_oneof![
        Just(Event::ClipSpooled),
        Just(Event::ClipDropped),
        Just(Event::ClipDropDeferred { detail: detail() }),
        (ending(), time()).prop_map(|(ending, due_at)| Event::Failed { ending, due_at }),
        (ending(), time()).prop_map(|(ending, due_at)| Event::Refused { ending, due_at }),
        time().prop_map(|due_at| Event::Cancelled { due_at }),
        ending().prop_map(|ending| Event::Held { ending }),
        time().prop_map(|expires_at| Event::Released { expires_at }),
        time().prop_map(|expires_at| Event::Replayed { expires_at }),
        time().prop_map(|until| Event::ClipKept { until }),
    ];
    let purges = prop_oneof![
        time().prop_map(|due_at| Event::PurgeHastened { due_at }),
        time().prop_map(|due_at| Event::PurgesRedated { due_at }),
        (ordinal(), any::<bool>()).prop_map(|(ordinal, set)| Event::RetentionSettled {
            ordinal,
            set,
            detail: None
        }),
        (ordinal(), time()).prop_map(move |(ordinal, next_at)| Event::PurgeDeferred {
            ordinal,
            detail: detail(),
            next_at
        }),
        ordinal().prop_map(|ordinal| Event::CopyPurged { ordinal }),
        ordinal().prop_map(move |ordinal| Event::CopyNotPurgeable { ordinal, detail: detail() }),
        ordinal().prop_map(move |ordinal| Event::CopyGivenUp { ordinal, reason: detail() }),
    ];
    prop_oneof![5 => delivery, 1 => ends, 2 => purges]
}

fn is_over(stage: Stage) -> bool {
    matches!(stage, Stage::Sent | Stage::Failed | Stage::Cancelled)
}

fn post_on_the_wire(record: &Record) -> bool {
    record.intent.as_ref().is_some_and(|intent| intent.step == Step::Post)
}

/// What holds after every event, whatever came before.
fn check(before: &Record, event: &Event, after: &Record, now: UnixMs) -> Result<(), TestCaseError> {
    if let Event::Replayed { .. } = event {
        prop_assert!(before.stage == Stage::Failed && before.clip == ClipPlace::Spooled);
        prop_assert!(before.clip_kept_until.is_some() && after.stage == Stage::Accepted);
        prop_assert!(after.transcript.is_some() && after.envelope.is_some());
    } else if is_over(before.stage) {
        prop_assert_eq!(before.stage, after.stage, "an ended message stays as it ended");
    }
    if let Event::Intended { intent, .. } = event {
        prop_assert_eq!(&before.intent, &None, "no call while the outcome of one is open");
        prop_assert_eq!(after.intent.as_ref(), Some(intent));
    }
    // Invariant 3: a post that may have happened is remembered until it is settled.
    if before.post_in_doubt && !after.post_in_doubt {
        let settled = matches!(event, Event::PostDisproved | Event::Posted { .. });
        prop_assert!(settled || after.possible_duplicate, "a doubt vanished by {}", event.name());
    }
    if post_on_the_wire(before) && !post_on_the_wire(after) && !after.post_in_doubt {
        use Event::{Deferred, Failed, IntentDropped, Posted, Refused};
        let settled = matches!(
            event,
            Posted { .. } | Deferred { .. } | Refused { .. } | Failed { .. } | IntentDropped
        );
        prop_assert!(settled, "a post on the wire was forgotten by {}", event.name());
    }
    prop_assert!(after.copies.len() >= before.copies.len(), "copies are never taken out");
    for (old, new) in before.copies.iter().zip(&after.copies) {
        prop_assert_eq!(old.ordinal, new.ordinal);
        prop_assert!(old.state == CopyState::Owed || old.state == new.state, "settled for good");
        if let (Some(old_due), Some(new_due)) = (old.due_at, new.due_at) {
            prop_assert!(new_due <= old_due, "a purge is never put off");
        }
    }
    for copy in &after.copies {
        let owed = copy.state == CopyState::Owed;
        if owed && is_over(after.stage) {
            prop_assert!(copy.due_at.is_some(), "an ended message owes its purges at a time");
        }
        // With a time, or JanitorActor never looks at it; settled, or it looks for ever.
        let timed = copy.next_attempt_at.is_some();
        prop_assert!(timed || !owed || copy.due_at.is_none());
        prop_assert!(owed || !timed);
        // A retention call that is still failing never delays the delete.
        if let (Some(due_at), Some(next_at)) = (copy.due_at, copy.next_attempt_at) {
            prop_assert!(next_at <= due_at || now >= due_at, "due {due_at}, next {next_at}");
        }
    }
    if let (Event::Uploaded { copies, .. }, true) = (event, is_over(before.stage)) {
        let new = &after.copies[after.copies.len() - copies.len()..];
        prop_assert!(new.iter().all(|copy| copy.due_at.is_some()));
        prop_assert_eq!(&after.intent, &None);
    }
    forgets_exactly_when_purged(before, after)
}

/// Invariant 11: transcript and identity stay as long as something of the message does; then they
/// go, and what the clip looks like.
fn forgets_exactly_when_purged(before: &Record, after: &Record) -> Result<(), TestCaseError> {
    let nothing_left = is_over(after.stage)
        && after.purges_done()
        && after.intent.is_none()
        && after.clip != ClipPlace::Spooled;
    let forgotten =
        after.transcript.is_none() && after.waveform.is_none() && after.envelope.is_none();
    let kept = after.transcript == before.transcript && after.envelope == before.envelope;
    let right = if nothing_left { forgotten } else { kept };
    prop_assert!(right, "nothing left: {nothing_left}, forgotten: {forgotten}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_order_of_events_keeps_the_promises(
        spooled in any::<bool>(),
        events in vec((any_event(), 0i64..60_000), 1..60),
    ) {
        let mut record = plain(1);
        if spooled {
            record.clip = ClipPlace::Spooled;
        }
        let mut now = START;
        for (event, pause_ms) in events {
            now = now.plus_ms(pause_ms);
            let before = record.clone();
            match record.apply(&event, now) {
                Ok(()) => check(&before, &event, &record, now)?,
                Err(_) => prop_assert_eq!(&before, &record, "a refused event leaves no trace"),
            }
        }
    }

    #[test]
    fn a_pause_keeps_to_its_bounds(
        pause_ms_min in 1u64..100_000,
        factor in 1u64..1000,
        attempts in any::<u32>(),
        not_before_ms in prop_oneof![Just(0), 0u64..10_000_000, any::<u64>()],
        unit_random in prop_oneof![0.0..1.0, any::<f64>()],
    ) {
        let backoff = Backoff { pause_ms_min, pause_ms_max: pause_ms_min * factor };
        let retry = Retry::After { not_before_ms };
        let pause_ms = backoff.pause_ms(attempts, retry, unit_random).unwrap();
        prop_assert!(pause_ms >= not_before_ms);
        prop_assert!(pause_ms >= pause_ms_min * 8 / 10);
        let longest = (backoff.pause_ms_max * 12 / 10 + 1).max(not_before_ms);
        prop_assert!(pause_ms <= longest, "{pause_ms} > {longest}");
        prop_assert_eq!(backoff.pause_ms(attempts, Retry::Never, unit_random), None);
    }

    #[test]
    fn pauses_without_jitter_never_get_shorter(
        pause_ms_min in any::<u64>(),
        pause_ms_max in any::<u64>(),
        attempts in any::<u32>(),
    ) {
        let backoff = Backoff { pause_ms_min, pause_ms_max };
        let pause = |attempts| backoff.pause_ms(attempts, Retry::BACKOFF, 0.5).unwrap();
        prop_assert!(pause(attempts) <= pause(attempts.saturating_add(1)));
        prop_assert!(pause(1) <= pause(2) && pause(0) == pause(1));
    }
}

#[test]
fn the_first_pauses_double_up_to_the_longest() {
    let backoff = Backoff { pause_ms_min: 5000, pause_ms_max: 60_000 };
    let pauses: Vec<_> =
        (1..=6).map(|n| backoff.pause_ms(n, Retry::BACKOFF, 0.5).unwrap()).collect();
    assert_eq!(pauses, [5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
}

pub(crate) fn after(events: &[Event]) -> Record {
    let mut record = plain(1);
    for event in events {
        record.apply(event, START).unwrap_or_else(|error| panic!("{error}"));
    }
    record
}

pub(crate) fn uploaded(post: Option<Intent>) -> Event {
    Event::Uploaded { copies: vec![new_copy()], post }
}

fn upload_lost(crashed: bool) -> Event {
    let code = Code::GenesysAnswerLost;
    Event::UploadLost { code, copies: Vec::new(), next_attempt_at: START, crashed }
}

pub(crate) fn post_lost(crashed: bool) -> Event {
    Event::PostLost { code: Code::GenesysAnswerLost, next_attempt_at: START, crashed }
}

pub(crate) fn ending() -> Ending {
    Ending { code: Code::CrashLoop, detail: "three crashes".to_owned() }
}

#[test]
fn a_cancelled_message_owes_the_copy_of_an_upload_answered_later_at_once() {
    let mut record = after(&[Event::Cancelled { due_at: START }]);
    let later = START.plus_seconds(5);
    record.apply(&uploaded(Some(intent(Step::Post))), later).unwrap();
    assert_eq!((record.stage, &record.intent), (Stage::Cancelled, &None));
    let copy = &record.copies[0];
    assert_eq!((copy.state, copy.due_at), (CopyState::Owed, Some(later)));
    assert_eq!(copy.next_attempt_at, Some(later));
    assert!(record.transcript.is_some());
    record.apply(&Event::CopyPurged { ordinal: 0 }, later).unwrap();
    assert_eq!((&record.transcript, &record.envelope), (&None, &None));
}

/// Invariant 11.
#[test]
fn what_a_clip_looks_like_goes_with_the_last_purge_and_does_not_come_after_it() {
    let mut record = after(&[Event::Cancelled { due_at: START }]);
    record.apply(&uploaded(Some(intent(Step::Post))), START).unwrap();
    record.apply(&drawn(), START).unwrap();
    assert!(record.waveform.is_some());
    record.apply(&Event::CopyPurged { ordinal: 0 }, START).unwrap();
    assert_eq!(record.waveform, None);
    record.apply(&drawn(), START).unwrap();
    assert_eq!(record.waveform, None);
}

#[test]
fn a_post_on_the_wire_cannot_be_called_back() {
    let posting = after(&[uploaded(Some(intent(Step::Post)))]);
    let lost = post_lost(false);
    let mut in_doubt = posting.clone();
    in_doubt.apply(&lost, START).unwrap();
    for mut record in [posting, in_doubt] {
        assert!(record.apply(&Event::Cancelled { due_at: START }, START).is_err());
    }
    assert!(after(&[uploaded(None), Event::Cancelled { due_at: START }]).stage == Stage::Cancelled);
}

#[test]
fn a_repeat_after_a_lost_answer_is_marked_before_it_leaves() {
    let lost = post_lost(false);
    let mut record = after(&[uploaded(Some(intent(Step::Post))), lost]);
    let unmarked = Event::Intended { intent: intent(Step::Post), repeat: false };
    assert!(record.apply(&unmarked, START).is_err());
    let marked = Event::Intended { intent: intent(Step::Post), repeat: true };
    record.apply(&marked, START).unwrap();
    assert!(record.possible_duplicate);
}

#[test]
fn a_held_message_remembers_the_call_whose_outcome_is_open() {
    // An upload on the wire stays intended: its copy must be owed for when it is answered.
    let mut record = after(&[Event::Held { ending: ending() }]);
    record.apply(&uploaded(None), START).unwrap();
    assert_eq!((record.stage, record.copies[0].due_at), (Stage::Held, Some(START)));
    // A post on the wire may have happened.
    let record = after(&[uploaded(Some(intent(Step::Post))), Event::Held { ending: ending() }]);
    assert!(record.post_in_doubt && record.intent.is_none());
}

#[test]
fn a_failed_message_is_replayable_as_long_as_its_clip_is_kept() {
    let failed = Event::Failed { ending: ending(), due_at: START };
    let deferred = Event::Deferred { code: Code::GenesysUnavailable, next_attempt_at: START };
    let kept = Event::ClipKept { until: START.plus_seconds(60) };
    let mut record = after(&[Event::ClipSpooled, deferred, kept, failed]);
    assert!(record.purges_done() && record.transcript.is_some() && record.envelope.is_some());
    let expires_at = START.plus_seconds(3_600);
    let mut replayed = record.clone();
    replayed.apply(&Event::Replayed { expires_at }, START).unwrap();
    assert_eq!((replayed.stage, replayed.expires_at), (Stage::Accepted, expires_at));
    assert_eq!((replayed.clip_kept_until, &replayed.ending), (None, &None));
    record.apply(&Event::ClipDropped, START).unwrap();
    assert!(record.transcript.is_none() && record.envelope.is_none());
    assert!(record.apply(&Event::Replayed { expires_at }, START).is_err());
}

#[test]
fn a_call_that_the_process_outlived_forgets_the_crashes_before_it() {
    let upload = || Event::Intended { intent: intent(Step::Upload), repeat: false };
    let counted = after(&[upload_lost(true), upload(), upload_lost(true), upload()]);
    assert_eq!(counted.crashes, 2);
    let deferred = Event::Deferred { code: Code::GenesysUnavailable, next_attempt_at: START };
    for came_back in [deferred, uploaded(None), upload_lost(false)] {
        let mut record = counted.clone();
        record.apply(&came_back, START).unwrap();
        assert_eq!(record.crashes, 0);
    }
    let posting = uploaded(Some(intent(Step::Post)));
    assert_eq!(after(&[posting.clone(), post_lost(true)]).crashes, 1);
    assert_eq!(after(&[upload_lost(true), upload(), posting, post_lost(false)]).crashes, 0);
}

#[test]
fn a_retention_call_is_settled_only_where_it_is_owed() {
    let posted = |retention| Event::Posted {
        posted: Posted::default(),
        due_at: START.plus_seconds(900),
        retention,
    };
    let settled = Event::RetentionSettled { ordinal: 0, set: true, detail: None };
    let upload = uploaded(Some(intent(Step::Post)));
    let mut asked = after(&[upload.clone(), posted(true)]);
    assert_eq!(asked.copies[0].next_attempt_at, Some(START));
    asked.apply(&settled, START).unwrap();
    let mut unasked = after(&[upload, posted(false)]);
    assert!(unasked.apply(&settled, START).is_err());
}

#[test]
fn a_message_whose_post_is_on_the_wire_cannot_end_untold() {
    let mut record = after(&[uploaded(Some(intent(Step::Post)))]);
    let untold = Ending { code: Code::StorageLow, detail: "full".to_owned() };
    let failed = Event::Failed { ending: untold, due_at: START };
    assert!(record.apply(&failed, START).is_err());
}

#[test]
fn an_upload_that_is_refused_after_its_message_has_ended_leaves_no_intent() {
    let mut record = after(&[Event::Cancelled { due_at: START }]);
    assert!(record.intent.is_some(), "on the wire");
    record.apply(&Event::Refused { ending: ending(), due_at: START }, START).unwrap();
    assert_eq!((record.stage, &record.intent), (Stage::Cancelled, &None));
}

#[test]
fn an_upload_of_the_future_is_not_outdated_while_its_post_is_on_the_wire() {
    let record = after(&[uploaded(Some(intent(Step::Post)))]);
    assert_eq!(next_step(&record, true, START), NextStep::Post);
}
