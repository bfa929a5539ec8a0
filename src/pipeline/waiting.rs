//! Why a message, or a purge, does not go on at this moment: for operators.

use serde::Serialize;

use super::Pipeline;
use crate::domain::{CallClass, Copy, Record, Stage, Step};

/// What something waits for. The first reason that holds, in the order in which a call meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitsFor {
    /// An operator's decision.
    AnOperator,
    /// The end of the message it belongs to.
    ItsMessage,
    /// The time at which it is due.
    ItsTime,
    /// The pause after a try that did not succeed.
    ItsNextAttempt,
    /// Messages before it in its lane.
    MessagesBefore,
    /// An access token.
    AToken,
    /// The rate gate.
    TheRateGate,
    /// A place among the calls at once, or the answer of Genesys.
    ItsCall,
    /// Nothing: it has ended.
    Nothing,
}

impl Pipeline {
    /// What a message waits for now.
    pub fn waits_for(&self, record: &Record) -> WaitsFor {
        let now = self.parts.clock.now();
        let before = self.lanes.before(&record.lane, record.accepted_seq);
        let (class, blocked) = match record.stage {
            Stage::Held => return WaitsFor::AnOperator,
            Stage::Accepted => (CallClass::Upload, before > super::lanes::UPLOADS_AHEAD_MAX),
            Stage::Uploaded if record.post_in_doubt => (CallClass::LookUp, before > 0),
            Stage::Uploaded => (CallClass::Post, before > 0),
            // Its own file could not be deleted.
            _ if record.clip_is_overdue() => return WaitsFor::ItsNextAttempt,
            Stage::Sent | Stage::Failed | Stage::Cancelled => return WaitsFor::Nothing,
        };
        let on_the_wire = record.intent.as_ref().map(|intent| intent.step);
        if record.next_attempt_at.is_some_and(|at| now < at) {
            WaitsFor::ItsNextAttempt
        } else if blocked && on_the_wire != Some(Step::Post) {
            WaitsFor::MessagesBefore
        } else {
            self.call_waits_for(class)
        }
    }

    /// What the purge of a copy waits for now.
    pub(super) fn purge_waits_for(&self, record: &Record, copy: &Copy) -> WaitsFor {
        let now = self.parts.clock.now();
        let Some(due_at) = copy.due_at else {
            let held = record.stage == Stage::Held;
            return if held { WaitsFor::AnOperator } else { WaitsFor::ItsMessage };
        };
        if now < due_at {
            WaitsFor::ItsTime
        } else if copy.next_attempt_at.is_some_and(|at| now < at) {
            WaitsFor::ItsNextAttempt
        } else {
            self.call_waits_for(CallClass::Delete)
        }
    }

    /// The time on the rate gate's clock.
    pub fn pace_now_ms(&self) -> u64 {
        let elapsed = self.parts.actors.pace_origin.elapsed();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn call_waits_for(&self, class: CallClass) -> WaitsFor {
        let actors = &self.parts.actors;
        let token = actors.token_view.borrow().usable(self.parts.clock.now());
        if token.is_none() {
            WaitsFor::AToken
        } else if actors.pace.borrow().free_at_ms(class) > self.pace_now_ms() {
            WaitsFor::TheRateGate
        } else {
            WaitsFor::ItsCall
        }
    }
}
