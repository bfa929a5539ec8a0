//! The pieces of [`Record::apply`](super::Record::apply): what single events do to the fields.

use super::{
    ClipPlace, Code, Copy, CopyKind, CopyState, Ending, Event, Intent, NewCopy, Posted, Private,
    Record, Retention, Stage, Step, UnixMs, WAIT_MS_MAX,
};

impl Record {
    pub(super) fn uploaded(&mut self, copies: &[NewCopy], post: Option<&Intent>, now: UnixMs) {
        for copy in copies {
            self.add_copy(copy.clone(), now);
        }
        if !self.stage.is_open() {
            // Cancelled while the upload was on the wire: the copy is due at once.
            self.intent = None;
            self.hasten(now);
            return;
        }
        self.stage = Stage::Uploaded;
        self.crashes = 0;
        self.uploaded_at = Some(now);
        self.intent = post.cloned();
        self.attempts = u32::from(post.is_some());
        self.next_attempt_at = None;
    }

    /// No post references what was lost, so what can be named must go now.
    pub(super) fn upload_lost(&mut self, copies: &[NewCopy], now: UnixMs) {
        let before = self.copies.len();
        for copy in copies {
            self.add_copy(copy.clone(), now);
        }
        let lost = self.copies.iter_mut().skip(before);
        for copy in lost.filter(|copy| copy.state == CopyState::Owed) {
            copy.due_at = Some(now);
            copy.next_attempt_at = Some(now);
        }
    }

    fn add_copy(&mut self, copy: NewCopy, now: UnixMs) {
        let ordinal = u32::try_from(self.copies.len()).unwrap_or(u32::MAX);
        self.copies.push(Copy {
            ordinal,
            kind: copy.kind,
            state: copy.state,
            due_at: None,
            retention: Retention::None,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
            host: copy.host,
            client: copy.client,
            private: copy.private,
            created_at: now,
        });
    }

    pub(super) fn deferred(&mut self, code: Code, next_attempt_at: UnixMs) {
        // The process outlived the call: this message is not what ends it.
        self.crashes = 0;
        // With a post in doubt it was a look-up, which has no intent that would count it.
        self.attempts = self.attempts.saturating_add(u32::from(self.post_in_doubt));
        self.defer(code, next_attempt_at);
    }

    pub(super) fn sent_back(&mut self, next_attempt_at: UnixMs) {
        self.crashes = 0;
        self.attempts = self.attempts.saturating_sub(u32::from(self.intent.is_some()));
        self.defer(Code::GenesysRateLimited, next_attempt_at);
    }

    /// A call without an answer. Where the process has outlived it, this message is not what ends
    /// it.
    pub(super) fn lost(&mut self, code: Code, next_attempt_at: UnixMs, crashed: bool) {
        self.crashes = if crashed { self.crashes.saturating_add(1) } else { 0 };
        self.defer(code, next_attempt_at);
    }

    fn defer(&mut self, code: Code, next_attempt_at: UnixMs) {
        self.intent = None;
        self.next_attempt_at = self.stage.is_open().then_some(next_attempt_at);
        self.last_error_code = Some(code);
    }

    pub(super) fn posted(&mut self, posted: &Posted, due_at: UnixMs, retention: bool, now: UnixMs) {
        self.stage = Stage::Sent;
        self.drop_memory();
        self.intent = None;
        self.next_attempt_at = None;
        self.post_in_doubt = false;
        self.message_id.clone_from(&posted.message_id);
        if posted.conversation_id.is_some() {
            self.conversation_id.clone_from(&posted.conversation_id);
        }
        self.audio_dropped = posted.audio_dropped;
        self.posted_at = Some(now);
        let current = self.current_copy().map(|copy| copy.ordinal);
        for copy in self.copies.iter_mut().filter(|copy| copy.state == CopyState::Owed) {
            if retention && Some(copy.ordinal) == current {
                copy.retention = Retention::Owed;
                copy.next_attempt_at = Some(now);
            }
        }
        for copy in &posted.copies {
            self.add_copy(copy.clone(), now);
        }
        self.hasten(due_at);
    }

    pub(super) fn outdated(&mut self, due_at: UnixMs) {
        self.stage = Stage::Accepted;
        self.attempts = 0;
        self.next_attempt_at = None;
        self.hasten(due_at);
    }

    pub(super) fn end(&mut self, stage: Stage, due_at: UnixMs) {
        self.stage = stage;
        self.drop_memory();
        // An upload on the wire stays intended, so that its answer, or its loss, is recorded.
        self.intent = self.intent.take().filter(|intent| intent.step == Step::Upload);
        self.next_attempt_at = None;
        self.hasten(due_at);
    }

    /// A clip that was only in memory goes with the drive that ends here.
    fn drop_memory(&mut self) {
        if self.clip == ClipPlace::Memory {
            self.clip = ClipPlace::Gone;
        }
    }

    /// Given up with a post in doubt, it may stand in the conversation all the same, and in its
    /// recording.
    pub(super) fn failed(&mut self, ending: &Ending, due_at: UnixMs, now: UnixMs) {
        self.possible_duplicate |= self.post_in_doubt;
        // Nothing durable is held that nobody was told of.
        self.was_promised |= self.stage == Stage::Held && self.clip == ClipPlace::Spooled;
        if let Some(recording) = self.recording_in_doubt() {
            self.add_copy(recording, now);
        }
        self.end(Stage::Failed, due_at);
        self.last_error_code = Some(ending.code);
        self.ending = Some(ending.clone());
    }

    fn recording_in_doubt(&self) -> Option<NewCopy> {
        let told = self.copies.iter().any(|copy| copy.kind == CopyKind::Recording);
        let doubted = self.possible_duplicate && self.route.leaves_a_recording() && !told;
        let posted = self.copies.last().filter(|_| doubted)?;
        Some(NewCopy {
            kind: CopyKind::Recording,
            state: CopyState::NotPossible,
            host: posted.host.clone(),
            client: posted.client.clone(),
            private: Private::default(),
        })
    }

    pub(super) fn held(&mut self, ending: &Ending) {
        self.stage = Stage::Held;
        // The outcome of a call on the wire stays open: an upload may still be answered, a post
        // may have happened.
        self.post_in_doubt |= self.intent.as_ref().is_some_and(|intent| intent.step == Step::Post);
        self.intent = self.intent.take().filter(|intent| intent.step == Step::Upload);
        self.next_attempt_at = None;
        self.ending = Some(ending.clone());
    }

    /// Goes on where it was: with the upload, unless the uploaded copy is there to be posted.
    pub(super) fn released(&mut self, expires_at: UnixMs) {
        self.expires_at = expires_at;
        self.possible_duplicate |= self.post_in_doubt;
        self.post_in_doubt = false;
        let uploaded = self.current_copy().is_some_and(|copy| copy.due_at.is_none());
        self.stage = if uploaded { Stage::Uploaded } else { Stage::Accepted };
        self.ending = None;
        self.crashes = 0;
        self.attempts = 0;
    }

    /// Starts over with the upload: the copies of the failed try are due already, or gone.
    pub(super) fn replayed(&mut self, expires_at: UnixMs) {
        self.stage = Stage::Accepted;
        self.expires_at = expires_at;
        self.clip_kept_until = None;
        self.ending = None;
        self.withdrawn = false;
        self.post_in_doubt = false;
        self.crashes = 0;
        self.attempts = 0;
    }

    /// Makes every owed copy due at `due_at`, or leaves it where it is due earlier.
    pub(super) fn hasten(&mut self, due_at: UnixMs) {
        for copy in self.copies.iter_mut().filter(|copy| copy.state == CopyState::Owed) {
            let earliest = copy.due_at.map_or(due_at, |at| at.min(due_at));
            if copy.due_at != Some(earliest) {
                copy.due_at = Some(earliest);
                copy.next_attempt_at =
                    Some(copy.next_attempt_at.map_or(earliest, |at| at.min(earliest)));
            }
        }
    }

    /// Sets right what a clock dated that was ahead: no owed copy is due after `due_at`, nor put
    /// off for longer than any wait once it is due.
    pub(super) fn redate(&mut self, due_at: UnixMs, now: UnixMs) {
        for copy in self.copies.iter_mut().filter(|copy| copy.state == CopyState::Owed) {
            let Some(dated_at) = copy.due_at else { continue };
            if dated_at > due_at || copy.waits_too_long(now) {
                let earliest = dated_at.min(due_at);
                copy.due_at = Some(earliest);
                copy.next_attempt_at = copy.next_attempt_at.map(|at| at.min(earliest));
            }
        }
    }

    pub(super) fn change_copy(&mut self, event: &Event, now: UnixMs) {
        let ordinal = match event {
            Event::RetentionSettled { ordinal, .. }
            | Event::PurgeDeferred { ordinal, .. }
            | Event::CopyPurged { ordinal }
            | Event::CopyNotPurgeable { ordinal, .. }
            | Event::CopyGivenUp { ordinal, .. } => *ordinal,
            _ => return,
        };
        let Some(copy) = self.copies.iter_mut().find(|copy| copy.ordinal == ordinal) else {
            return;
        };
        match event {
            Event::RetentionSettled { set, detail, .. } => {
                copy.retention = if *set { Retention::Set } else { Retention::Refused };
                copy.last_error = detail.clone();
                copy.attempts = 0;
                copy.next_attempt_at = copy.due_at;
            }
            Event::PurgeDeferred { detail, next_at, .. } => {
                copy.attempts = copy.attempts.saturating_add(1);
                copy.last_error = Some(detail.clone());
                copy.postpone(*next_at, now);
            }
            Event::CopyPurged { .. } => copy.settle(CopyState::Gone, None),
            Event::CopyNotPurgeable { detail, .. } => {
                copy.settle(CopyState::NotPossible, Some(detail.clone()));
            }
            Event::CopyGivenUp { reason, .. } => {
                copy.settle(CopyState::GivenUp, Some(reason.clone()));
            }
            _ => {}
        }
    }

    /// Invariant 11: with the last purge, transcript, waveform and sender identity leave the
    /// ledger, also a waveform that comes later. As long as the clip is in the spool the message
    /// can be replayed, and needs them.
    pub(super) fn forget_when_purged(&mut self) {
        if !self.stage.is_open()
            && self.stage != Stage::Held
            && self.clip != ClipPlace::Spooled
            && self.purges_done()
            && self.intent.is_none()
        {
            self.transcript = None;
            self.waveform = None;
            self.envelope = None;
        }
    }
}

impl Copy {
    /// Whether it is due, and put off for longer than any wait: by a clock that was ahead.
    pub(super) fn waits_too_long(&self, now: UnixMs) -> bool {
        let is_due = self.due_at.is_some_and(|due_at| due_at <= now);
        is_due && self.next_attempt_at.is_some_and(|at| at.ms_since(now) > WAIT_MS_MAX)
    }

    /// Before the copy is due, the call was about retention: it never delays the delete. One that
    /// owes no such call was due when it was made, and the clock has gone back: it waits until it
    /// is due again.
    fn postpone(&mut self, next_at: UnixMs, now: UnixMs) {
        let not_due_before = self.due_at.filter(|due_at| now < *due_at);
        self.next_attempt_at = Some(match not_due_before {
            Some(due_at) if self.retention == Retention::Owed => next_at.min(due_at),
            Some(due_at) => due_at,
            None => next_at,
        });
    }

    fn settle(&mut self, state: CopyState, detail: Option<String>) {
        self.state = state;
        self.next_attempt_at = None;
        // What was wrong with the retention stays to be read.
        let refusal = self.last_error.take().filter(|_| self.retention == Retention::Refused);
        self.last_error = detail.or(refusal);
        if state != CopyState::Orphaned {
            self.private = Private::default();
        }
    }
}
