//! Which finished clips somebody still has in hand: no record names them, and they are no strays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::MessageId;

/// Clips by id, and how many hands have each: what a clip was converted to has its id.
#[derive(Clone, Default)]
pub(super) struct InHand(Arc<Mutex<HashMap<MessageId, usize>>>);

/// A hand on a clip, until it is dropped.
pub(super) struct Hand {
    all: InHand,
    id: MessageId,
}

impl InHand {
    pub(super) fn hold(&self, id: MessageId) -> Hand {
        *self.clips().entry(id).or_default() += 1;
        Hand { all: self.clone(), id }
    }

    pub(super) fn has(&self, id: MessageId) -> bool {
        self.clips().contains_key(&id)
    }

    fn clips(&self) -> MutexGuard<'_, HashMap<MessageId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let mut clips = self.all.clips();
        match clips.get_mut(&self.id) {
            Some(hands) if *hands > 1 => *hands -= 1,
            _ => drop(clips.remove(&self.id)),
        }
    }
}
