//! What the route asks of a message before it is accepted, and what it fixes for the wire.

use super::super::{Plan, Planner, asked};
use super::new_copy;
use crate::domain::{
    Intent, Lane, NewCopy, NewMessage, Origin, Private, Problem, Record, RouteName, Step, UnixMs,
};

/// Messages in one post. The contract allows 2,000,000 bytes of JSON; a message whose ids, URL and
/// transcript are as long as they may be, every byte of them escaped, has less than 50,000.
const BATCH_MAX: usize = 32;

/// The settings this route goes by.
#[derive(Clone, Debug)]
pub struct MediaApiRules {
    /// Stand-in transcript.
    pub placeholder: String,
    /// Age at which a pre-signed URL is no longer posted, in seconds.
    pub media_url_seconds_max: u64,
    /// Where copies are made.
    pub origin: Origin,
}

/// The pure half of the route.
pub struct MediaApiPlanner {
    rules: MediaApiRules,
}

impl MediaApiPlanner {
    /// A planner that goes by these rules.
    pub fn new(rules: MediaApiRules) -> MediaApiPlanner {
        MediaApiPlanner { rules }
    }
}

impl Planner for MediaApiPlanner {
    fn name(&self) -> RouteName {
        RouteName::MediaApi
    }

    fn plan(&self, message: &NewMessage) -> Result<Plan, Problem> {
        let conversation_id =
            asked::required("conversation_id", message.conversation_id.as_deref())?;
        asked::required("sender_id", message.envelope.sender_id.as_deref())?;
        let transcript = asked::transcript(message.transcript.clone(), &self.rules.placeholder)?;
        Ok(Plan { lane: Lane(conversation_id.to_owned()), transcript })
    }

    fn intend(&self, _record: &Record, step: Step, _now: UnixMs) -> Intent {
        // This route chooses no ids or times of its own: record and copy fix every byte.
        Intent { step, private: Private::default() }
    }

    fn retains(&self) -> bool {
        true
    }

    fn upload_outdated(&self, record: &Record, now: UnixMs) -> bool {
        let seconds_max = self.rules.media_url_seconds_max;
        // An upload of the future: the clock was stepped back, and its age cannot be told.
        record.uploaded_at.is_some_and(|at| now > at.plus_seconds(seconds_max) || now < at)
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn lost(&self, _record: &Record) -> Vec<NewCopy> {
        vec![new_copy(&self.rules.origin, None)]
    }
}
