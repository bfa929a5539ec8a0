//! Everything of a guest goes: what is on its way is withdrawn, what is owed is purged, and each
//! message leaves the ledger once nothing of it is owed any more.

use std::sync::Arc;

use uuid::Uuid;

use super::Pipeline;
use super::commands::{internal, refused};
use crate::domain::{Code, Lane, Problem};
use crate::ledger::{Erasure, Erasures, ReadError, Subject};

/// Rows that are looked at in one go, so that others are not kept from reading.
const LOOK_ROWS: u32 = 2_000;
/// Messages that one turn works on at a time.
const TURN_MESSAGES: u32 = 200;

impl Pipeline {
    /// Promises to erase every message of this subject that is in the ledger now, and begins with
    /// it. The promise is durable when this resolves; messages accepted meanwhile or later are not
    /// among them.
    pub async fn erase(
        self: &Arc<Self>,
        erasures: &dyn Erasures,
        mut subject: Subject,
    ) -> Result<Erasure, Problem> {
        // A lane is known by its guest when the guest's name has left the ledger.
        subject.lanes.extend(self.parts.planner.lane_of_guest(&subject.sender_id));
        let (messages, lanes) = find(erasures, subject).await.map_err(internal)?;
        let id = Uuid::from_bytes(*self.parts.clock.new_id().as_bytes());
        erasures
            .begin(id, messages, lanes, self.parts.clock.now())
            .await
            .map_err(|error| refused(error.into()))?;
        self.go_on_erasing(erasures).await?;
        match erasures.erasure(id).await.map_err(internal)? {
            Some(erasure) => Ok(erasure),
            None => Err(internal("an erasure is gone that was begun")),
        }
    }

    /// One turn over all that is still to be erased; says how many messages are left.
    pub async fn go_on_erasing(
        self: &Arc<Self>,
        erasures: &dyn Erasures,
    ) -> Result<usize, Problem> {
        let (mut after_seq, mut left) = (0, 0);
        loop {
            let page = erasures.open(after_seq, TURN_MESSAGES).await.map_err(internal)?;
            let Some((last, _)) = page.last() else { return Ok(left) };
            after_seq = *last;
            left += page.len();
            let mut over = Vec::new();
            for (_, id) in page {
                // One that is gone, or changes all the time, is looked at again in the next turn.
                let withdrawn = self.withdraw_as_operator(id).await;
                if withdrawn.is_ok() && self.board.find(id).is_none() {
                    over.push(id);
                }
            }
            let removed = erasures.remove(over).await.map_err(|error| refused(error.into()))?;
            left -= usize::try_from(removed).unwrap_or(left).min(left);
        }
    }
}

/// The subject's messages, by place, and lanes. What a message tells of who sent it leads to
/// others.
async fn find(
    erasures: &dyn Erasures,
    mut subject: Subject,
) -> Result<(Vec<u64>, Vec<Lane>), ReadError> {
    loop {
        let (mut messages, mut after_seq) = (Vec::new(), Some(0));
        let known = (subject.principals.len(), subject.lanes.len());
        while let Some(after) = after_seq {
            let sighting = erasures.look_for(subject.clone(), after, LOOK_ROWS).await?;
            messages.extend(sighting.messages);
            subject.principals.extend(sighting.principals);
            subject.lanes.extend(sighting.lanes);
            after_seq = sighting.next_after;
        }
        if known == (subject.principals.len(), subject.lanes.len()) {
            return Ok((messages, subject.lanes.into_iter().collect()));
        }
    }
}

/// An erasure that an operator asks about.
pub async fn erasure(erasures: &dyn Erasures, id: Uuid) -> Result<Erasure, Problem> {
    let found = erasures.erasure(id).await.map_err(internal)?;
    found.ok_or_else(|| Problem::new(Code::MessageNotFound, format!("there is no erasure {id}")))
}
