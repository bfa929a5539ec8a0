//! How many clips were sent with one token, where the token says how many may be.
//!
//! Counted in memory: a restart forgets it. A token lives for hours at most, and what it may do is
//! bounded by quotas all the same.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::Guest;
use crate::domain::UnixMs;

/// Tokens whose clips are counted at a time; with more, new ones send nothing until some end.
const TOKENS_MAX: usize = 100_000;

type Counts = DashMap<[u8; 32], Count>;

struct Count {
    used: u32,
    expires_at: UnixMs,
}

/// Clips by token.
#[derive(Default)]
pub(super) struct ClipCounts(Arc<Counts>);

/// Why a guest may not send another clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClip {
    /// All of them were sent.
    #[error("the token is good for {0} clips, and all of them were sent")]
    UsedUp(u32),
    /// Too many tokens are counted now.
    #[error("the clips of {TOKENS_MAX} tokens are counted already")]
    TooManyTokens,
}

/// One clip of a token. Given back when it is dropped, unless it was sent.
#[derive(Default)]
pub struct ClipPlace(Option<(Arc<Counts>, [u8; 32])>);

impl ClipCounts {
    pub(super) fn take(&self, guest: &Guest, now: UnixMs) -> Result<ClipPlace, NoClip> {
        let Some(clips_max) = guest.clips_max else { return Ok(ClipPlace::default()) };
        if self.0.len() >= TOKENS_MAX {
            self.0.retain(|_, count| count.expires_at > now);
        }
        let full = self.0.len() >= TOKENS_MAX;
        let mut count = match self.0.entry(guest.token) {
            Entry::Occupied(known) => known.into_ref(),
            Entry::Vacant(_) if full => return Err(NoClip::TooManyTokens),
            Entry::Vacant(new) => new.insert(Count { used: 0, expires_at: guest.expires_at }),
        };
        if count.used >= clips_max {
            return Err(NoClip::UsedUp(clips_max));
        }
        count.used += 1;
        Ok(ClipPlace(Some((Arc::clone(&self.0), guest.token))))
    }
}

impl ClipPlace {
    /// The clip was sent.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for ClipPlace {
    fn drop(&mut self) {
        if let Some((counts, token)) = self.0.take()
            && let Some(mut count) = counts.get_mut(&token)
        {
            count.used = count.used.saturating_sub(1);
        }
    }
}
