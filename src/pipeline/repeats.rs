//! Whose an idempotency key is.

use super::Pipeline;
use crate::domain::{MessageId, Principal};

impl Pipeline {
    /// Whether a request with this key repeats an earlier one of the same caller, so that no new
    /// message comes of it.
    pub async fn is_repeat(&self, principal: &Principal, key: &str) -> bool {
        let held = self.parts.ledger.by_key(principal.clone(), key.to_owned()).await;
        match held {
            Ok(Some(holder)) => !self.was_untold(holder.id).await,
            Ok(None) | Err(_) => false,
        }
    }

    /// Whether a message ended before anybody was told of it. What cannot be read was told.
    pub(super) async fn was_untold(&self, id: MessageId) -> bool {
        let found = self.parts.ledger.find(id).await;
        found.ok().flatten().is_some_and(|record| record.ended_untold())
    }
}
