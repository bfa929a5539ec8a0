//! JanitorActor owns every purge still owed: in-memory timers over the ledger's rows.
//!
//! Promises: a purge is done only when it is proven; it survives restarts, because the ledger
//! holds what is owed and memory only the next part of it; a million owed purges cost megabytes
//! and no timer each. It never deletes before a copy is due. When it dies, the process ends.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::guard::Vigil;
use super::handle::Handle;
use super::purge_timers::{PurgeTimers, REFILL};
use super::purge_work::{PurgeRules, PurgeWork, Settled};
use crate::clock::Clock;
use crate::domain::{Backlog, ClockStep, Steadiness, UnixMs};
use crate::genesys::Route;
use crate::ledger::{DueCopy, Ledger};
use crate::telemetry::Metrics;

// 1 limits

/// The timer is set no further ahead than this, so that a stepped clock is noticed.
const TIMER_MS_MAX: i64 = 30_000;
/// The longest pause after a call that met a closed gate. Copies that need no call, our own hosted
/// files, are due behind it all the same; those that do need one are only sent back once more.
const CLOSED_PAUSE_MS_MAX: u64 = 5_000;
/// Pause after a ledger that could not be read.
const REFILL_PAUSE: Duration = Duration::from_secs(1);

// 2 state

/// What JanitorActor works with.
pub struct JanitorSeed {
    /// Deletes copies.
    pub route: Rc<dyn Route>,
    /// Knows what is owed.
    pub ledger: Arc<dyn Ledger>,
    /// Time and chance.
    pub clock: Clock,
    /// Pauses and limits.
    pub rules: PurgeRules,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Shows since when the oldest purge is late.
    pub late_since: watch::Sender<Option<UnixMs>>,
    /// Watches over this actor.
    pub vigil: Vigil,
}

/// Owner of the purges; see the module's head.
pub struct JanitorActor {
    work: Rc<PurgeWork>,
    ledger: Arc<dyn Ledger>,
    clock: Clock,
    calls_max: usize,
    metrics: Arc<Metrics>,
    timers: PurgeTimers,
    in_flight: HashSet<DueCopy>,
    refilling: bool,
    /// What is being read follows timers that are given up.
    page_is_old: bool,
    timer: Option<SpawnHandle>,
    backlog: Backlog,
    late_since: watch::Sender<Option<UnixMs>>,
    origin: Instant,
    clocks: Steadiness,
    /// Nothing is started before this: the gate is closed for deletes, or the wall clock was
    /// stepped and only the steady clock can tell that the floor after a post has passed.
    paused_until: Option<Instant>,
    observed: JanitorObserved,
    _vigil: Vigil,
}

// 3 observed

/// JanitorActor as an operator sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JanitorObserved {
    /// Due copies in memory.
    pub timers: usize,
    /// Whether memory holds every copy the ledger owes.
    pub all_in_memory: bool,
    /// Calls under way.
    pub in_flight: usize,
    /// When the next copy is looked at.
    pub next_at: Option<UnixMs>,
    /// Since when the oldest purge is late that nothing due after it has overtaken.
    pub late_since: Option<UnixMs>,
    /// Copies proven gone since the start.
    pub purged: u64,
    /// Retention calls answered for good since the start.
    pub retentions: u64,
    /// Calls that will be repeated, since the start.
    pub deferred: u64,
    /// Copies that cannot be deleted, since the start.
    pub not_possible: u64,
}

// 4 messages

/// Tells that these copies are owed a retention call or a purge. A hint: the ledger knows them.
pub struct OwePurge(pub Vec<DueCopy>);

/// Asks for the observable state.
pub struct ObserveJanitor;

struct Tick;
struct WorkDone(DueCopy, Settled);
struct Refilled(Option<Vec<DueCopy>>);

impl Message for OwePurge {
    type Result = ();
}
impl Message for ObserveJanitor {
    type Result = JanitorObserved;
}
impl Message for Tick {
    type Result = ();
}
impl Message for WorkDone {
    type Result = ();
}
impl Message for Refilled {
    type Result = ();
}

// 5 life-cycle

impl JanitorActor {
    /// An actor that works off what the ledger owes.
    pub fn new(seed: JanitorSeed) -> JanitorActor {
        let work = PurgeWork {
            route: seed.route,
            ledger: Arc::clone(&seed.ledger),
            clock: seed.clock.clone(),
            rules: seed.rules,
            metrics: Arc::clone(&seed.metrics),
        };
        let clocks = Steadiness::new(seed.clock.now());
        JanitorActor {
            work: Rc::new(work),
            ledger: seed.ledger,
            clock: seed.clock,
            calls_max: seed.rules.calls_max,
            metrics: seed.metrics,
            timers: PurgeTimers::new(),
            in_flight: HashSet::new(),
            refilling: false,
            page_is_old: false,
            timer: None,
            backlog: Backlog::default(),
            late_since: seed.late_since,
            origin: Instant::now(),
            clocks,
            paused_until: None,
            observed: JanitorObserved::default(),
            _vigil: seed.vigil,
        }
    }
}

impl Actor for JanitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.refill(ctx);
    }
}

// 6 handlers

impl Handler<OwePurge> for JanitorActor {
    type Result = ();

    fn handle(&mut self, OwePurge(due): OwePurge, ctx: &mut Self::Context) {
        for copy in due {
            self.timers.insert(copy, self.refilling);
        }
        self.turn(ctx);
    }
}

impl Handler<Tick> for JanitorActor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.timer = None;
        self.turn(ctx);
    }
}

impl Handler<WorkDone> for JanitorActor {
    type Result = ();

    fn handle(&mut self, WorkDone(due, settled): WorkDone, ctx: &mut Self::Context) {
        self.in_flight.remove(&due);
        self.count(due, settled);
        if let Some(at) = settled.next_at() {
            let due = DueCopy { at, ..due };
            match settled {
                Settled::Wait { .. } | Settled::Closed { .. } => self.timers.insert_unwritten(due),
                _ => self.timers.insert(due, self.refilling),
            }
        }
        self.turn(ctx);
    }
}

impl Handler<Refilled> for JanitorActor {
    type Result = ();

    fn handle(&mut self, Refilled(page): Refilled, ctx: &mut Self::Context) {
        self.refilling = false;
        let Some(page) = page else {
            ctx.notify_later(Tick, REFILL_PAUSE);
            return;
        };
        if !std::mem::take(&mut self.page_is_old) {
            self.timers.refilled(page);
        }
        self.turn(ctx);
    }
}

impl Handler<ObserveJanitor> for JanitorActor {
    type Result = MessageResult<ObserveJanitor>;

    fn handle(&mut self, _: ObserveJanitor, _: &mut Self::Context) -> Self::Result {
        MessageResult(JanitorObserved {
            timers: self.timers.len(),
            all_in_memory: self.timers.are_all(),
            in_flight: self.in_flight.len(),
            next_at: self.timers.first_at(),
            late_since: *self.late_since.borrow(),
            ..self.observed.clone()
        })
    }
}

// 7 private

impl JanitorActor {
    fn count(&mut self, due: DueCopy, settled: Settled) {
        let (id, ordinal) = (due.id, due.ordinal);
        match settled {
            Settled::Purged { due_at } => {
                self.observed.purged += 1;
                // A time that a clock named that was ahead would let nothing count as late.
                self.backlog.purged(id, ordinal, due_at.min(self.clock.now()));
            }
            Settled::Retained { .. } => self.observed.retentions += 1,
            Settled::Deferred { .. } => self.observed.deferred += 1,
            Settled::Closed { due_at, opens_at } => {
                self.backlog.not_yet(id, ordinal, due_at);
                self.pause(opens_at.ms_since(self.clock.now()).min(CLOSED_PAUSE_MS_MAX));
            }
            Settled::NotYet { due_at, .. } => {
                self.observed.deferred += 1;
                self.backlog.not_yet(id, ordinal, due_at);
            }
            Settled::NotPossible => {
                self.observed.not_possible += 1;
                self.backlog.settled(id, ordinal);
            }
            Settled::Nothing => self.backlog.settled(id, ordinal),
            Settled::Wait { .. } => {}
        }
    }

    /// After a step forward of the wall clock everything looks due: the floor after a post is then
    /// waited for anew, by the steady clock. After a step back timers that stand only here may lie
    /// as far ahead: what the ledger says is read anew.
    fn watch_the_clock(&mut self, now: UnixMs) {
        match self.clocks.look(now, self.origin.elapsed()) {
            ClockStep::None => {}
            ClockStep::Forward => {
                let seconds = self.work.rules.delay_seconds_min;
                tracing::warn!(pause.seconds = seconds, "the wall clock was stepped forward");
                self.pause(seconds.saturating_mul(1_000));
            }
            ClockStep::Back => {
                tracing::warn!("the wall clock was stepped back");
                self.timers = PurgeTimers::new();
                self.backlog = Backlog::default();
                self.page_is_old = self.refilling;
            }
        }
    }

    fn pause(&mut self, pause_ms: u64) {
        let until = Instant::now() + Duration::from_millis(pause_ms);
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// How long nothing may be started.
    fn paused_for(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        (left > Duration::ZERO).then_some(left)
    }

    /// Shows since when purges are late.
    fn show_backlog(&self, now: UnixMs) {
        let late_since = self.backlog.late_since(self.timers.first_at(), now);
        self.late_since
            .send_if_modified(|shown| std::mem::replace(shown, late_since) != late_since);
    }

    /// Starts what is due within the permits, reads on when memory runs out, sets the one timer.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        self.watch_the_clock(now);
        while self.in_flight.len() < self.calls_max && self.paused_for().is_none() {
            let Some(due) = self.timers.take_due(now) else { break };
            let same = |other: &DueCopy| other.id == due.id && other.ordinal == due.ordinal;
            // A second hint for a copy in work: its outcome says when to look again.
            if !self.in_flight.iter().any(same) {
                self.start(due, ctx);
            }
        }
        if self.timers.want_more() {
            self.refill(ctx);
        }
        let timers = i64::try_from(self.timers.len()).unwrap_or(i64::MAX);
        self.metrics.purges_in_heap.set(timers);
        self.show_backlog(now);
        self.arm(now, ctx);
    }

    fn start(&mut self, due: DueCopy, ctx: &mut Context<Self>) {
        self.in_flight.insert(due);
        let work = Rc::clone(&self.work);
        let handle = Handle::new(ctx.address(), 1);
        actix::spawn(async move {
            let settled = work.carry_out(due).await;
            handle.tell(WorkDone(due, settled));
        });
    }

    fn refill(&mut self, ctx: &mut Context<Self>) {
        if self.refilling {
            return;
        }
        self.refilling = true;
        let page = self.ledger.due_copies(self.timers.after(), REFILL);
        let handle = Handle::new(ctx.address(), 1);
        actix::spawn(async move {
            let page = page.await;
            if let Err(error) = &page {
                tracing::error!(%error, "owed purges cannot be read");
            }
            handle.tell(Refilled(page.ok()));
        });
    }

    fn arm(&mut self, now: UnixMs, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if self.in_flight.len() >= self.calls_max {
            return;
        }
        let Some(next_at) = self.timers.first_at() else { return };
        let pause_ms = (next_at.0 - now.0).clamp(1, TIMER_MS_MAX);
        let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(1));
        let pause = self.paused_for().map_or(pause, |paused| paused.max(pause));
        self.timer = Some(ctx.notify_later(Tick, pause));
    }
}
