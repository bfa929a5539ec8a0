//! What outlives a process: the ledger, the spool, the sandbox, the senders, and the time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use voicepost::domain::{Lane, MessageId, Principal, Record, UnixMs};
use voicepost::hosted::Hosted;
use voicepost::ledger::sqlite::SqliteLedger;
use voicepost::ledger::{
    AfterDue, CommitError, Committed, DueCopy, HistoryRow, KeyHolder, Ledger, ReadError, Totals,
    Transition,
};
use voicepost::pipeline::Answer;
use voicepost::sandbox::{Sandbox, SandboxSettings};
use voicepost::spool::memory::MemorySpool;

use crate::limits::Most;
use crate::plan::{Crash, Plan};
use crate::way::{self, WatchedFiles};

/// The clip that every message carries.
pub const CLIP: &[u8] = include_bytes!("../fixtures/audio/hello.ogg");
/// The start of every run: 2026-01-01T00:00:00Z.
pub const START: UnixMs = UnixMs(1_767_225_600_000);

/// Everything that outlives a process.
pub struct World {
    pub plan: Plan,
    pub sandbox: Arc<Mutex<Sandbox>>,
    pub ledger: Arc<SqliteLedger>,
    pub spool: Arc<MemorySpool>,
    /// What lies on the media host; nothing, on a route without one.
    pub files: Arc<WatchedFiles>,
    pub counters: Arc<Counters>,
    pub senders: Arc<Mutex<Senders>>,
    /// When the process that runs now was started, or the last one died, by the time of senders
    /// and sandbox.
    pub now: UnixMs,
    /// What the gateway's wall clock shows beyond that: steps that have happened.
    pub stepped_ms: i64,
}

/// Commits and calls of the whole run, and calls that left through a closed gate.
#[derive(Default)]
pub struct Counters {
    pub commits: AtomicU64,
    pub calls: AtomicU64,
    pub calls_through_closed_gate: AtomicU64,
    /// Calls answered 429 because the client had used up its minute.
    pub calls_beyond_the_minute: AtomicU64,
    pub most_on_the_wire: Most,
    /// Whether the process has settled what the last one left.
    pub started: AtomicBool,
    /// Whether the operator has been here.
    pub operated: AtomicBool,
}

/// What the senders know.
#[derive(Default)]
pub struct Senders {
    /// The last answer to each message, by its number in the plan.
    pub answers: BTreeMap<usize, Answer>,
    /// Every id a message was given, in order.
    pub ids: BTreeMap<usize, Vec<MessageId>>,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let settings = SandboxSettings {
            seed: plan.seed,
            calls_per_minute: plan.calls_per_minute,
            ..SandboxSettings::default()
        };
        let mut sandbox = Sandbox::new(settings, "http://sandbox");
        sandbox.set_faults(plan.faults.clone()).unwrap();
        let fatal = Arc::new(|reason: String| panic!("the ledger failed: {reason}"));
        World {
            plan,
            sandbox: Arc::new(Mutex::new(sandbox)),
            ledger: Arc::new(SqliteLedger::in_memory(fatal).unwrap()),
            spool: Arc::new(MemorySpool::new(64 * 1024 * 1024)),
            files: Arc::new(WatchedFiles::new()),
            counters: Arc::default(),
            senders: Arc::default(),
            now: START,
            stepped_ms: 0,
        }
    }

    /// The media host, as every process opens it.
    pub fn hosted(&self) -> Hosted {
        way::hosted(Arc::clone(&self.files))
    }

    /// Whether the operator of the plan has been here.
    pub fn operated(&self) -> bool {
        self.counters.operated.load(Ordering::Relaxed)
    }

    /// Every record there is, by the order in which senders made them.
    pub fn records(&self) -> Vec<(usize, Record)> {
        let senders = self.senders.lock().unwrap();
        let ids = senders.ids.iter().flat_map(|(number, ids)| ids.iter().map(|id| (*number, *id)));
        ids.filter_map(|(number, id)| {
            let found = self.ledger.find(id).now_or_never();
            Some((number, found.expect("the ledger in memory answers at once").unwrap()?))
        })
        .collect()
    }

    /// The whole history, without ids: what a second run with the same seed must repeat.
    pub fn history(&self) -> Vec<HistoryRow> {
        let rows = self.ledger.history_after(None, 0, 100_000).now_or_never();
        rows.expect("the ledger in memory answers at once").unwrap()
    }
}

/// The ledger of one process: it dies at the commit that the plan names.
pub struct MortalLedger {
    pub inner: Arc<SqliteLedger>,
    pub counters: Arc<Counters>,
    pub crash: Option<Crash>,
    pub died: watch::Sender<bool>,
    pub seed: u64,
    pub full_percent: u64,
    pub full_once: Mutex<Option<&'static str>>,
}

impl MortalLedger {
    /// Whether the disk has no room for this commit. A start that cannot write does not come to be.
    fn is_full(&self, number: u64, transitions: &[Transition]) -> bool {
        let mut once = self.full_once.lock().unwrap();
        let met = |transition: &Transition| {
            let transcript = transition.record.transcript.as_ref();
            transition.event == "post-intended"
                && once.is_some_and(|text| transcript.is_some_and(|t| t.text == text))
        };
        if transitions.iter().any(met) {
            *once = None;
            return true;
        }
        let mut chance = StdRng::seed_from_u64(self.seed.wrapping_mul(1_000_003) ^ number);
        let started = self.counters.started.load(Ordering::Relaxed);
        started && chance.random_range(0..100) < self.full_percent
    }
}

impl Ledger for MortalLedger {
    fn commit(
        &self,
        transitions: Vec<Transition>,
    ) -> BoxFuture<'static, Result<Vec<Committed>, CommitError>> {
        let number = self.counters.commits.fetch_add(1, Ordering::Relaxed) + 1;
        match self.crash {
            Some(Crash::Commit { number: at, durable }) if at == number => {
                if durable {
                    // The dead process never learns of it.
                    drop(self.inner.commit(transitions));
                }
                self.died.send_replace(true);
                std::future::pending().boxed()
            }
            _ if self.is_full(number, &transitions) => {
                std::future::ready(Err(CommitError::StorageFull)).boxed()
            }
            _ => self.inner.commit(transitions),
        }
    }

    fn find(&self, id: MessageId) -> BoxFuture<'static, Result<Option<Record>, ReadError>> {
        self.inner.find(id)
    }

    fn by_key(
        &self,
        principal: Principal,
        key: String,
    ) -> BoxFuture<'static, Result<Option<KeyHolder>, ReadError>> {
        self.inner.by_key(principal, key)
    }

    fn last_conversation(
        &self,
        lane: Lane,
    ) -> BoxFuture<'static, Result<Option<String>, ReadError>> {
        self.inner.last_conversation(lane)
    }

    fn unfinished(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        self.inner.unfinished(after_seq, limit)
    }

    fn held(&self, limit: u32) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        self.inner.held(limit)
    }

    fn due_copies(
        &self,
        after: AfterDue,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DueCopy>, ReadError>> {
        self.inner.due_copies(after, limit)
    }

    fn purges_ahead(
        &self,
        now: UnixMs,
        due_after: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<MessageId>, ReadError>> {
        self.inner.purges_ahead(now, due_after, limit)
    }

    fn history_after(
        &self,
        id: Option<MessageId>,
        after_seq: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<HistoryRow>, ReadError>> {
        self.inner.history_after(id, after_seq, limit)
    }

    fn totals(&self) -> BoxFuture<'static, Result<Totals, ReadError>> {
        self.inner.totals()
    }

    fn sweep(
        &self,
        keys_before: UnixMs,
        records_before: UnixMs,
        limit: u32,
    ) -> BoxFuture<'static, Result<u64, CommitError>> {
        self.inner.sweep(keys_before, records_before, limit)
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

/// The clip as a sender hands it over.
pub fn clip() -> Bytes {
    Bytes::from_static(CLIP)
}
