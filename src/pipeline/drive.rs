//! One loop drives every message: what is next → ask an actor → commit what happened. After a
//! restart the same loop goes on where the rows say; there is no second code path.
//!
//! A drive owns its message: nobody else moves it along. Others may still change the record (a
//! withdrawal, JanitorActor with older copies); the drive meets that as a conflict, reads again and
//! decides anew.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::known;
use super::lanes::Seat;
use super::parking::{PARK_AFTER, Until};
use super::sender::Sender;
use super::{Drain, HeldClip, Pipeline};
use crate::actors::Vigil;
use crate::domain::{
    ClipPlace, Code, Ending, Event, NextStep, Record, Stage, Step, UnixMs, next_step,
};
use crate::ledger::{ChangeError, CommitError, change_by};

/// Pause after a ledger that had no room, before the same change is tried again.
const STORAGE_PAUSE: Duration = Duration::from_secs(5);
/// Pause after an event that did not fit, which is a bug.
const FAULT_PAUSE_MS: i64 = 60_000;
/// Pause of a drive that finds the gateway shutting down while it waits.
const DRAIN_PAUSE: Duration = Duration::from_millis(50);

/// One message on its way.
pub(super) struct Drive {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) record: Record,
    pub(super) seat: Seat,
    /// The clip, as long as it is needed and in memory.
    pub(super) clip: Option<HeldClip>,
    pub(super) sender: Option<Sender>,
    /// A permit for the next call, where it came before its step.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// The sender was told that nothing is promised, because the ledger had no room.
    pub(super) disowned: bool,
    /// It offers to go along with the head of its lane.
    pub(super) offered: bool,
    /// Posts by itself, because a call for several messages was refused.
    pub(super) apart: bool,
    /// The pause until this time is over, whatever the wall clock says: it was waited for.
    /// Forgotten with the next commit, which may begin another one.
    waited_until: UnixMs,
    nudge: Arc<Notify>,
    place: OwnedSemaphorePermit,
    _vigil: Vigil,
}

/// Why a drive stops before its message has ended.
pub(super) enum Stop {
    /// The gateway shuts down; a message that is durable goes on after the next start.
    Draining,
    /// The time of the drain is over, and a call is still on the wire.
    PutDown,
    /// Nothing is to be done for a while: the message goes to sleep.
    Parked(Until),
    /// The ledger is closed; the process is about to end.
    Ledger(ChangeError),
}

/// Drives a message to its end, or to the shutdown.
pub(super) async fn run(mut drive: Drive) {
    let id = drive.record.id;
    let lane = drive.seat.lane().clone();
    let pipeline = Arc::clone(&drive.pipeline);
    let nudge = drive.nudge();
    let stopped = match drive.steps().await {
        Err(Stop::PutDown) => drive.put_down().await,
        stopped => stopped,
    };
    match stopped {
        Err(Stop::Parked(until)) => {
            // Asleep first, then off the board: whoever changes the record in between finds one.
            drive.park(until);
            pipeline.board.remove(id, &nudge);
            if was_nudged(&nudge) {
                pipeline.parked.wake(id);
            }
            return;
        }
        Ok(()) => drive.finish().await,
        Err(Stop::Draining | Stop::PutDown) => {
            tracing::info!(message.id = %id, "message left for the next start");
        }
        Err(Stop::Ledger(error)) => tracing::error!(message.id = %id, %error, "drive stopped"),
    }
    pipeline.board.remove(id, &nudge);
    let Drive { record, seat, place, _vigil, .. } = drive;
    drop(seat);
    pipeline.parked.lane_moved(&lane);
    let record = if was_nudged(&nudge) { pipeline.look_again(record).await } else { record };
    pipeline.let_clip_go(record).await;
    drop(place);
}

/// Whether somebody changed the record after its drive had looked at it for the last time.
fn was_nudged(nudge: &Notify) -> bool {
    nudge.notified().now_or_never().is_some()
}

impl Drive {
    pub(super) fn new(
        pipeline: Arc<Pipeline>,
        record: Record,
        seat: Seat,
        clip: Option<HeldClip>,
        sender: Option<Sender>,
        place: OwnedSemaphorePermit,
    ) -> Drive {
        let nudge = pipeline.board.put(&record);
        let vigil = Vigil::new("a drive", Arc::clone(&pipeline.parts.fatal));
        Drive {
            pipeline,
            record,
            seat,
            clip,
            sender,
            permit: None,
            disowned: false,
            offered: false,
            apart: false,
            waited_until: UnixMs(0),
            nudge,
            place,
            _vigil: vigil,
        }
    }

    /// The pause until this time has been waited for.
    pub(super) fn after(self, waited_until: UnixMs) -> Drive {
        Drive { waited_until, ..self }
    }

    async fn steps(&mut self) -> Result<(), Stop> {
        if self.sender.as_ref().is_some_and(|sender| sender.respond_async) {
            self.promise().await?;
        }
        loop {
            let drain = self.pipeline.parts.admission.drain().clone();
            if drain.is_draining() {
                if !drain.is_over() {
                    self.promise().await?;
                }
                let leaves = self.record.is_durable() || drain.is_over();
                if leaves && self.record.stage.is_open() {
                    self.drop_intent().await?;
                    return Err(Stop::Draining);
                }
            }
            if self.disowned && self.record.stage.is_open() && !self.record.post_in_doubt {
                self.disown().await?;
                continue;
            }
            let now = self.now();
            let outdated = self.pipeline.parts.planner.upload_outdated(&self.record, now);
            match next_step(&self.record, outdated, now.max(self.waited_until)) {
                NextStep::Upload => self.upload().await?,
                NextStep::UploadAgain => {
                    let due_at = self.due_outdated_at();
                    self.commit(Event::UploadOutdated { due_at }).await?;
                }
                NextStep::Post => self.post().await?,
                NextStep::Settle => self.settle().await?,
                NextStep::WaitUntil(at) => self.wait_until(at).await?,
                NextStep::Cancel if self.record.possible_duplicate => {
                    let detail = "withdrawn, and an earlier post of it may stand".to_owned();
                    self.fail(Code::GenesysAnswerLost, detail).await?;
                }
                NextStep::Cancel => {
                    let due_at = self.due_early_at();
                    self.commit(Event::Cancelled { due_at }).await?;
                }
                NextStep::Expire => {
                    let seconds = self.pipeline.parts.rules.expires_after_seconds;
                    let detail = format!("not delivered within {seconds} s of its acceptance");
                    self.fail(Code::Expired, detail).await?;
                }
                NextStep::Nothing => return Ok(()),
            }
        }
    }

    /// Takes back an intent whose call has not left. Between two steps no call of this drive is
    /// under way; left standing, the intent would pass for a lost call at the next start.
    pub(super) async fn drop_intent(&mut self) -> Result<(), Stop> {
        if self.record.intent.is_none() {
            return Ok(());
        }
        self.commit(Event::IntentDropped).await
    }

    /// Ends the message for good.
    pub(super) async fn fail(&mut self, code: Code, detail: String) -> Result<(), Stop> {
        let due_at = self.due_early_at();
        self.commit(Event::Failed { ending: Ending { code, detail }, due_at }).await
    }

    /// Commits one event. An event that no longer fits, because somebody else changed the record
    /// in between, is dropped: the loop then decides by the newer record.
    pub(super) async fn commit(&mut self, event: Event) -> Result<(), Stop> {
        self.commit_by(|_, _| event.clone()).await.map(drop)
    }

    /// Commits the intent of a call; `false`: it was dropped, and no call may leave for it.
    pub(super) async fn commit_intent(&mut self, step: Step, repeat: bool) -> Result<bool, Stop> {
        let intent = self.pipeline.parts.planner.intend(&self.record, step, self.now());
        self.commit_by(|_, _| Event::Intended { intent: intent.clone(), repeat }).await
    }

    /// Commits an event that depends on what others have made of the record meanwhile, and on when
    /// it is committed; `false`: it was dropped.
    pub(super) async fn commit_by(
        &mut self,
        event: impl Fn(&Record, UnixMs) -> Event,
    ) -> Result<bool, Stop> {
        loop {
            let version = self.record.version;
            let (now, asked) = (self.now(), Instant::now());
            let ledger = &*self.pipeline.parts.ledger;
            let keeping = self.pipeline.parts.rules.keeping;
            // A sender who waits, or was told that nothing is promised, can send the clip again.
            let told_later = self.sender.is_none() && !self.disowned;
            let decide = |record: &Record| {
                let event = event(record, now);
                let kept = keeping.clip_of_failed(record, &event, now).filter(|_| told_later);
                // Of what is not durable nobody has a 2xx.
                let promised = told_later && record.stage.is_open() && record.is_durable();
                let promise = (promised && event.fails()).then_some(Event::PromiseFails);
                kept.into_iter().chain(promise).chain([event]).collect()
            };
            match change_by(ledger, &mut self.record, &decide, now).await {
                Ok(events) => {
                    self.waited_until = UnixMs(0);
                    self.pipeline.parts.metrics.committed(asked.elapsed());
                    events.iter().for_each(|event| self.committed(event));
                    return Ok(true);
                }
                Err(ChangeError::Illegal(_)) if self.record.version != version => {
                    self.pipeline.board.show(&self.record);
                    return Ok(false);
                }
                Err(ChangeError::Commit(CommitError::StorageFull)) => {
                    tracing::error!(message.id = %self.record.id, "the ledger's disk is full");
                    self.let_sender_go_unpromised();
                    // Durable, it would be delivered after a crash, for a sender who was told no.
                    if self.disowned && event(&self.record, now) == Event::ClipSpooled {
                        return Ok(false);
                    }
                    tokio::time::sleep(STORAGE_PAUSE).await;
                }
                // A bug: but no reason to leave the message where it is until the next start.
                Err(ChangeError::Illegal(error)) if self.may_sleep() => {
                    tracing::error!(message.id = %self.record.id, %error, "event refused");
                    return Err(Stop::Parked(Until::Time(now.plus_ms(FAULT_PAUSE_MS))));
                }
                Err(error) => return Err(Stop::Ledger(error)),
            }
        }
    }

    fn committed(&mut self, event: &Event) {
        self.pipeline.changed(&self.record, event);
        if !self.record.stage.is_open() {
            self.clip = None;
            self.answer();
        }
    }

    /// Tells the sender, if one still waits, what has become of the message.
    pub(super) fn answer(&mut self) {
        let now = self.now();
        if let Some(sender) = self.sender.take() {
            // A sender that hung up changes nothing: the message goes on.
            let _ = sender.answer.send(known::answer_of(&self.record, now));
        }
    }

    async fn wait_until(&mut self, at: UnixMs) -> Result<(), Stop> {
        let pause = Duration::from_millis(at.ms_since(self.now()).max(1));
        let next_attempt = Instant::now() + pause;
        let used_up = self.record.attempts >= self.pipeline.parts.rules.attempts;
        if self.sender.as_ref().is_some_and(|sender| used_up || next_attempt > sender.until) {
            // The tries of the wait are used up, or the next one lies after it.
            self.promise().await?;
        }
        if self.disowned {
            return Ok(());
        }
        if pause > PARK_AFTER && self.may_sleep() {
            return Err(Stop::Parked(Until::Time(at)));
        }
        let nudge = Arc::clone(&self.nudge);
        let drain = self.pipeline.parts.admission.drain().clone();
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(next_attempt) => {
                self.waited_until = at;
                Ok(())
            }
            () = draining(&drain) => Ok(()),
            () = nudge.notified() => self.refresh().await,
        }
    }

    /// Whether nothing but the ledger is needed to go on later.
    pub(super) fn may_sleep(&self) -> bool {
        let draining = self.pipeline.parts.admission.drain().is_draining();
        let kept = self.record.clip == ClipPlace::Spooled && !self.disowned;
        self.sender.is_none() && kept && !draining
    }

    /// Leaves its place to others. A turn that came in the meantime wakes it at once.
    fn park(self, until: Until) {
        let (pipeline, id, seat) = (self.pipeline.clone(), self.record.id, self.seat.clone());
        let now = self.now();
        let uploads = self.record.stage == Stage::Accepted;
        drop(self);
        pipeline.parked.put(id, Some(seat.clone()), until, now);
        let turn_came = if uploads { seat.is_near_head() } else { seat.is_head() };
        if until == Until::Turn && turn_came {
            pipeline.parked.wake(id);
        }
    }

    /// Reads the record again, after somebody else changed it.
    pub(super) async fn refresh(&mut self) -> Result<(), Stop> {
        match self.pipeline.parts.ledger.find(self.record.id).await {
            Ok(Some(record)) => {
                self.record = record;
                self.pipeline.board.show(&self.record);
                Ok(())
            }
            Ok(None) => Err(Stop::Ledger(ChangeError::Gone(self.record.id))),
            Err(error) => Err(Stop::Ledger(error.into())),
        }
    }

    /// The message has ended, or is held: the sender is told, and no intent stays without its call.
    async fn finish(&mut self) {
        self.answer();
        if let Err(Stop::Ledger(error)) = self.drop_intent().await {
            tracing::error!(message.id = %self.record.id, %error, "intent not taken back");
        }
    }

    /// What others wake this drive by.
    pub(super) fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    pub(super) fn now(&self) -> UnixMs {
        self.pipeline.parts.clock.now()
    }

    pub(super) fn due_early_at(&self) -> UnixMs {
        self.pipeline.parts.rules.keeping.due_early_at(&self.record, self.now())
    }
}

/// Resolves when the gateway shuts down, but not at once: the loop then looks at the shutdown, and
/// where it cannot stop it must not spin.
pub(super) async fn draining(drain: &Drain) {
    drain.begun().await;
    tokio::time::sleep(DRAIN_PAUSE).await;
}
