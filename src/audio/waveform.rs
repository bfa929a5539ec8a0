//! The waveform of a clip that may be delivered: everything is decoded once, and forgotten.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::{Codec, Deliverable, Media, PEAKS, Waveform};

use super::decoders;

/// Peaks are gathered so many milliseconds at a time before they are made into a picture.
const STEP_MS: u64 = 10;
/// Below this part of full scale, about -50 dB, nothing is to be heard.
const SILENCE: f32 = 0.003;
/// One step in so many may be louder in a silent clip: switching a microphone clicks.
const CLICKS: usize = 100;

/// The waveform of a clip that is `media`; `None` where it cannot be decoded after all.
///
/// CPU-bound: a tenth of a second for a minute of Opus. A crash inside a decoder is caught.
pub fn waveform(clip: &[u8], media: &Media<Deliverable>) -> Option<Waveform> {
    let mut peaks = Peaks::default();
    let drawn = catch_unwind(AssertUnwindSafe(|| {
        let take = &mut |samples: &[f32], per_second: u64| peaks.push(samples, per_second);
        match media.codec {
            Codec::Mp3 => decoders::mp3(clip, take),
            Codec::Vorbis => decoders::vorbis(clip, take),
            Codec::Opus => decoders::opus(clip, take),
            Codec::Pcm | Codec::PcmFloat | Codec::Alaw | Codec::Mulaw | Codec::Adpcm => {
                decoders::wav(clip, take)
            }
            Codec::Aac | Codec::Flac => None,
        }
    }));
    drawn.ok().flatten()?;
    peaks.finish()
}

/// The largest deflection of each step.
#[derive(Debug, Default)]
struct Peaks {
    steps: Vec<f32>,
    peak: f32,
    /// Samples of the step under way, in units of a sample times 1,000.
    taken: u64,
}

impl Peaks {
    /// Takes samples of any channels, of which there are so many in a second in all.
    fn push(&mut self, samples: &[f32], per_second: u64) {
        let per_step = per_second * STEP_MS;
        for sample in samples {
            self.peak = self.peak.max(sample.abs());
            self.taken += 1_000;
            if self.taken >= per_step {
                self.taken -= per_step;
                self.steps.push(std::mem::take(&mut self.peak));
            }
        }
    }

    fn finish(mut self) -> Option<Waveform> {
        if self.taken > 0 {
            self.steps.push(self.peak);
        }
        let count = self.steps.len();
        if count == 0 {
            return None;
        }
        let peaks = (0..PEAKS).map(|part| {
            let from = part * count / PEAKS;
            let to = ((part + 1) * count / PEAKS).max(from + 1);
            let peak = self.steps[from..to].iter().fold(0.0, |a: f32, b| a.max(*b));
            (peak.min(1.0) * 255.0).round() as u8
        });
        let peaks = peaks.collect();
        let loud = self.steps.iter().filter(|peak| **peak > SILENCE).count();
        Some(Waveform { peaks, silent: loud <= count / CLICKS })
    }
}

#[cfg(test)]
mod tests {
    use super::Peaks;

    #[test]
    fn a_click_is_no_speech_and_parts_are_equal() {
        let mut peaks = Peaks::default();
        let mut samples = vec![0.0; 16_000];
        samples[8_000] = 0.5;
        peaks.push(&samples, 16_000);
        let drawn = peaks.finish().unwrap();
        assert!(drawn.silent);
        assert_eq!((drawn.peaks.len(), drawn.peaks[32], drawn.peaks[0]), (64, 128, 0));
        let mut peaks = Peaks::default();
        samples[4_000..5_000].fill(-0.25);
        peaks.push(&samples, 16_000);
        assert!(!peaks.finish().unwrap().silent);
        assert_eq!(Peaks::default().finish(), None);
    }
}
