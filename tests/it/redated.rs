//! What is taken for the work of a clock that was ahead, and what of it is changed.

use voicepost::domain::{Event, Keeping, Posted, Record, Step, UnixMs};

use crate::lifecycle::{after, ending, uploaded};
use crate::samples::{START, intent};

const KEEPING: Keeping = Keeping { ttl_seconds: 900, delay_seconds_min: 30, failed_seconds: 3_600 };

fn posted_at(now: UnixMs) -> Record {
    let mut record = after(&[uploaded(Some(intent(Step::Post)))]);
    let due_at = KEEPING.due_at(now, false);
    let posted = Event::Posted { posted: Posted::default(), due_at, retention: false };
    record.apply(&posted, now).unwrap();
    record
}

fn put_off(mut record: Record, next_at: UnixMs, now: UnixMs) -> Record {
    let detail = "no answer".to_owned();
    record.apply(&Event::PurgeDeferred { ordinal: 0, detail, next_at }, now).unwrap();
    record
}

fn redated_at(now: UnixMs) -> Option<Event> {
    Some(Event::PurgesRedated { due_at: now })
}

/// Messages go on being posted while others are set right.
#[test]
fn nothing_that_a_right_clock_dated_is_changed() {
    let late = START.plus_seconds(900);
    for (record, now) in [
        (posted_at(START), START),
        (posted_at(START), late),
        // The longest pause that anybody can ask for, and its jitter.
        (put_off(posted_at(START), late.plus_seconds(4_320), late), late),
        (after(&[uploaded(None)]), START),
    ] {
        assert_eq!(KEEPING.redated(&record, now), None, "{record:#?}");
    }
}

#[test]
fn a_copy_is_due_as_if_its_message_had_been_posted_now() {
    let ahead = START.plus_seconds(86_400);
    let now = START.plus_seconds(10);
    assert_eq!(KEEPING.redated(&posted_at(ahead), now), redated_at(now.plus_seconds(900)));
    let mut withdrawn = posted_at(ahead);
    withdrawn.withdrawn = true;
    assert_eq!(KEEPING.redated(&withdrawn, now), redated_at(now.plus_seconds(30)));
    let mut failed = after(&[uploaded(None)]);
    failed.apply(&Event::Failed { ending: ending(), due_at: ahead }, ahead).unwrap();
    assert_eq!(KEEPING.redated(&failed, now), redated_at(now));
}

#[test]
fn a_purge_that_was_put_off_too_far_is_made_now_and_no_sooner_than_it_was_due() {
    let ahead = START.plus_seconds(86_400);
    let mut record = put_off(posted_at(START), ahead.plus_seconds(60), ahead);
    let due_at = START.plus_seconds(900);
    assert_eq!(KEEPING.redated(&record, START.plus_seconds(899)), None, "not due yet");
    let event = KEEPING.redated(&record, due_at).unwrap();
    record.apply(&event, due_at).unwrap();
    assert_eq!(record.copies[0].due_at, Some(due_at));
    assert_eq!(record.copies[0].next_attempt_at, Some(due_at));
}
