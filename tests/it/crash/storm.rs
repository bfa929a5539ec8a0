//! kill -9 at random moments under load, the next process started at once, and a reckoning at the
//! end.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use voicepost::domain::RouteName;
use voicepost::sandbox::{Cut, Endpoint, FaultAction, FaultRule, Latency};

use crate::load::{Book, Load, Plan};
use crate::process::World;
use crate::reckoning::{Exempt, Reckoning};
use crate::ways;

/// Seed of the kills; another one may be given as `VOICEPOST_KILL_SEED`.
const SEED: u64 = 20_261_122;
/// Kills of the usual run on each route; `VOICEPOST_KILL_ROUNDS` may ask for more.
const ROUNDS: u64 = 5;
const SENDERS: usize = 8;
/// One process in so many is killed while it starts.
const KILLED_AT_START: u32 = 8;

#[test]
fn killed_at_random_under_load_no_promise_is_broken_on_media_api() {
    storm(RouteName::MediaApi);
}

#[test]
fn killed_at_random_under_load_no_promise_is_broken_on_open_messaging() {
    storm(RouteName::OpenMessaging);
}

fn storm(route: RouteName) {
    let world =
        World::on(route, &[("PURGE__CALLS_MAX", "16"), ("LOG__FILTER", "warn,voicepost=info")]);
    let (seed, rounds) =
        (number("VOICEPOST_KILL_SEED", SEED), number("VOICEPOST_KILL_ROUNDS", ROUNDS));
    let mut random = StdRng::seed_from_u64(seed);
    let mut book = Book::default();
    let began = Instant::now();
    for round in 0..rounds {
        trouble(&world);
        if random.random_ratio(1, KILLED_AT_START) {
            let process = world.launch();
            std::thread::sleep(Duration::from_millis(random.random_range(0..80)));
            drop(process);
        }
        let gateway = world.start();
        // Senders that got no answer come again, as senders do.
        let again = std::mem::take(&mut book.unanswered);
        let name = round.to_string();
        let plan = Plan { name, senders: SENDERS, again, ..Plan::default() };
        let load = Load::start(gateway.public, plan);
        std::thread::sleep(Duration::from_millis(random.random_range(100..700)));
        gateway.kill();
        book.add(load.stop());
    }
    let killed_for = began.elapsed();
    world.release();
    let gateway = world.start();
    let released = gateway.settled(Duration::from_secs(120));
    println!(
        "{route:?}, seed {seed}: {rounds} kills in {killed_for:.0?}, {} held and released, \
         refused: {:?}",
        released.len(),
        book.refused
    );
    assert!(book.told.len() as u64 > rounds, "{} answers are no load", book.told.len());
    let exempt = Exempt { released: released.into_iter().collect() };
    Reckoning::of(&world, &book, &exempt).expect_clean();
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// Slow answers, refusals, and answers that are lost after the call took effect.
fn trouble(world: &World) {
    let slow = |low, high| FaultAction::latency(Latency::Range([low, high]));
    let of_route = match world.route {
        RouteName::MediaApi => vec![
            FaultRule::new(Endpoint::Upload, FaultAction::status(503)).rate(0.03),
            FaultRule::new(Endpoint::Upload, FaultAction::cut(Cut::After)).rate(0.02),
            FaultRule::new(Endpoint::Upload, slow(0, 40)),
            FaultRule::new(Endpoint::Delete, FaultAction::status(503)).rate(0.2),
        ],
        RouteName::OpenMessaging => vec![
            FaultRule::new(Endpoint::Conversation, FaultAction::status(503)).rate(0.1),
            FaultRule::new(Endpoint::CachedMedia, FaultAction::status(503)).rate(0.1),
            FaultRule::new(Endpoint::CachedMediaDelete, FaultAction::status(503)).rate(0.2),
        ],
    };
    let post = ways::post(world.route);
    let posts = [
        FaultRule::new(post, FaultAction::cut(Cut::After)).rate(0.02),
        FaultRule::new(post, slow(0, 20)),
    ];
    world.faults(of_route.into_iter().chain(posts).collect());
}
