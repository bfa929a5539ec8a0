//! When to try again. Pure arithmetic over (attempt, what the server asked for, a random number).

use super::Retry;

/// Longest pause that settings can ask for, or an answer impose, in milliseconds.
pub const PAUSE_MS_MAX: u64 = 3_600_000;

/// Longest wait that is written down, in milliseconds: the longest pause with its jitter. One that
/// lies further ahead was written by a clock that was ahead.
pub const WAIT_MS_MAX: u64 = PAUSE_MS_MAX + PAUSE_MS_MAX / 5;

/// The pauses between attempts of one kind: they double from `pause_ms_min` to `pause_ms_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Pause before the second attempt, in milliseconds.
    pub pause_ms_min: u64,
    /// Longest pause, in milliseconds.
    pub pause_ms_max: u64,
}

/// How far a pause is moved at random, each way, so that many callers do not come back at once. See
/// [`WAIT_MS_MAX`].
const JITTER: f64 = 0.2;

impl Backoff {
    /// Milliseconds to wait before the next attempt, after `attempts` (≥ 1) have failed.
    ///
    /// `unit_random` lies in 0..1 and moves the pause by up to 20 % either way. A pause that the
    /// server asked for is a floor: never shortened, not even by the jitter. A closed gate is
    /// waited for as long as it is closed, and no longer. `None` means never.
    pub fn pause_ms(&self, attempts: u32, retry: Retry, unit_random: f64) -> Option<u64> {
        let not_before_ms = match retry {
            Retry::After { not_before_ms } => not_before_ms,
            Retry::Closed { opens_in_ms } => return Some(opens_in_ms),
            Retry::Never | Retry::Apart => return None,
        };
        let doublings = attempts.saturating_sub(1).min(32);
        let base = self.pause_ms_min.saturating_mul(1 << doublings).min(self.pause_ms_max);
        let factor = 1.0 - JITTER + 2.0 * JITTER * unit_random.clamp(0.0, 1.0);
        let jittered = (base as f64 * factor) as u64;
        Some(jittered.max(not_before_ms))
    }
}
