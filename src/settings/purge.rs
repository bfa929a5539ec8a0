//! Section `purge`: how uploaded audio is removed from Genesys.

use serde::Deserialize;

use super::check::Check;
use crate::domain::{Backoff, PAUSE_MS_MAX};

/// Section `purge`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// When uploaded audio is deleted, counted from the post.
    pub ttl_seconds: u64,
    /// Never sooner after the post than this (invariant 4).
    pub delay_seconds_min: u64,
    /// First pause between two tries of a purge.
    pub pause_ms_min: u64,
    /// Longest pause between two tries of a purge.
    pub pause_ms_max: u64,
    /// Purge calls in flight.
    pub calls_max: usize,
    /// New messages are refused while a purge is this much late.
    pub backpressure_seconds: u64,
}

/// Below this a message may lose its audio before Genesys has taken it over (invariant 4).
const DELAY_SECONDS_SAFE: u64 = 30;

impl Purge {
    /// The pauses between two tries of a purge.
    pub fn backoff(&self) -> Backoff {
        Backoff { pause_ms_min: self.pause_ms_min, pause_ms_max: self.pause_ms_max }
    }

    pub(super) fn check(&self, check: &mut Check) {
        check.range("purge.ttl_seconds", self.ttl_seconds, 0..=2_592_000);
        check.range("purge.delay_seconds_min", self.delay_seconds_min, 0..=86_400);
        if self.delay_seconds_min < DELAY_SECONDS_SAFE {
            check.warning(
                "purge.delay_seconds_min",
                format!(
                    "is {}, below {DELAY_SECONDS_SAFE}: a message may lose its audio before \
                     Genesys has taken it over",
                    self.delay_seconds_min
                ),
            );
        }
        check.range("purge.pause_ms_min", self.pause_ms_min, 1..=PAUSE_MS_MAX);
        check.range("purge.pause_ms_max", self.pause_ms_max, 1..=PAUSE_MS_MAX);
        check.ordered(
            ("purge.pause_ms_min", self.pause_ms_min),
            ("purge.pause_ms_max", self.pause_ms_max),
        );
        check.range("purge.calls_max", self.calls_max, 1..=1_024);
        check.range("purge.backpressure_seconds", self.backpressure_seconds, 1..=86_400);
    }
}
