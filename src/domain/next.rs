//! What happens next to a message, and when its audio must go. The same rules answer in the first
//! second and after a restart: there is no second code path.

use super::{
    ClipPlace, Code, Copy, CopyState, Ending, Event, NewCopy, Record, RouteName, Stage, Step,
    UnixMs,
};

/// What a drive does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Upload the clip.
    Upload,
    /// The upload is too old to be referenced: forget it and upload again.
    UploadAgain,
    /// Post the message.
    Post,
    /// Find out whether the post in doubt has happened.
    Settle,
    /// Nothing before this time.
    WaitUntil(UnixMs),
    /// Withdrawn while a post was on the wire that did not happen.
    Cancel,
    /// Its time is over.
    Expire,
    /// Nothing: the message has ended, or waits for an operator.
    Nothing,
}

/// Decides the next step of a message. `upload_outdated` is the route's word on the age of the
/// upload.
pub fn next_step(record: &Record, upload_outdated: bool, now: UnixMs) -> NextStep {
    if !record.stage.is_open() {
        return NextStep::Nothing;
    }
    if record.withdrawn && !record.post_in_doubt {
        return NextStep::Cancel;
    }
    if now >= record.expires_at {
        return NextStep::Expire;
    }
    // A withdrawn message waits for nothing: its doubt is settled now.
    let waits = |at: &UnixMs| now < *at && !record.withdrawn;
    if let Some(at) = record.next_attempt_at.filter(waits) {
        return NextStep::WaitUntil(at.min(record.expires_at));
    }
    match record.stage {
        Stage::Accepted => NextStep::Upload,
        _ if record.post_in_doubt => NextStep::Settle,
        _ if upload_outdated && record.intent.is_none() && record.clip != ClipPlace::Gone => {
            NextStep::UploadAgain
        }
        _ => NextStep::Post,
    }
}

/// How long copies are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Time to live after the post.
    pub ttl_seconds: u64,
    /// Never sooner after the post than this (invariant 4).
    pub delay_seconds_min: u64,
    /// How long the spooled clip of a failed message is kept, so that it can be replayed.
    pub failed_seconds: u64,
}

impl Keeping {
    /// When the copies of a message posted at `posted_at` must go.
    pub fn due_at(&self, posted_at: UnixMs, withdrawn: bool) -> UnixMs {
        let ttl_seconds = if withdrawn { 0 } else { self.ttl_seconds };
        posted_at.plus_seconds(ttl_seconds.max(self.delay_seconds_min))
    }

    /// When the copies of a message must go that ends unposted at `now`, or whose sender wants
    /// them gone: at once, but not within the floor after a post that happened or may have.
    pub fn due_early_at(&self, record: &Record, now: UnixMs) -> UnixMs {
        let floor = |at: UnixMs| at.plus_seconds(self.delay_seconds_min);
        match record.posted_at {
            Some(posted_at) => floor(posted_at.min(now)).max(now),
            None if record.may_stand() => floor(now),
            None => now,
        }
    }

    /// When the copies of an upload must go that is too old to be posted: at once, but for their
    /// whole time where a post that references them may stand.
    pub fn due_outdated_at(&self, record: &Record, now: UnixMs) -> UnixMs {
        if record.may_stand() { self.due_at(now, record.withdrawn) } else { now }
    }

    /// What sets right the purges of a message that only a clock that was ahead can have dated;
    /// `None` where there are none. Copies are due as if it had been posted now; at once, or when
    /// the floor is over, where nobody was to have them for longer.
    pub fn redated(&self, record: &Record, now: UnixMs) -> Option<Event> {
        let latest = self.due_at(now, false);
        let posted_by_now = record.posted_at.is_some_and(|at| at <= now);
        let is_ahead = |copy: &Copy| {
            copy.waits_too_long(now) || (copy.due_at > Some(latest) && !posted_by_now)
        };
        let mut owed = record.copies.iter().filter(|copy| copy.state == CopyState::Owed);
        let unwanted = record.withdrawn || record.posted_at.is_none();
        let due_at = match !record.stage.is_open() && unwanted {
            true => self.due_early_at(record, now),
            false => latest,
        };
        owed.any(is_ahead).then_some(Event::PurgesRedated { due_at })
    }

    /// What goes with `event` into its commit: the spooled clip of a message that fails is kept,
    /// unless its sender wants it gone.
    pub fn clip_of_failed(&self, record: &Record, event: &Event, now: UnixMs) -> Option<Event> {
        let fails = event.fails();
        let spooled = record.clip == ClipPlace::Spooled && !record.withdrawn;
        (fails && spooled && self.failed_seconds > 0)
            .then(|| Event::ClipKept { until: now.plus_seconds(self.failed_seconds) })
    }
}

/// A message found in flight at so many starts of the process, without a call of its own in between
/// that the process outlived, is held for an operator: it may be what ends the process.
const CRASHES_MAX: u32 = 3;

/// What the start of a process makes of a record that the last one left unfinished.
///
/// A call that was intended may have been on the wire: its outcome is unknown; `lost` is what an
/// upload may have left. A clip that was only
/// in memory is lost, and so is its message, unless its post can be found: nobody was told a 2xx.
/// One with a post in doubt is left for its drive, which looks it up first.
pub fn recover(record: &Record, lost: &[NewCopy], keeping: &Keeping, now: UnixMs) -> Vec<Event> {
    let mut events = Vec::new();
    let mut after = record.clone();
    let mut push = |event: Event, after: &mut Record| {
        if after.apply(&event, now).is_ok() {
            events.push(event);
        }
    };
    let in_flight = record.intent.as_ref().map(|intent| intent.step);
    let (code, next_attempt_at, crashed) = (Code::GenesysAnswerLost, now, true);
    match in_flight {
        Some(Step::Upload) => {
            let copies = lost.to_vec();
            push(Event::UploadLost { code, copies, next_attempt_at, crashed }, &mut after);
        }
        Some(Step::Post) => push(Event::PostLost { code, next_attempt_at, crashed }, &mut after),
        None => {}
    }
    if after.stage.is_open() && after.clip == ClipPlace::Memory && !after.post_in_doubt {
        push(interrupted(&after, keeping, now), &mut after);
    } else if after.stage.is_open() && in_flight.is_some() && after.crashes >= CRASHES_MAX {
        let detail = format!("in flight when the gateway ended {CRASHES_MAX} times");
        push(Event::Held { ending: Ending { code: Code::CrashLoop, detail } }, &mut after);
    }
    events
}

/// What the start of a process makes of a record of another route than it runs: nothing of it can
/// be called for, so it is held, whatever it was about to do. An upload that was on the wire stays
/// written down for the start that has its route again.
pub fn recover_elsewhere(record: &Record, running: RouteName, now: UnixMs) -> Vec<Event> {
    if !record.stage.is_open() {
        return Vec::new();
    }
    let detail = format!("accepted on the route {}, and this gateway runs {running}", record.route);
    let held = Event::Held { ending: Ending { code: Code::OtherRoute, detail } };
    let (code, next_attempt_at, crashed) = (Code::GenesysAnswerLost, now, true);
    match record.intent.as_ref().map(|intent| intent.step) {
        Some(Step::Post) => vec![Event::PostLost { code, next_attempt_at, crashed }, held],
        Some(Step::Upload) | None => vec![held],
    }
}

/// The end of a message whose clip went with the process that held it.
pub fn interrupted(record: &Record, keeping: &Keeping, now: UnixMs) -> Event {
    let detail = "the gateway ended while the clip was only in memory".to_owned();
    let ending = Ending { code: Code::Interrupted, detail };
    Event::Failed { ending, due_at: keeping.due_early_at(record, now) }
}

/// What its sender's withdrawal makes of a message now; `None` where nothing is left to be done.
/// Cancelled where no post has left; once one is, or may be, on the wire, only its audio can go
/// early. A held message ends: cancelled, or failed for what held it if its post is in doubt.
pub fn withdrawal(record: &Record, keeping: &Keeping, now: UnixMs) -> Option<Event> {
    let due_at = keeping.due_early_at(record, now);
    let cancel = Event::Cancelled { due_at };
    if record.clone().apply(&cancel, now).is_ok() {
        return Some(cancel);
    }
    match (record.stage, &record.ending) {
        (Stage::Held, Some(ending)) => Some(Event::Failed { ending: ending.clone(), due_at }),
        (stage, _) if stage.is_open() => (!record.withdrawn).then_some(Event::WithdrawalAsked),
        _ => record.has_audio_left().then_some(Event::PurgeHastened { due_at }),
    }
}
