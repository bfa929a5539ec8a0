//! The waveform of a clip that may be delivered: everything is decoded once, and forgotten.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::{Codec, Deliverable, Media, PEAKS, Waveform};

use super::decoders::{self, Pieces};
use super::wav_format::{self, WavFormat};

/// Peaks are gathered so many milliseconds at a time before they are made into a picture.
const STEP_MS: u64 = 10;
/// Swings of less than this part of full scale, about -50 dB, are not to be heard.
const SILENCE: f32 = 0.003;
/// The same of samples of 8 bits, a step of which is 1/128: the last bit is noise.
const SILENCE_8_BIT: f32 = 0.008;
/// One step in so many may be louder in a silent clip: switching a microphone clicks.
const STEPS_PER_CLICK: usize = 100;
/// And no more than these, however long the clip is: the shortest word has more.
const CLICK_STEPS_MAX: usize = 5;

/// The waveform of a clip that is `media`; `None` where it cannot be decoded after all.
///
/// CPU-bound: a tenth of a second for a minute of Opus, and no more for bytes that play nothing. A
/// crash inside a decoder is caught.
pub fn waveform(clip: &[u8], media: &Media<Deliverable>) -> Option<Waveform> {
    let mut peaks = Peaks::default();
    let drawn = catch_unwind(AssertUnwindSafe(|| {
        let take = &mut |samples: &[f32], channels: usize, rate_hz: u32| {
            peaks.push(samples, channels, rate_hz);
        };
        let pieces = &mut Pieces::new(media.duration_ms, take);
        match media.codec {
            Codec::Mp3 => decoders::mp3(clip, pieces),
            Codec::Vorbis => decoders::vorbis(clip, pieces),
            Codec::Opus => decoders::opus(clip, pieces),
            Codec::Pcm | Codec::PcmFloat | Codec::Alaw | Codec::Mulaw | Codec::Adpcm => {
                decoders::wav(clip, pieces)
            }
            Codec::Aac | Codec::Flac => None,
        }
    }));
    drawn.ok().flatten()?;
    peaks.finish(if has_8_bits(clip, media) { SILENCE_8_BIT } else { SILENCE })
}

fn has_8_bits(clip: &[u8], media: &Media<Deliverable>) -> bool {
    let format = || wav_format::locate(clip).map(|(format, _)| format);
    let is_8_bit = |format: WavFormat| format.block_bytes() == u32::from(format.channels);
    media.codec == Codec::Pcm && format().is_some_and(is_8_bit)
}

/// The lowest and the highest sample of one channel in a few milliseconds.
#[derive(Clone, Copy, Debug)]
struct Span {
    low: f32,
    high: f32,
}

impl Span {
    const NOTHING: Span = Span { low: f32::INFINITY, high: f32::NEG_INFINITY };

    fn take(&mut self, sample: f32) {
        *self = Span { low: self.low.min(sample), high: self.high.max(sample) };
    }
}

/// A few milliseconds: what is largest in any channel.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    peak: f32,
    /// What is to be heard: a constant, as some microphones add one to a channel, is not.
    swing: f32,
}

impl Step {
    fn with(self, channel: &Span) -> Step {
        let Span { low, high } = *channel;
        Step { peak: self.peak.max(high).max(-low), swing: self.swing.max((high - low) / 2.0) }
    }
}

/// All steps of a clip.
#[derive(Debug, Default)]
struct Peaks {
    steps: Vec<Step>,
    /// The step under way, channel by channel.
    channels: Vec<Span>,
    /// Samples of a channel in that step, in units of a sample times 1,000.
    taken: u64,
}

impl Peaks {
    /// Takes samples of so many channels in turn, of each of which there are so many in a second.
    fn push(&mut self, samples: &[f32], channels: usize, rate_hz: u32) {
        let per_step = u64::from(rate_hz) * STEP_MS;
        self.channels.resize(self.channels.len().max(channels), Span::NOTHING);
        for frame in samples.chunks_exact(channels.max(1)) {
            for (channel, sample) in self.channels.iter_mut().zip(frame) {
                channel.take(*sample);
            }
            self.taken += 1_000;
            if self.taken >= per_step {
                self.taken -= per_step;
                self.end_step();
            }
        }
    }

    fn end_step(&mut self) {
        self.steps.push(self.channels.iter().fold(Step::default(), Step::with));
        self.channels.fill(Span::NOTHING);
    }

    fn finish(mut self, silence: f32) -> Option<Waveform> {
        if self.taken > 0 {
            self.end_step();
        }
        let count = self.steps.len();
        if count == 0 {
            return None;
        }
        let peaks = (0..PEAKS).map(|part| {
            let from = part * count / PEAKS;
            let to = ((part + 1) * count / PEAKS).max(from + 1);
            let peak = self.steps[from..to].iter().map(|step| step.peak).fold(0.0, f32::max);
            (peak.min(1.0) * 255.0).round() as u8
        });
        let peaks = peaks.collect();
        let loud = self.steps.iter().filter(|step| step.swing > silence).count();
        let clicks_max = (count / STEPS_PER_CLICK).min(CLICK_STEPS_MAX);
        Some(Waveform { peaks, silent: loud <= clicks_max })
    }
}

#[cfg(test)]
mod tests {
    use super::{Peaks, SILENCE, SILENCE_8_BIT};

    #[test]
    fn a_click_is_no_speech_and_parts_are_equal() {
        let mut peaks = Peaks::default();
        let mut samples = vec![0.0; 16_000];
        samples[8_000] = 0.5;
        peaks.push(&samples, 1, 16_000);
        let drawn = peaks.finish(SILENCE).unwrap();
        assert!(drawn.silent);
        assert_eq!((drawn.peaks.len(), drawn.peaks[32], drawn.peaks[0]), (64, 128, 0));
        let mut peaks = Peaks::default();
        samples[4_000..5_000].fill(-0.25);
        peaks.push(&samples, 1, 16_000);
        assert!(!peaks.finish(SILENCE).unwrap().silent);
        assert_eq!(Peaks::default().finish(SILENCE), None);
    }

    #[test]
    fn a_short_word_is_heard_in_a_long_clip() {
        let is_silent = |loud_ms: usize| {
            let mut samples = vec![0.0; 60 * 16_000];
            samples[80_000..][..loud_ms * 16].fill_with({
                let mut sample = 0.1;
                move || {
                    sample = -sample;
                    sample
                }
            });
            let mut peaks = Peaks::default();
            peaks.push(&samples, 1, 16_000);
            peaks.finish(SILENCE).unwrap().silent
        };
        assert!(is_silent(0) && is_silent(50));
        assert!(!is_silent(60) && !is_silent(300));
    }

    #[test]
    fn each_channel_may_have_an_offset_of_its_own() {
        let drawn = |samples: &[f32]| {
            let mut peaks = Peaks::default();
            peaks.push(samples, 2, 16_000);
            peaks.finish(SILENCE).unwrap()
        };
        assert!(drawn(&[0.02, 0.0].repeat(16_000)).silent);
        let speech = drawn(&[0.02, 0.0, 0.02, 0.25].repeat(8_000));
        assert!(!speech.silent);
        assert_eq!((speech.peaks[0], speech.peaks.len()), (64, 64));
    }

    #[test]
    fn a_muted_microphone_may_have_an_offset_or_noise_of_one_step() {
        let is_silent = |samples: &[f32], silence| {
            let mut peaks = Peaks::default();
            peaks.push(samples, 1, 16_000);
            peaks.finish(silence).unwrap().silent
        };
        let offset = vec![600.0 / 32_768.0; 16_000];
        assert!(is_silent(&offset, SILENCE));
        let steps: Vec<f32> = (0..16_000).map(|n| (n % 100 / 50) as f32 * offset[0]).collect();
        assert!(!is_silent(&steps, SILENCE));
        let noise: Vec<f32> =
            [127.0, 128.0, 128.0, 129.0].map(|byte| byte / 128.0 - 1.0).repeat(4_000);
        assert!(is_silent(&noise, SILENCE_8_BIT) && !is_silent(&noise, SILENCE));
        assert!(!is_silent(&noise.iter().map(|one| one * 2.0).collect::<Vec<_>>(), SILENCE_8_BIT));
    }
}
