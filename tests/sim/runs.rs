//! Random runs by seed, and the proof that a seed repeats its history.
//!
//! `VOICEPOST_SIM_SEEDS=from..to` chooses the seeds, the last one not included.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use voicepost::domain::{Code, Patience, RouteName};
use voicepost::pipeline::Answer;
use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Latency};

use crate::ahead::BELIEVED_MS;
use crate::checker::check;
use crate::plan::{ClockStep, Crash, Plan, Sending};
use crate::process::{self, Ended};
use crate::world::{START, World};

/// Runs of the usual test on each route; thousands go into a long one.
const SEEDS: std::ops::Range<u64> = 1..201;

/// Lets a plan happen: one process after the other, until one comes to rest.
pub fn live(plan: Plan) -> World {
    let mut crashes: Vec<Crash> = plan.crashes.clone();
    crashes.reverse();
    let mut world = World::new(plan);
    loop {
        let crash = crashes.pop();
        if process::run(&mut world, crash) == Ended::Quiet {
            return world;
        }
    }
}

/// Seeds beyond those that once found something, and must not find it again.
const FOUND: &[u64] = &[137, 284, 537, 764, 2154, 3216, 3240];
/// The same on `open-messaging`.
const FOUND_OPEN: &[u64] = &[607, 1323, 2278, 4056, 4562, 7028];

/// The seeds, `from..to`, that a variable of the environment chooses.
pub fn seeds_of(variable: &str) -> Option<std::ops::Range<u64>> {
    let text = std::env::var(variable).ok()?;
    let (from, to) = text.split_once("..").expect("seeds are given as from..to");
    Some(from.parse().unwrap()..to.parse().unwrap())
}

fn seeds(route: RouteName) -> Vec<u64> {
    if let Some(seeds) = seeds_of("VOICEPOST_SIM_SEEDS") {
        return seeds.collect();
    }
    let found = match route {
        RouteName::MediaApi => FOUND,
        RouteName::OpenMessaging => FOUND_OPEN,
    };
    SEEDS.chain(found.iter().copied()).collect()
}

fn random_runs(route: RouteName, test: &str) {
    let seeds = seeds(route);
    let (mut commits, mut calls) = (0, 0);
    for seed in &seeds {
        let repeat = format!(
            "seed {seed}; repeat: VOICEPOST_SIM_SEEDS={seed}..{} cargo test --test sim {test}",
            seed + 1
        );
        let ended = catch_unwind(AssertUnwindSafe(|| live(Plan::random(route, *seed))));
        let world = ended.unwrap_or_else(|_| panic!("a panic, see above: {repeat}"));
        let wrong = check(&world);
        assert!(wrong.is_empty(), "{wrong:#?}\n{repeat}");
        commits += world.counters.commits.load(Ordering::Relaxed);
        calls += world.counters.calls.load(Ordering::Relaxed);
    }
    println!("{route:?}: {} runs, {commits} commits, {calls} calls: clean", seeds.len());
}

#[test]
fn random_trouble_breaks_no_promise_on_media_api() {
    random_runs(RouteName::MediaApi, "random_trouble_breaks_no_promise_on_media_api");
}

#[test]
fn random_trouble_breaks_no_promise_on_open_messaging() {
    random_runs(RouteName::OpenMessaging, "random_trouble_breaks_no_promise_on_open_messaging");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for (route, seeds) in [(RouteName::MediaApi, 1..41), (RouteName::OpenMessaging, 1..41)] {
        for seed in seeds {
            let once = || live(Plan::random(route, seed)).history();
            let first = once();
            assert!(!first.is_empty());
            assert_eq!(first, once(), "{route:?}, seed {seed}");
        }
    }
}

#[test]
fn a_sender_who_was_told_that_nothing_is_promised_is_not_posted_for() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(2);
    for sending in &mut plan.sendings {
        sending.patience = Patience { respond_async: false, wait_ms: 20_000 };
    }
    // The first holds the lane up; the disk is full when the turn of the second has come.
    let slow = FaultAction::latency(Latency::Fixed(2_000));
    plan.faults = vec![FaultRule::new(Endpoint::Post, slow).times(1)];
    plan.full_once = Some("message 1");
    plan.clips_bytes_max = 1024 * 1024;
    let world = live(plan);
    let answers = world.senders.lock().unwrap().answers.clone();
    let Answer::Refused(problem) = &answers[&1] else { panic!("{answers:?}") };
    assert_eq!(problem.code, Code::StorageLow);
    let sandbox = world.sandbox.lock().unwrap();
    let posted: Vec<_> = sandbox.account().posts().iter().map(|post| &post.transcript).collect();
    assert_eq!(posted, ["message 0"]);
}

#[test]
fn a_purge_that_is_told_to_pause_pauses() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    let pause = FaultAction::status(429).retry_after("0");
    plan.faults = vec![FaultRule::new(Endpoint::Delete, pause).times(20)];
    let world = live(plan);
    let sandbox = world.sandbox.lock().unwrap();
    let (post, upload) = (&sandbox.account().posts()[0], &sandbox.account().uploads()[0]);
    let late_ms = upload.deleted_at_ms.unwrap() - post.arrived_at_ms - 60_000;
    assert!((20_000..30_000).contains(&late_ms), "{late_ms} ms after it was due");
}

#[test]
fn a_clock_that_was_ahead_delays_no_purge_for_long() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    // A month ahead while the message is posted; corrected before the process that comes next.
    plan.steps = vec![
        ClockStep { at_ms: 0, by_ms: 30 * 86_400_000 },
        ClockStep { at_ms: 20_000, by_ms: -30 * 86_400_000 },
    ];
    plan.sendings.push(Sending { at_ms: 30_000, ..plan.sendings[0].clone() });
    plan.crashes = vec![Crash::Call { number: 5, effect: false }];
    let world = live(plan);
    let sandbox = world.sandbox.lock().unwrap();
    let (post, upload) = (&sandbox.account().posts()[0], &sandbox.account().uploads()[0]);
    let kept_ms = upload.deleted_at_ms.unwrap() - post.arrived_at_ms;
    assert!(kept_ms < BELIEVED_MS, "deleted after {kept_ms} ms");
}

#[test]
fn a_clock_that_jumps_past_the_life_of_the_token_delays_no_message() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    // As after a sleep of the machine: the timer of the renewal has not gone on.
    plan.steps = vec![ClockStep { at_ms: 20_000, by_ms: 7 * 86_400_000 }];
    plan.sendings.push(Sending { at_ms: 30_000, ..plan.sendings[0].clone() });
    let world = live(plan);
    let sandbox = world.sandbox.lock().unwrap();
    let posts = sandbox.account().posts();
    assert_eq!(posts.len(), 2);
    let apart_ms = posts[1].arrived_at_ms - posts[0].arrived_at_ms;
    assert!((29_000..35_000).contains(&apart_ms), "posted after {apart_ms} ms");
}

#[test]
fn a_token_that_the_clock_has_passed_is_renewed_before_it_is_asked_for() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    plan.steps = vec![ClockStep { at_ms: 10_000, by_ms: 7 * 86_400_000 }];
    plan.sendings.push(Sending { at_ms: 20_000, ..plan.sendings[0].clone() });
    let slow = FaultAction { latency_ms: Some(Latency::Fixed(3_000)), ..FaultAction::default() };
    plan.faults = vec![FaultRule { skip: 1, ..FaultRule::new(Endpoint::Token, slow) }];
    let world = live(plan);
    let sandbox = world.sandbox.lock().unwrap();
    let posts = sandbox.account().posts();
    let apart_ms = posts[1].arrived_at_ms - posts[0].arrived_at_ms;
    assert!((20_000..21_000).contains(&apart_ms), "posted after {apart_ms} ms");
}

#[test]
fn a_clock_that_was_behind_at_a_start_delays_no_message_for_long() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    plan.sendings[0].patience.respond_async = true;
    let other = Sending { conversation_id: "b".into(), at_ms: 5_000, ..plan.sendings[0].clone() };
    plan.sendings.push(other);
    let pause = FaultAction::status(429).retry_after("20");
    plan.faults = vec![FaultRule::new(Endpoint::Post, pause).times(1)];
    // A day behind when the next process starts, and right again a little later.
    plan.steps = vec![
        ClockStep { at_ms: 4_000, by_ms: -86_400_000 },
        ClockStep { at_ms: 30_000, by_ms: 86_400_000 },
    ];
    plan.crashes = vec![Crash::Commit { number: 5, durable: true }];
    let world = live(plan);
    assert_eq!(check(&world), Vec::<String>::new());
    let sandbox = world.sandbox.lock().unwrap();
    let (upload, posts) = (&sandbox.account().uploads()[0], sandbox.account().posts());
    let waited_ms = posts[1].arrived_at_ms - upload.arrived_at_ms;
    assert_eq!(posts.len(), 2);
    assert!((20_000..320_000).contains(&waited_ms), "posted after {waited_ms} ms");
}

#[test]
fn a_long_pause_is_waited_for_to_its_end() {
    let mut plan = Plan::calm(RouteName::MediaApi);
    plan.sendings.truncate(1);
    plan.sendings[0].patience.respond_async = true;
    let pause = FaultAction::status(503).retry_after("900");
    plan.faults = vec![FaultRule::new(Endpoint::Upload, pause).times(1)];
    let world = live(plan);
    assert_eq!(check(&world), Vec::<String>::new());
    let sandbox = world.sandbox.lock().unwrap();
    let came_ms = sandbox.account().uploads()[0].arrived_at_ms - START.0;
    assert!((900_000..1_000_000).contains(&came_ms), "uploaded after {came_ms} ms");
}
