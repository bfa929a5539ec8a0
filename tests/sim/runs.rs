//! Random runs by seed, and the proof that a seed repeats its history.
//!
//! `VOICEPOST_SIM_SEEDS=from..to` chooses the seeds, the last one not included.

use std::sync::atomic::Ordering;

use crate::checker::check;
use crate::plan::{Crash, Plan};
use crate::process::{self, Ended};
use crate::world::World;

/// Runs of the usual test; thousands go into a long one.
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
const FOUND: [u64; 5] = [284, 537, 764, 2154, 3216];

fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("VOICEPOST_SIM_SEEDS") else {
        return SEEDS.chain(FOUND).collect();
    };
    let (from, to) = text.split_once("..").expect("VOICEPOST_SIM_SEEDS is from..to");
    (from.parse().unwrap()..to.parse().unwrap()).collect()
}

#[test]
fn random_trouble_breaks_no_promise() {
    let seeds = seeds();
    let (mut commits, mut calls) = (0, 0);
    for seed in &seeds {
        let world = live(Plan::random(*seed));
        let wrong = check(&world);
        assert!(
            wrong.is_empty(),
            "seed {seed}: {wrong:#?}\nrepeat: VOICEPOST_SIM_SEEDS={seed}..{} cargo test --test sim \
             random_trouble",
            seed + 1
        );
        commits += world.counters.commits.load(Ordering::Relaxed);
        calls += world.counters.calls.load(Ordering::Relaxed);
    }
    println!("{} runs, {commits} commits, {calls} calls: clean", seeds.len());
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 1..41 {
        let (first, second) = (live(Plan::random(seed)), live(Plan::random(seed)));
        assert!(!first.history().is_empty());
        assert_eq!(first.history(), second.history(), "seed {seed}");
    }
}
