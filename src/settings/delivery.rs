//! Section `delivery`: how long and how often delivery is tried.

use serde::Deserialize;

use super::check::Check;
use super::parse;
use crate::domain::{Backoff, PAUSE_MS_MAX};

/// Section `delivery`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Tries of one step while the sender waits.
    pub attempts: u32,
    /// First pause between those tries.
    pub pause_ms_min: u64,
    /// Longest pause between those tries.
    pub pause_ms_max: u64,
    /// First pause once the sender has its 202.
    pub later_pause_ms_min: u64,
    /// Longest pause once the sender has its 202.
    pub later_pause_ms_max: u64,
    /// When an undelivered message is given up, counted from its acceptance.
    pub expires_after_seconds: u64,
    /// How long the clip of a failed message is kept to be replayed.
    pub failed_keep_seconds: u64,
    /// Oldest upload whose URL is still posted.
    pub media_url_seconds_max: u64,
    /// What happens to a post that may or may not have been done.
    #[serde(deserialize_with = "parse::text")]
    pub on_unknown: OnUnknown,
    /// Messages worked on at a time.
    pub drives_max: usize,
}

parse::words! {
    /// What happens to a post whose answer was lost and that cannot be looked up (invariant 3).
    OnUnknown {
        /// Post again, marked as a possible duplicate: a loss is worse than a double.
        Repeat = "repeat",
        /// Hold the message for an operator.
        Hold = "hold",
    }
}

impl Delivery {
    /// The pauses while the sender waits.
    pub fn backoff(&self) -> Backoff {
        Backoff { pause_ms_min: self.pause_ms_min, pause_ms_max: self.pause_ms_max }
    }

    /// The pauses once the sender has its 202.
    pub fn later_backoff(&self) -> Backoff {
        Backoff { pause_ms_min: self.later_pause_ms_min, pause_ms_max: self.later_pause_ms_max }
    }

    pub(super) fn check(&self, check: &mut Check) {
        check.range("delivery.attempts", self.attempts, 1..=10);
        check.range("delivery.pause_ms_min", self.pause_ms_min, 1..=PAUSE_MS_MAX);
        check.range("delivery.pause_ms_max", self.pause_ms_max, 1..=PAUSE_MS_MAX);
        check.ordered(
            ("delivery.pause_ms_min", self.pause_ms_min),
            ("delivery.pause_ms_max", self.pause_ms_max),
        );
        check.range("delivery.later_pause_ms_min", self.later_pause_ms_min, 1..=PAUSE_MS_MAX);
        check.range("delivery.later_pause_ms_max", self.later_pause_ms_max, 1..=PAUSE_MS_MAX);
        check.ordered(
            ("delivery.later_pause_ms_min", self.later_pause_ms_min),
            ("delivery.later_pause_ms_max", self.later_pause_ms_max),
        );
        check.range("delivery.expires_after_seconds", self.expires_after_seconds, 1..=604_800);
        check.range("delivery.failed_keep_seconds", self.failed_keep_seconds, 0..=604_800);
        // Beyond 15 minutes the signed URL is dead (media-api contract, "Upload").
        check.range("delivery.media_url_seconds_max", self.media_url_seconds_max, 1..=900);
        check.range("delivery.drives_max", self.drives_max, 1..=65_536);
    }
}
