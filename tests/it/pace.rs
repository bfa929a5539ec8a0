//! The rate gate's arithmetic (invariant 5: nobody calls a closed gate).

use proptest::prelude::*;
use voicepost::domain::{CallClass, Pace, RateHeaders, Turn, Waiting};

const EVERYBODY: Waiting = Waiting { classes: [true; 5], delete_is_late: false };

fn only(class: CallClass) -> Waiting {
    Waiting { classes: CallClass::ALL.map(|other| other == class), delete_is_late: false }
}

fn take(pace: &mut Pace, waiting: Waiting, now_ms: u64) -> Option<CallClass> {
    match pace.turn(waiting, now_ms) {
        Turn::Go(class) => {
            pace.leave(class, now_ms);
            Some(class)
        }
        Turn::WaitUntil(_) | Turn::Idle => None,
    }
}

fn rate(count: u64, allowed: u64, reset_ms: u64) -> Option<RateHeaders> {
    Some(RateHeaders { count, allowed, reset_ms })
}

#[test]
fn posts_go_first_and_deletes_get_every_fourth_slot() {
    let mut pace = Pace::default();
    let taken: Vec<_> = (0..8).filter_map(|_| take(&mut pace, EVERYBODY, 0)).collect();
    let (post, look_up, delete) = (CallClass::Post, CallClass::LookUp, CallClass::Delete);
    assert_eq!(taken, [post, post, look_up, delete, post, post, look_up, delete]);
}

#[test]
fn deletes_get_every_second_slot_while_one_is_late() {
    let mut pace = Pace::default();
    let waiting = Waiting { delete_is_late: true, ..EVERYBODY };
    let taken: Vec<_> = (0..4).filter_map(|_| take(&mut pace, waiting, 0)).collect();
    let (post, look_up, delete) = (CallClass::Post, CallClass::LookUp, CallClass::Delete);
    assert_eq!(taken, [post, delete, look_up, delete]);
}

#[test]
fn uploads_go_before_retention_and_a_lone_delete_at_once() {
    let mut pace = Pace::default();
    let waiting = Waiting { classes: [false, false, true, false, true], delete_is_late: false };
    assert_eq!(take(&mut pace, waiting, 0), Some(CallClass::Upload));
    assert_eq!(take(&mut pace, only(CallClass::Retention), 0), Some(CallClass::Retention));
    assert_eq!(take(&mut pace, only(CallClass::Delete), 0), Some(CallClass::Delete));
    assert_eq!(pace.turn(Waiting::default(), 0), Turn::Idle);
}

#[test]
fn a_429_closes_its_endpoint_for_all_until_the_server_says_so() {
    let mut pace = Pace::default();
    pace.close(CallClass::Upload, false, 2_000);
    // A shorter closing that comes later does not open it earlier.
    pace.close(CallClass::Upload, false, 500);
    assert_eq!(pace.turn(only(CallClass::Upload), 1_999), Turn::WaitUntil(2_000));
    assert_eq!(pace.turn(only(CallClass::Post), 1_999), Turn::Go(CallClass::Post));
    assert_eq!(pace.turn(only(CallClass::Upload), 2_000), Turn::Go(CallClass::Upload));
}

#[test]
fn a_429_about_the_client_closes_the_whole_host() {
    let mut pace = Pace::default();
    pace.close(CallClass::Delete, true, 3_000);
    for class in CallClass::ALL {
        assert_eq!(pace.turn(only(class), 2_999), Turn::WaitUntil(3_000));
        assert_eq!(pace.turn(only(class), 3_000), Turn::Go(class));
    }
}

#[test]
fn a_used_up_window_is_waited_out_and_the_next_one_allows_as_much() {
    let mut pace = Pace::default();
    assert!(take(&mut pace, EVERYBODY, 0).is_some());
    pace.came_back(rate(299, 300, 10_000), 0, 0);
    assert!(take(&mut pace, EVERYBODY, 1).is_some());
    assert_eq!(pace.turn(EVERYBODY, 2), Turn::WaitUntil(10_000));
    // A call that hangs holds nobody up; it counts against the new window all the same.
    let taken = (0..400).filter(|_| take(&mut pace, EVERYBODY, 10_000).is_some()).count();
    assert_eq!(taken, 299);
    pace.came_back(rate(299, 300, 60_000), 10_000, 10_010);
    assert!(matches!(pace.turn(EVERYBODY, 10_011), Turn::WaitUntil(_)));
}

/// An answer that was long on its way tells of a window that is half over, not of a new one.
#[test]
fn a_late_answer_opens_no_window_of_its_own() {
    let mut pace = Pace::default();
    for _ in 0..2 {
        assert!(take(&mut pace, EVERYBODY, 0).is_some());
    }
    pace.came_back(rate(12, 12, 60_000), 0, 10);
    pace.came_back(rate(2, 12, 60_000), 0, 12_700);
    assert_eq!(pace.turn(EVERYBODY, 12_701), Turn::WaitUntil(60_010));
}

/// An answer that comes after the end of its window passes for none of its own: the next ones tell.
#[test]
fn an_answer_from_a_window_that_is_over_tells_no_end() {
    let mut pace = Pace::default();
    for _ in 0..2 {
        assert!(take(&mut pace, EVERYBODY, 4_900).is_some());
    }
    pace.came_back(rate(9, 9, 6_000), 4_900, 5_000);
    assert_eq!(pace.turn(EVERYBODY, 10_000), Turn::WaitUntil(11_000));
    pace.came_back(rate(2, 9, 6_000), 4_900, 11_004);
    let taken = (0..9).filter(|_| take(&mut pace, EVERYBODY, 11_004).is_some()).count();
    assert_eq!(taken, 7);
    pace.came_back(rate(7, 9, 9_000), 11_004, 11_011);
    assert_eq!(pace.turn(EVERYBODY, 17_010), Turn::WaitUntil(20_011));
}

/// Answers that take longer than an untold window is guessed to last are heard all the same.
#[test]
fn a_window_is_learned_of_from_answers_that_are_slow() {
    let mut pace = Pace::default();
    assert!(take(&mut pace, EVERYBODY, 0).is_some());
    pace.came_back(rate(1, 30, 60_000), 0, 10);
    for _ in 0..4 {
        assert!(take(&mut pace, EVERYBODY, 60_020).is_some());
    }
    // The guess is over, and the next call begins another.
    assert!(take(&mut pace, EVERYBODY, 65_100).is_some());
    pace.came_back(rate(30, 30, 60_000), 60_020, 65_500);
    assert_eq!(pace.turn(EVERYBODY, 65_501), Turn::WaitUntil(125_500));
}

proptest! {
    /// Against a server that counts calls in fixed windows and answers 429 above its limit: the
    /// gate never makes it say so, whatever the latencies and however the callers come.
    #[test]
    fn a_steady_limit_is_never_overrun(
        allowed in 5_u64..40,
        latencies in prop::collection::vec(prop_oneof![1_u64..900, 1_u64..9_000], 40..200),
    ) {
        let window_ms = 10_000;
        let mut pace = Pace::default();
        let mut on_the_wire: Vec<(u64, u64, Option<RateHeaders>)> = Vec::new();
        let mut counted = (0, 0);
        let mut sent = 0;
        // Until the first answer nothing is known; the first call asks.
        let mut latencies = latencies.into_iter();
        for now_ms in (0..40_000).step_by(7) {
            on_the_wire.retain(|(left_at, back_at, headers)| {
                let back = *back_at <= now_ms;
                if back {
                    pace.came_back(*headers, *left_at, now_ms);
                }
                !back
            });
            let learned = sent > 0 && on_the_wire.len() < sent;
            while (sent == 0 || learned) && take(&mut pace, EVERYBODY, now_ms).is_some() {
                let Some(latency) = latencies.next() else { return Ok(()) };
                sent += 1;
                let window = now_ms / window_ms;
                counted = if counted.0 == window { (window, counted.1 + 1) } else { (window, 1) };
                prop_assert!(counted.1 <= allowed, "call {} of {allowed} at {now_ms}", counted.1);
                let left_ms = window_ms - now_ms % window_ms;
                // Told in whole seconds and one more, as the gateway reads it.
                let reset_ms = (left_ms / 1_000 + 1) * 1_000;
                on_the_wire.push((now_ms, now_ms + latency, rate(counted.1, allowed, reset_ms)));
                if sent == 1 {
                    break;
                }
            }
        }
    }
}
