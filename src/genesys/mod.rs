//! The outbound world: how a voice message gets into Genesys Cloud, and its audio out again.
//!
//! A route is one way in. It comes in two halves, because the pipeline plans on any thread while
//! calls stay on the one outbound arbiter that owns the HTTP client: [`Planner`] is pure and
//! shared, [`Route`] makes calls. A new route is one file here and one line in `app`.
//!
//! Contract every route implements:
//! - What goes on the wire is fixed by the record and its intent: a repeat sends the same bytes.
//! - An answer that was lost is `Unknown`, never `Refused` (invariant 3).
//! - Values in [`Private`](crate::domain::Private) are the route's own; nobody else reads them.

pub mod api;
mod asked;
pub mod gate;
pub mod http;
pub mod media_api;
pub mod oauth;
pub mod open_messaging;
mod pieces;
pub mod reach;
pub mod tls;
pub mod transport;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::domain::{
    Copy, Failure, Found, Intent, Lane, NewCopy, NewMessage, Outcome, Posted, Problem,
    PurgeOutcome, Record, ReplyReceipt, RouteName, Step, Transcript, UnixMs,
};

/// What a route decides about a message before it is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The key its messages are ordered by.
    pub lane: Lane,
    /// What stands in for the audio; never blank.
    pub transcript: Transcript,
}

/// The pure half of a route.
pub trait Planner: Send + Sync {
    /// Which route this is.
    fn name(&self) -> RouteName;

    /// Accepts the message's fields, or names the part and the limit that it breaks.
    fn plan(&self, message: &NewMessage) -> Result<Plan, Problem>;

    /// Fixes what will be on the wire for the next call of this record.
    fn intend(&self, record: &Record, step: Step, now: UnixMs) -> Intent;

    /// Whether Genesys is asked, after the post, to keep the copies only so long.
    fn retains(&self) -> bool;

    /// Whether the upload has become too old to be referenced by a post that starts at `now`.
    fn upload_outdated(&self, record: &Record, now: UnixMs) -> bool;

    /// How many messages of a lane one post may carry, at least 1.
    fn batch_max(&self) -> usize;

    /// The copies that the intended upload of this record may have made, if its answer is lost.
    fn lost(&self, record: &Record) -> Vec<NewCopy>;

    /// The lane of a guest's messages, on a route that brings replies to guests.
    fn lane_of_guest(&self, _sender_id: &str) -> Option<Lane> {
        None
    }
}

/// The half of a route that calls. Lives on the outbound arbiter.
pub trait Route {
    /// Brings the clip to Genesys. The record carries the upload's intent.
    fn upload(&self, record: Arc<Record>, clip: Bytes)
    -> LocalBoxFuture<'_, Outcome<Vec<NewCopy>>>;

    /// Posts messages of one lane, in order. Each record carries its post's intent. Answers in
    /// the same order.
    fn post(&self, batch: Vec<Arc<Record>>) -> LocalBoxFuture<'_, Outcome<Vec<Posted>>>;

    /// Says whether a post whose answer was lost has happened. `conversation_id`: where Genesys put
    /// the lane's newest message that arrived, if that is known.
    fn look_up(
        &self,
        record: Arc<Record>,
        conversation_id: Option<String>,
    ) -> LocalBoxFuture<'_, Found>;

    /// Asks Genesys to keep a copy for `ttl_seconds` only.
    fn retain(&self, copy: Copy, ttl_seconds: u64) -> LocalBoxFuture<'_, Result<(), Failure>>;

    /// Deletes a copy.
    fn purge(&self, copy: Copy) -> LocalBoxFuture<'_, PurgeOutcome>;

    /// Tells Genesys what became of a reply. A repeat does no harm.
    fn tell_receipt(&self, receipt: ReplyReceipt) -> LocalBoxFuture<'_, Result<(), Failure>>;
}
