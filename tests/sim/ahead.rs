//! A clock that was ahead for a while: what it dated is set right once the clock is believed again,
//! and nothing waits for the time that it showed. A clock that is behind dates nothing anew.

use voicepost::domain::{RouteName, Stage};
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};

use crate::plan::{ClockStep, Crash, Plan, Sending};
use crate::runs::live;
use crate::world::{START, World};

const MONTH_MS: i64 = 30 * 86_400_000;
/// A clock is believed for an hour after a start or a step, and then looked at every ten minutes.
pub const BELIEVED_MS: i64 = 5_000_000;

/// One message, and a month ahead from `from_ms` to `to_ms`; soon after that the process dies with
/// the upload of another message, and the next one begins.
fn ahead(from_ms: i64, to_ms: i64, faults: Vec<FaultRule>, calls_before: u64) -> World {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    plan.sendings[0].patience.respond_async = true;
    plan.steps = vec![
        ClockStep { at_ms: from_ms, by_ms: MONTH_MS },
        ClockStep { at_ms: to_ms, by_ms: -MONTH_MS },
    ];
    let at_ms = u64::try_from(to_ms + 10_000).unwrap();
    plan.sendings.push(Sending { conversation_id: "b".into(), at_ms, ..plan.sendings[0].clone() });
    plan.faults = faults;
    plan.crashes = vec![Crash::Call { number: calls_before + 1, effect: false }];
    let world = live(plan);
    let began_again = world.counters.calls.load(std::sync::atomic::Ordering::Relaxed);
    assert!(began_again > calls_before);
    world
}

/// Milliseconds from the start of the run to the only event of this name.
fn happened_ms(world: &World, name: &str) -> i64 {
    let history = world.history();
    let found: Vec<_> = history.iter().filter(|row| row.event == name).collect();
    assert_eq!(found.len(), 1, "{name}: {history:#?}");
    found[0].at.0 - START.0
}

/// When each upload was deleted, from the start of the run, the earliest first.
fn deleted_ms(world: &World) -> Vec<i64> {
    let sandbox = world.sandbox.lock().unwrap();
    let uploads = sandbox.account().uploads().iter();
    let mut deleted: Vec<_> =
        uploads.map(|upload| upload.deleted_at_ms.unwrap() - START.0).collect();
    deleted.sort_unstable();
    deleted
}

fn once(endpoint: Endpoint, action: FaultAction) -> FaultRule {
    FaultRule::new(endpoint, action).times(1)
}

#[test]
fn a_purge_that_it_put_off_is_made_when_the_clock_is_right() {
    let pause = FaultAction::status(503).retry_after("600");
    let world = ahead(20_000, 70_000, vec![once(Endpoint::Delete, pause)], 6);
    assert!(happened_ms(&world, "purges-redated") < BELIEVED_MS);
    let deleted_ms = deleted_ms(&world);
    assert!(deleted_ms[1] < BELIEVED_MS, "deleted after {deleted_ms:?} ms");
}

#[test]
fn a_message_that_it_put_off_waits_no_longer_than_the_longest_pause() {
    let pause = FaultAction::status(503).retry_after("600");
    let world = ahead(0, 20_000, vec![once(Endpoint::Upload, pause)], 2);
    let sandbox = world.sandbox.lock().unwrap();
    let posts = sandbox.account().posts();
    let mut came_ms: Vec<_> = posts.iter().map(|post| post.arrived_at_ms - START.0).collect();
    came_ms.sort_unstable();
    assert_eq!(came_ms.len(), 2);
    assert!((600_000..4_400_000).contains(&came_ms[1]), "posted after {} ms", came_ms[1]);
}

/// The copies of a message that was never posted, and our own of its clip.
#[test]
fn the_audio_of_a_message_that_failed_by_it_goes_in_time() {
    let faults = vec![
        once(Endpoint::Post, FaultAction::status(400)),
        once(Endpoint::Delete, FaultAction::status(503).retry_after("600")),
    ];
    let world = ahead(0, 20_000, faults, 4);
    assert!(happened_ms(&world, "purges-redated") < BELIEVED_MS);
    let deleted_ms = deleted_ms(&world);
    assert!(deleted_ms[1] < BELIEVED_MS, "deleted after {deleted_ms:?} ms");
    let history = world.history();
    let first = history[0].message_id;
    let mut of_it = history.iter().filter(|row| row.message_id == first);
    let dropped_ms = of_it.find(|row| row.event == "clip-dropped").unwrap().at.0 - START.0;
    assert!((120_000..BELIEVED_MS).contains(&dropped_ms), "dropped after {dropped_ms} ms");
}

/// What was set right is not set right again while it waits: once that had no end.
#[test]
fn a_purge_that_is_told_to_wait_when_it_is_set_right_waits() {
    let pause = FaultAction::status(503).retry_after("1500");
    let world = ahead(0, 20_000, vec![once(Endpoint::Delete, pause).skip(1)], 4);
    assert!(happened_ms(&world, "purges-redated") < BELIEVED_MS);
    let deleted_ms = deleted_ms(&world);
    let expected_ms = 3_600_000 + 1_500_000..BELIEVED_MS + 1_700_000;
    assert!(expected_ms.contains(&deleted_ms[1]), "deleted after {deleted_ms:?}");
}

/// What a closed gate keeps waiting stands in no row.
#[test]
fn a_purge_that_met_a_closed_gate_is_made_when_the_clock_is_right() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(2);
    plan.sendings[1].conversation_id = "b".into();
    plan.steps = vec![
        ClockStep { at_ms: 20_000, by_ms: MONTH_MS },
        ClockStep { at_ms: 70_000, by_ms: -MONTH_MS },
    ];
    plan.faults = vec![once(Endpoint::Delete, FaultAction::status(429).retry_after("60"))];
    let deleted_ms = deleted_ms(&live(plan));
    assert!(deleted_ms[0] < 200_000 && deleted_ms[1] < BELIEVED_MS, "deleted after {deleted_ms:?}");
}

/// A start cannot tell a clock that was ahead from one that is behind, as before the machine has
/// asked for the time.
#[test]
fn a_start_under_a_clock_that_is_behind_shortens_nothing() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(2);
    for sending in &mut plan.sendings {
        sending.patience.respond_async = true;
    }
    plan.sendings[1].conversation_id = "b".into();
    plan.steps = vec![
        ClockStep { at_ms: 20_000, by_ms: -MONTH_MS },
        ClockStep { at_ms: 60_000, by_ms: MONTH_MS },
    ];
    plan.sendings.push(Sending { at_ms: 30_000, ..plan.sendings[0].clone() });
    plan.faults = vec![once(Endpoint::Post, FaultAction::status(400))];
    plan.crashes = vec![Crash::Call { number: 9, effect: false }];
    let world = live(plan);
    let named = |name: &str| world.history().iter().filter(|row| row.event == name).count();
    assert_eq!((named("purges-redated"), named("clip-dropped")), (0, 3));
    let failed = world.records().into_iter().find(|(_, record)| record.stage == Stage::Failed);
    let (_, failed) = failed.unwrap();
    let kept = world.history().into_iter().filter(|row| row.message_id == failed.id);
    let dropped_ms = kept.max_by_key(|row| row.seq).unwrap().at.0 - START.0;
    assert!(dropped_ms >= 120_000, "dropped after {dropped_ms} ms");
}
