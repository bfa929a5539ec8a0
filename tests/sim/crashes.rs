//! A death at every commit and at every call, with and without its effect (invariant 2: intent is
//! durable before its effect): of three messages that meet no other trouble; and, where
//! `VOICEPOST_SIM_CRASH_SEEDS=from..to` asks for them, of those random plans as well, in which
//! nothing else dies.

use std::sync::atomic::{AtomicU64, Ordering};

use voicepost::domain::RouteName;

use crate::checker::check;
use crate::plan::{Crash, Plan};
use crate::runs::{live, seeds_of};
use crate::world::Counters;

const ROUTES: [RouteName; 2] = [RouteName::MediaApi, RouteName::OpenMessaging];

fn assert_survives(plan: &Plan, crash: Crash) {
    let wrong = check(&live(Plan { crashes: vec![crash], ..plan.clone() }));
    let (route, seed) = (plan.route, plan.seed);
    assert!(wrong.is_empty(), "{route:?}, seed {seed}, {crash:?}: {wrong:#?}");
}

/// Dies once at each point that a run without deaths has, in either way; how many points there are.
fn dies_at_each(
    plan: &Plan,
    points: fn(&Counters) -> &AtomicU64,
    ways: fn(u64) -> [Crash; 2],
) -> u64 {
    let count = points(&live(plan.clone()).counters).load(Ordering::Relaxed);
    (1..=count).flat_map(ways).for_each(|crash| assert_survives(plan, crash));
    count
}

fn dies_at_each_commit(plan: &Plan) -> u64 {
    let ways = |number| [false, true].map(|durable| Crash::Commit { number, durable });
    dies_at_each(plan, |counters| &counters.commits, ways)
}

fn dies_at_each_call(plan: &Plan) -> u64 {
    let ways = |number| [false, true].map(|effect| Crash::Call { number, effect });
    dies_at_each(plan, |counters| &counters.calls, ways)
}

/// The random plans that are asked for, without deaths of their own.
fn troubled(route: RouteName) -> impl Iterator<Item = Plan> {
    let seeds = seeds_of("VOICEPOST_SIM_CRASH_SEEDS").unwrap_or_default();
    seeds.map(move |seed| Plan { crashes: Vec::new(), ..Plan::random(route, seed) })
}

#[test]
fn a_death_at_any_commit_breaks_no_promise() {
    for route in ROUTES {
        let commits = dies_at_each_commit(&Plan::calm(route));
        assert!(commits >= 12, "only {commits} commits: three messages have four each at least");
        let deaths: u64 = troubled(route).map(|plan| 2 * dies_at_each_commit(&plan)).sum();
        println!("{route:?}: {} deaths at {commits} commits; {deaths} more", 2 * commits);
    }
}

#[test]
fn a_death_at_any_call_breaks_no_promise() {
    for route in ROUTES {
        let calls = dies_at_each_call(&Plan::calm(route));
        assert!(calls >= 13, "only {calls} calls: a token and four for each of three messages");
        let deaths: u64 = troubled(route).map(|plan| 2 * dies_at_each_call(&plan)).sum();
        println!("{route:?}: {} deaths at {calls} calls; {deaths} more", 2 * calls);
    }
}
