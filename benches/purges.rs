//! What do a million owed purges cost? The real JanitorActor over a real ledger, first with a
//! Genesys that never answers, then with one that answers at once. `--test` runs the same on a
//! small scale.
//!
//! The ledger is filled by a process of its own, so that its memory does not count here.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/it/samples.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod samples;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor;
use actix_rt::{Arbiter, System};
use bytes::Bytes;
use futures_util::future::{self, FutureExt, LocalBoxFuture};
use voicepost::actors::{
    Handle, JanitorActor, JanitorObserved, JanitorSeed, ObserveJanitor, OwePurge, PurgeRules, Vigil,
};
use voicepost::clock::Clock;
use voicepost::domain::{
    Backoff, Copy, Event, Failure, Found, NewCopy, Outcome, Posted, PurgeOutcome, Record,
    ReplyReceipt, Step, UnixMs,
};
use voicepost::genesys::Route;
use voicepost::ledger::sqlite::{SqliteLedger, SqliteOptions};
use voicepost::ledger::{DueCopy, Ledger, Transition};
use voicepost::telemetry::Metrics;

use samples::{START, id, intent, new_copy, plain};

/// Calls at once, as `purge.calls_max` has it.
const CALLS_MAX: usize = 8;
/// Hints in one message, as many as a busy second of posts brings.
const HINTS: u64 = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let tiny = arguments.iter().any(|argument| argument == "--test");
    let purges = if tiny { 2_000 } else { 1_000_000 };
    if let Some(place) = arguments.iter().position(|argument| argument == "fill") {
        System::new().block_on(fill(Path::new(&arguments[place + 1]), purges));
        return;
    }
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let directory = tempfile::Builder::new().prefix("purges-bench-").tempdir_in(target).unwrap();
    let mut filler = std::process::Command::new(std::env::current_exe().unwrap());
    filler.arg("fill").arg(directory.path()).args(tiny.then_some("--test"));
    assert!(filler.status().unwrap().success());
    println!("{purges} owed purges, all due             measured       to reach");
    System::new().block_on(async {
        never(directory.path(), if tiny { 2 } else { 200 }).await;
        let seconds = if tiny { 1 } else { 10 };
        at_once(directory.path(), purges, Duration::from_secs(seconds)).await;
    });
}

fn row(what: &str, measured: String, reach: &str) {
    println!("  {what:<38} {measured:>14}   {reach}");
}

fn open(directory: &Path) -> Arc<SqliteLedger> {
    let fatal = Arc::new(|reason| panic!("{reason}"));
    let path = directory.join("ledger.sqlite");
    Arc::new(SqliteLedger::open(&path, SqliteOptions::default(), fatal).unwrap())
}

/// Messages posted and not purged, as after a long outage of Genesys.
async fn fill(directory: &Path, count: u64) {
    let ledger = open(directory);
    for first in (0..count).step_by(1000) {
        let batch = (first..(first + 1000).min(count)).map(|number| Transition {
            record: sent(number),
            expected_version: None,
            key: None,
            event: "accepted",
            detail: None,
            at: START,
        });
        ledger.commit(batch.collect()).await.unwrap();
    }
    ledger.close();
}

fn sent(number: u64) -> Record {
    let mut record = plain(number);
    let due_at = START.plus_ms(i64::try_from(number).unwrap());
    let upload = Event::Uploaded { copies: vec![new_copy()], post: Some(intent(Step::Post)) };
    let post = Event::Posted {
        posted: Posted { message_id: Some(format!("m-{number}")), ..Posted::default() },
        due_at,
        retention: false,
    };
    record.apply(&upload, START).unwrap();
    record.apply(&post, START).unwrap();
    record
}

/// A Genesys that deletes at once, or never answers.
struct Stub {
    answers: bool,
}

impl Route for Stub {
    fn upload(&self, _: Arc<Record>, _: Bytes) -> LocalBoxFuture<'_, Outcome<Vec<NewCopy>>> {
        future::pending().boxed_local()
    }

    fn post(&self, _: Vec<Arc<Record>>) -> LocalBoxFuture<'_, Outcome<Vec<Posted>>> {
        future::pending().boxed_local()
    }

    fn look_up(&self, _: Arc<Record>, _: Option<String>) -> LocalBoxFuture<'_, Found> {
        future::pending().boxed_local()
    }

    fn retain(&self, _: Copy, _: u64) -> LocalBoxFuture<'_, Result<(), Failure>> {
        future::pending().boxed_local()
    }

    fn purge(&self, _: Copy) -> LocalBoxFuture<'_, PurgeOutcome> {
        if self.answers {
            future::ready(PurgeOutcome::Gone).boxed_local()
        } else {
            future::pending().boxed_local()
        }
    }

    fn tell_receipt(&self, _: ReplyReceipt) -> LocalBoxFuture<'_, Result<(), Failure>> {
        future::pending().boxed_local()
    }
}

/// JanitorActor on a thread of its own.
struct Janitor {
    handle: Handle<JanitorActor>,
    arbiter: Arbiter,
    /// Where the kernel counts that thread's CPU time.
    schedstat: PathBuf,
}

impl Janitor {
    async fn start(ledger: &Arc<SqliteLedger>, answers: bool) -> Janitor {
        let arbiter = Arbiter::new();
        let ledger: Arc<dyn Ledger> = ledger.clone();
        let (started, start) = tokio::sync::oneshot::channel();
        arbiter.spawn_fn(move || {
            let backoff = Backoff { pause_ms_min: 2_000, pause_ms_max: 60_000 };
            let rules = PurgeRules {
                backoff,
                ttl_seconds: 900,
                delay_seconds_min: 30,
                calls_max: CALLS_MAX,
            };
            let fatal = Arc::new(|reason| panic!("{reason}"));
            let actor = JanitorActor::new(JanitorSeed {
                route: Rc::new(Stub { answers }),
                ledger,
                clock: Clock::system(),
                rules,
                metrics: Metrics::new(),
                late_since: tokio::sync::watch::channel(None).0,
                vigil: Vigil::new("JanitorActor", fatal),
            });
            let thread = Path::new("/proc").join(std::fs::read_link("/proc/thread-self").unwrap());
            let handle = Handle::new(actor.start(), 1);
            drop(started.send((handle, thread.join("schedstat"))));
        });
        let (handle, schedstat) = start.await.unwrap();
        Janitor { handle, arbiter, schedstat }
    }

    async fn observe(&self) -> JanitorObserved {
        self.handle.send(ObserveJanitor).await.unwrap()
    }

    /// CPU time of its thread.
    fn cpu(&self) -> Duration {
        on_cpu(&self.schedstat)
    }

    /// Waits until it has read what is due first and calls as much as it may.
    async fn until_busy(&self) -> JanitorObserved {
        loop {
            let observed = self.observe().await;
            if observed.in_flight == CALLS_MAX || observed.purged > 0 {
                return observed;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// CPU time of a thread (Linux, `proc_pid_schedstat(5)`: the first number).
fn on_cpu(schedstat: &Path) -> Duration {
    let text = std::fs::read_to_string(schedstat).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0))
}

/// CPU time of all threads that live now.
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.map(|thread| on_cpu(&thread.unwrap().path().join("schedstat"))).sum()
}

/// Resident memory in KiB (Linux, `proc_pid_status(5)`).
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

/// Nothing is answered: what is owed stays owed, and everything else must stay small.
async fn never(directory: &Path, rounds: u64) {
    let resident = resident_kib();
    let growth = || format!("{:.1} MB", (resident_kib() - resident) as f64 / 1024.0);
    let begun = Instant::now();
    let ledger = open(directory);
    let janitor = Janitor::start(&ledger, false).await;
    let observed = janitor.until_busy().await;
    row("ready: opened, read, calling", ms(begun.elapsed()), "<= 5 s");
    row("CPU of its thread until then", ms(janitor.cpu()), "<= 10 ms a turn");
    row("timers held", observed.timers.to_string(), "<= 100,000");
    row("resident memory, growth", growth(), "<= 100 MB");

    // Hints beyond what memory holds, as many as would not fit: each message is one turn.
    let now = Clock::system().now();
    let mut dearest = Duration::ZERO;
    let before = janitor.cpu();
    for round in 0..rounds {
        let spent = janitor.cpu();
        janitor.handle.tell(OwePurge(hints(round, UnixMs(START.0 - 1), now)));
        janitor.observe().await;
        dearest = dearest.max(janitor.cpu() - spent);
    }
    let mean = (janitor.cpu() - before) / u32::try_from(rounds).unwrap();
    row("a turn with 1,000 hints, mean", ms(mean), "<= 10 ms");
    row("the same, dearest", ms(dearest), "<= 10 ms");
    let observed = janitor.observe().await;
    assert!(observed.timers <= 100_000, "{} timers", observed.timers);
    row("timers held after them", observed.timers.to_string(), "<= 100,000");
    row("resident memory, growth", growth(), "<= 100 MB");
    janitor.arbiter.stop();
    ledger.close();
}

/// Hints of copies that are due before anything in the ledger, and so belong into memory.
fn hints(round: u64, before: UnixMs, now: UnixMs) -> Vec<DueCopy> {
    assert!(before < now);
    let numbers = (round * HINTS..(round + 1) * HINTS).rev();
    let at = |number: u64| before.plus_ms(-i64::try_from(number).unwrap());
    numbers.map(|number| DueCopy { at: at(number), id: id(number), ordinal: 7 }).collect()
}

/// Everything is answered at once: the ledger alone sets the pace.
async fn at_once(directory: &Path, purges: u64, time: Duration) {
    let ledger = open(directory);
    let begun = Instant::now();
    let janitor = Janitor::start(&ledger, true).await;
    let before = cpu();
    let mut observed = janitor.until_busy().await;
    while begun.elapsed() < time && observed.purged < purges {
        tokio::time::sleep(Duration::from_millis(50)).await;
        observed = janitor.observe().await;
    }
    let (own, all, wall) = (janitor.cpu(), cpu() - before, begun.elapsed());
    assert!(observed.purged > 0, "nothing was purged");
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / observed.purged as f64;
    let rate = observed.purged as f64 / wall.as_secs_f64();
    row("answered at once: purges a second", format!("{rate:.0}"), "");
    row("CPU of its thread a purge", format!("{:.0} µs", each(own)), "<= 10 ms a turn");
    row("CPU of all threads a purge", format!("{:.0} µs", each(all)), "");
    janitor.arbiter.stop();
    ledger.close();
}
