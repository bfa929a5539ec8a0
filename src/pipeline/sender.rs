//! Who waits for the answer to a message that was just accepted.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Answer;
use crate::domain::Patience;

/// The sender of a message, as long as they wait for an answer.
pub(super) struct Sender {
    pub(super) answer: oneshot::Sender<Answer>,
    pub(super) respond_async: bool,
    pub(super) until: Instant,
    /// They can repeat the request without sending another message.
    pub(super) has_key: bool,
}

impl Sender {
    pub(super) fn new(
        answer: oneshot::Sender<Answer>,
        patience: Patience,
        started: Instant,
        has_key: bool,
    ) -> Sender {
        let until = started + Duration::from_millis(patience.wait_ms);
        Sender { answer, respond_async: patience.respond_async, until, has_key }
    }

    /// Whether they have waited as long as they wanted to.
    pub(super) fn waited(&self) -> bool {
        self.until <= Instant::now()
    }
}
