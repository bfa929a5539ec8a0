//! How much memory do N senders cost who send a 60 s WAV (1.9 MB) each, all at once? And is nothing
//! lost of what was accepted, how long does it take, does whoever was refused get through when they
//! come back, and is everything as before when the crowd has gone?
//!
//! The gateway is the release binary with its defaults, its ledger and spool on the disk under
//! `target/`; the sandbox and the senders are this process. Looked at together: memory (`VmHWM`,
//! and the peak of `VmRSS`), files (bytes in the spool, descriptors), and TCP buffers (`mem` of
//! `/proc/net/sockstat`, which counts both ends of every connection of the machine).
//!
//! `cargo bench --bench crowd -- [--senders N] [--seconds S] [--test] [--set KEY=VALUE]...`. With
//! `--seconds` every sender takes so long for its body; `--set` is a setting of the gateway, as in
//! `--set MEMORY__CLIPS_BYTES_MAX=33554432`. `--test` runs the same with a few senders.
//! Ten times more than there are places for: `--senders 1000 --set SERVER__REQUESTS_MAX=100`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

mod crowd {
    pub mod gateway;
    pub mod peaks;
    pub mod senders;
}

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use voicepost::sandbox::{SandboxServer, SandboxSettings};

use crowd::gateway::Gateway;
use crowd::peaks::{Peaks, Watch};
use crowd::senders::{Crowd, Told};

/// Longest that everything may take from the first byte to the last message sent.
const PATIENCE: Duration = Duration::from_secs(240);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let all_after = |name: &str| -> Vec<String> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == name);
        pairs.map(|pair| pair[1].clone()).collect()
    };
    let number = |name: &str| all_after(name).first().map(|text| text.parse::<u64>().unwrap());
    let tiny = arguments.iter().any(|argument| argument == "--test");
    let senders = number("--senders").unwrap_or(if tiny { 20 } else { 1_000 });
    let senders = usize::try_from(senders).unwrap();
    let sending_for = Duration::from_secs(number("--seconds").unwrap_or(0));
    take_descriptors();
    let settings =
        SandboxSettings { keep_audio: false, keep_hash: false, ..SandboxSettings::default() };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sandbox = SandboxServer::start(settings, listener).unwrap();
    let gateway = Gateway::start(sandbox.base_url(), &all_after("--set"));
    let idle = Peaks::now(&gateway);
    let watch = Watch::start(&gateway);
    let crowd = Rc::new(Crowd::new(gateway.address, senders, sending_for, PATIENCE));
    println!("{senders} senders, {} bytes each, {sending_for:?} for a body", crowd.clip_bytes());
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = tokio::task::LocalSet::new().block_on(&runtime, crowd.send());
    let answered = begun.elapsed();
    while posted(&sandbox).len() < told.len() && begun.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let peaks = watch.stop();
    report(&told, answered, begun.elapsed());
    println!("idle   {idle}");
    println!("peak   {peaks}");
    check(&told, &posted(&sandbox), sandbox.with(|sandbox| sandbox.account().summary()));
    let late = Rc::new(Crowd::new(gateway.address, 1, Duration::ZERO, PATIENCE));
    let late = tokio::task::LocalSet::new().block_on(&runtime, late.send());
    println!("after  {}", Peaks::now(&gateway));
    let [Told { status, took, .. }] = late.as_slice() else { panic!("one sender") };
    assert!(*status == 201, "one who comes afterwards is answered {status}");
    println!("one who comes afterwards is answered {status} after {:.3} s", took.as_secs_f64());
}

/// How often which message was posted, by its transcript.
fn posted(sandbox: &SandboxServer) -> BTreeMap<String, usize> {
    sandbox.with(|sandbox| {
        let mut posted = BTreeMap::new();
        for post in sandbox.account().posts() {
            *posted.entry(post.transcript.clone()).or_default() += 1;
        }
        posted
    })
}

fn report(told: &[Told], answered: Duration, sent: Duration) {
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    for status in told.iter().flat_map(|told| told.refusals.iter().chain([&told.status])) {
        *answers.entry(*status).or_default() += 1;
    }
    let refused = told.iter().filter(|told| !told.refusals.is_empty()).count();
    let (answered, sent) = (answered.as_secs_f64(), sent.as_secs_f64());
    println!("answers by status: {answers:?}; {refused} senders had to come back");
    let mut took: Vec<Duration> = told.iter().map(|told| told.took).collect();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64();
    println!("accepted after p50 {:.3} s, p99 {:.3} s, at most {:.3} s", at(50), at(99), at(100));
    println!("all answered after {answered:.1} s, all posted after {sent:.1} s");
}

/// Everybody got through in the end, and what they were promised was kept, once.
fn check(told: &[Told], posted: &BTreeMap<String, usize>, summary: impl std::fmt::Debug) {
    for told in told {
        let Told { name, status, .. } = told;
        assert!(matches!(status, 201 | 202), "{name} was answered {status} in the end");
        assert_eq!(posted.get(name), Some(&1), "{name} was told {status}; {summary:?}");
    }
    println!("each of {} messages was posted once", told.len());
}

fn take_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
