//! Decoded audio on its way to speech: one channel, 16 kHz, 16 bits, without what the container
//! leaves out at both ends.

use crate::domain::ClipRefusal;

use super::super::playtime::{PlaytimeLimit, microseconds};
use super::resample::Resampler;

/// Samples a second of what comes out.
pub(super) const SPEECH_RATE_HZ: u32 = 16_000;

/// Takes decoded samples and either keeps them as speech or only counts them.
#[derive(Debug)]
pub(super) struct Speech {
    limit: PlaytimeLimit,
    rate_hz: u32,
    /// Samples still to be dropped, and still to be taken.
    start_left: u64,
    room: u64,
    taken: u64,
    resampler: Option<Resampler>,
    mono: Vec<f32>,
    out: Vec<i16>,
}

impl Speech {
    /// For samples of this rate, of which the first `start_samples` are dropped and at most
    /// `played_samples` taken. `keep`: the samples are wanted, not only their number.
    pub(super) fn new(
        limit: PlaytimeLimit,
        rate_hz: u32,
        start_samples: u64,
        played_samples: Option<u64>,
        keep: bool,
    ) -> Speech {
        Speech {
            limit,
            rate_hz,
            start_left: start_samples,
            room: played_samples.unwrap_or(u64::MAX),
            taken: 0,
            resampler: keep.then(|| Resampler::new(rate_hz, SPEECH_RATE_HZ)),
            mono: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Takes interleaved samples of so many channels. Refuses at the sample that makes the clip too
    /// long.
    pub(super) fn push(&mut self, samples: &[f32], channels: usize) -> Result<(), ClipRefusal> {
        let channels = channels.max(1);
        let frames = (samples.len() / channels) as u64;
        let dropped = self.start_left.min(frames);
        self.start_left -= dropped;
        let taken = (frames - dropped).min(self.room);
        self.room -= taken;
        self.taken += taken;
        self.limit.check_long(self.played_us())?;
        let Some(resampler) = self.resampler.as_mut() else { return Ok(()) };
        let from = dropped as usize * channels;
        let part = &samples[from..from + taken as usize * channels];
        self.mono.clear();
        let share = 1.0 / channels as f32;
        self.mono
            .extend(part.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() * share));
        resampler.push(&self.mono, &mut self.out);
        Ok(())
    }

    /// How long the samples taken so far play.
    pub(super) fn played_us(&self) -> u64 {
        microseconds(self.taken, self.rate_hz)
    }

    /// The speech, as long as what was taken.
    pub(super) fn finish(mut self) -> Vec<i16> {
        if let Some(resampler) = self.resampler.take() {
            resampler.finish(&mut self.out);
        }
        let rate_hz = u64::from(self.rate_hz);
        let samples = (self.taken * u64::from(SPEECH_RATE_HZ)).div_ceil(rate_hz);
        self.out.resize(samples as usize, 0);
        self.out
    }
}
