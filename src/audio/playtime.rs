//! Lengths of audio in microseconds, and the limits they are held to.

use crate::domain::{AudioLimits, ClipRefusal, Codec, Note};

/// What a walker found in one clip, before the gate puts the container and the size to it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) codec: Codec,
    pub(super) played_us: u64,
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u16,
    pub(super) notes: Vec<Note>,
    /// Counted in the audio; not only claimed by a header, so that limits may be held against it.
    pub(super) is_certain: bool,
}

/// Length of `samples` at `rate_hz` in microseconds, rounded down; saturates instead of
/// overflowing, since granules and sizes are whatever a sender writes. A rate of 0 gives 0.
pub(super) fn microseconds(samples: u64, rate_hz: u32) -> u64 {
    let rate = u64::from(rate_hz);
    let (Some(seconds), Some(rest)) = (samples.checked_div(rate), samples.checked_rem(rate)) else {
        return 0;
    };
    seconds.saturating_mul(1_000_000).saturating_add(rest * 1_000_000 / rate)
}

/// Microseconds as milliseconds, rounded to the nearest.
pub(super) fn milliseconds(us: u64) -> u32 {
    u32::try_from(us.saturating_add(500) / 1_000).unwrap_or(u32::MAX)
}

/// The limits of duration, in the form the walkers ask them.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaytimeLimit {
    refused_above_ms: u32,
    duration_ms_max: u32,
    duration_ms_min: u32,
}

impl PlaytimeLimit {
    pub(super) fn new(limits: &AudioLimits) -> PlaytimeLimit {
        PlaytimeLimit {
            refused_above_ms: limits.duration_ms_refused_above(),
            duration_ms_max: limits.duration_ms_max,
            duration_ms_min: limits.duration_ms_min,
        }
    }

    /// Refuses once this much audio is certain. Durations are compared as they are reported: in
    /// whole milliseconds.
    pub(super) fn check_long(&self, certain_us: u64) -> Result<(), ClipRefusal> {
        let at_least_ms = milliseconds(certain_us);
        if at_least_ms <= self.refused_above_ms {
            return Ok(());
        }
        Err(ClipRefusal::TooLong { at_least_ms, duration_ms_max: self.duration_ms_max })
    }

    /// Refuses a finished clip that is too short or too long.
    pub(super) fn check_whole(&self, played_us: u64) -> Result<(), ClipRefusal> {
        self.check_long(played_us)?;
        let duration_ms = milliseconds(played_us);
        if duration_ms >= self.duration_ms_min {
            return Ok(());
        }
        Err(ClipRefusal::TooShort { duration_ms, duration_ms_min: self.duration_ms_min })
    }

    /// The fewest samples at `rate_hz` that [`check_long`](Self::check_long) refuses.
    pub(super) fn samples_refused(&self, rate_hz: u32) -> u64 {
        let refused_us = u128::from(self.refused_above_ms) * 1_000 + 500;
        let samples = (refused_us * u128::from(rate_hz)).div_ceil(1_000_000);
        u64::try_from(samples).unwrap_or(u64::MAX)
    }
}

/// One byte in this many may belong to no frame, chunk or page; with more it is no clip any more.
pub(super) const BYTES_PER_JUNK_BYTE: u64 = 50;

/// Refuses a finished clip of `bytes` in which more than 2 % belong to nothing.
pub(super) fn check_junk(junk_bytes: u64, bytes: u64) -> Result<(), ClipRefusal> {
    if junk_bytes <= bytes / BYTES_PER_JUNK_BYTE {
        return Ok(());
    }
    Err(corrupted(format!(
        "{junk_bytes} bytes belong to no frame, chunk or page, more than 2 % of the clip"
    )))
}

/// A refusal for bytes that begin like an accepted format and then make no sense.
pub(super) fn corrupted(reason: impl Into<String>) -> ClipRefusal {
    ClipRefusal::Corrupted { reason: reason.into() }
}

/// A refusal for bytes of another format; `detected` never quotes the clip.
pub(super) fn unsupported(detected: impl Into<String>) -> ClipRefusal {
    ClipRefusal::UnsupportedFormat { detected: detected.into() }
}
