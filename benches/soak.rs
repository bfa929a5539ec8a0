//! Does anything grow, and is anything lost, while the gateway works for a long time?
//!
//! The release binary as a child process, in front of a sandbox that makes modest trouble and is
//! away for seconds every minute. Clients are good, bad, slow, or vanish. Every few seconds memory,
//! descriptors, threads and the write-ahead log are read; at the end they must be flat and the
//! reckoning of the tests must be clean. `scripts/soak` runs it for 30 minutes.
//!
//! `cargo bench --bench soak -- [--minutes N] [--plot FILE] [--csv FILE] [--test]`

#![allow(clippy::unwrap_used, reason = "a soak that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "its clients wait on plain threads")]

// The tests' way to run the program, to load it, and to reckon up: one of each.
#[path = "../tests/it/child.rs"]
mod child;
#[path = "../tests/it/ledger_file.rs"]
mod ledger_file;
#[path = "../tests/it/load.rs"]
mod load;
#[path = "../tests/it/process.rs"]
#[allow(dead_code, reason = "the tests ask for more than a soak does")]
mod process;
#[path = "../tests/it/reckoning.rs"]
#[allow(dead_code, reason = "the tests ask for more than a soak does")]
mod reckoning;
#[path = "../tests/it/sender.rs"]
#[allow(dead_code, reason = "the tests ask for more than a soak does")]
mod sender;
#[path = "soak/support.rs"]
mod support;
#[path = "../tests/it/ways.rs"]
#[allow(dead_code, reason = "the tests ask for more than a soak does")]
mod ways;

mod soak {
    pub mod clients;
    pub mod flat;
    pub mod plot;
    pub mod samples;
    pub mod trouble;
}

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{Book, Load, Plan};
use process::World;
use reckoning::{Exempt, Reckoning};
use soak::clients::{self, Clients};
use soak::samples::{Sample, Sampler};
use soak::trouble::Trouble;
use soak::{flat, plot, samples};

const SENDERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(200);
/// Of a test run: long enough for every kind of client to be served once.
const TEST: Duration = Duration::from_secs(5);
/// How long audio lives: short enough that purges come and go all the time.
const TTL_SECONDS: &str = "10";
const TTL_SECONDS_TEST: &str = "1";
/// Until all that is owed is done, once nobody sends any more.
const SETTLE_MAX: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let minutes: f64 = after("--minutes").map_or(30.0, |minutes| minutes.parse().unwrap());
    let length = if is_test { TEST } else { Duration::from_secs_f64(minutes * 60.0) };
    let run = run(length, if is_test { TTL_SECONDS_TEST } else { TTL_SECONDS });
    println!("{}", run.reckoning);
    if let Some(path) = after("--csv") {
        std::fs::write(&path, samples::csv(&run.samples)).unwrap();
        println!("samples: {path}");
    }
    let findings = flat::growth(&run.samples);
    if let Some(path) = after("--plot") {
        let svg = plot::svg(&run.samples, &run.outages, &run.caption());
        std::fs::write(&path, svg).unwrap();
        println!("plot: {path}");
    }
    // What has just started grows; so short a run says nothing about it, and only a test may be.
    let flat = findings.as_ref().map_or(is_test, |all| all.iter().all(|one| one.is_flat));
    match &findings {
        Some(findings) => findings.iter().for_each(|finding| println!("{finding}")),
        None => println!("too short to tell whether anything grows"),
    }
    let served = run.clients.is_served();
    println!("{}; everybody served: {served}", run.clients);
    if run.reckoning.is_clean() && flat && served { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a soak came to.
struct Run {
    length: Duration,
    samples: Vec<Sample>,
    outages: Vec<(Duration, Duration)>,
    reckoning: Reckoning,
    clients: clients::Count,
}

impl Run {
    fn caption(&self) -> String {
        let Reckoning { promises, posts, lost, doubled_unmarked, .. } = &self.reckoning;
        let minutes = self.length.as_secs_f64() / 60.0;
        format!(
            "{minutes:.0} minutes: {promises} messages promised, {posts} posts, {} lost, {} \
             doubled and unmarked",
            lost.len(),
            doubled_unmarked.len()
        )
    }
}

fn run(length: Duration, ttl_seconds: &str) -> Run {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let world = World::within(
        target,
        &[
            ("GENESYS__TIMEOUT_SECONDS", "5"),
            ("DELIVERY__LATER_PAUSE_MS_MAX", "5000"),
            ("PURGE__TTL_SECONDS", ttl_seconds),
            ("PURGE__PAUSE_MS_MAX", "5000"),
            ("SERVER__BODY_BYTES_PER_SECOND_MIN", "512"),
            ("LOG__FILTER", "error,voicepost::app=info"),
        ],
    );
    let gateway = world.start();
    let began = Instant::now();
    let plan = Plan {
        name: "good".to_owned(),
        senders: SENDERS,
        pause: PAUSE,
        clips: &clients::GOOD,
        ..Plan::default()
    };
    let load = Load::start(gateway.public, plan);
    let clients = Clients::start(gateway.public);
    let wal: PathBuf = world.data.path().join("voicepost.db-wal");
    let mut sampler = Sampler::new(gateway.pid(), wal);
    let mut trouble = Trouble::new(length);
    while began.elapsed() < length {
        trouble.look(&world, began.elapsed());
        sampler.look(&gateway, &world, began.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    trouble.end(&world, began.elapsed());
    let mut book: Book = load.stop();
    let clients = clients.stop(&mut book);
    println!("refused: {:?}, unanswered: {}", book.refused, book.unanswered.len());
    let released = gateway.settled(SETTLE_MAX).into_iter().collect();
    let reckoning = Reckoning::of(&world, &book, &Exempt { released });
    Run { length, samples: sampler.samples, outages: trouble.outages, reckoning, clients }
}
