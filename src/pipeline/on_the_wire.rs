//! A drive whose call is on the wire: how long it waits for the answer, and what it writes down
//! where it waits no longer.

use super::drive::{Drive, Stop};
use crate::domain::{Code, Event, Step};

impl Drive {
    /// Waits for something on the wire or in a queue, but lets the sender go with a 202 when their
    /// wait is over or the gateway shuts down.
    pub(super) async fn patiently<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let mut work = std::pin::pin!(work);
        if let Some(until) = self.sender.as_ref().map(|sender| sender.until) {
            let drain = self.pipeline.parts.admission.drain().clone();
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = tokio::time::sleep_until(until) => {}
                () = drain.begun() => {}
            }
            self.promise().await?;
        }
        Ok(work.await)
    }

    /// Waits patiently for the answer to a call that is on the wire, but not beyond a drain.
    pub(super) async fn answered<T>(&mut self, call: impl Future<Output = T>) -> Result<T, Stop> {
        let drain = self.pipeline.parts.admission.drain().clone();
        let call = async move {
            tokio::select! {
                biased;
                answer = call => Some(answer),
                () = drain.over() => None,
            }
        };
        self.patiently(call).await?.ok_or(Stop::PutDown)
    }

    /// Writes down that nobody waits any more for the call on the wire: its answer is lost, and the
    /// next start does not take this end for a crash.
    pub(super) async fn put_down(&mut self) -> Result<(), Stop> {
        // One that went along knows its intent from the ledger alone.
        self.refresh().await?;
        let (code, next_attempt_at, crashed) = (Code::GenesysAnswerLost, self.now(), false);
        let event = match self.record.intent.as_ref().map(|intent| intent.step) {
            Some(Step::Upload) => {
                let copies = self.pipeline.parts.planner.lost(&self.record);
                Event::UploadLost { code, copies, next_attempt_at, crashed }
            }
            Some(Step::Post) => Event::PostLost { code, next_attempt_at, crashed },
            // A look-up leaves its post in doubt.
            None => return Err(Stop::PutDown),
        };
        self.commit(event).await?;
        Err(Stop::PutDown)
    }
}
