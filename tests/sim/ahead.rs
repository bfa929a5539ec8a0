//! A clock that was ahead for a while: what it dated is set right by the next process, and nothing
//! waits for the time that it showed.

use voicepost::domain::RouteName;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule};

use crate::plan::{ClockStep, Crash, Plan, Sending};
use crate::runs::live;
use crate::world::{START, World};

const MONTH_MS: i64 = 30 * 86_400_000;

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

fn once(endpoint: Endpoint, action: FaultAction) -> FaultRule {
    FaultRule::new(endpoint, action).times(1)
}

#[test]
fn a_purge_that_it_put_off_is_made_when_the_clock_is_right() {
    let pause = FaultAction::status(503).retry_after("600");
    let world = ahead(20_000, 70_000, vec![once(Endpoint::Delete, pause)], 6);
    assert!(happened_ms(&world, "purges-redated") < 120_000);
    let sandbox = world.sandbox.lock().unwrap();
    let upload = &sandbox.account().uploads()[0];
    let deleted_ms = upload.deleted_at_ms.unwrap() - START.0;
    assert!(deleted_ms < 120_000, "deleted after {deleted_ms} ms");
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
    assert!(happened_ms(&world, "purges-redated") < 60_000);
    let sandbox = world.sandbox.lock().unwrap();
    let upload = &sandbox.account().uploads()[0];
    let deleted_ms = upload.deleted_at_ms.unwrap() - START.0;
    assert!(deleted_ms < 120_000, "deleted after {deleted_ms} ms");
    let history = world.history();
    let first = history[0].message_id;
    let mut of_it = history.iter().filter(|row| row.message_id == first);
    let dropped_ms = of_it.find(|row| row.event == "clip-dropped").unwrap().at.0 - START.0;
    assert!((120_000..240_000).contains(&dropped_ms), "dropped after {dropped_ms} ms");
}
