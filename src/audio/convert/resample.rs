//! From any sample rate to another: a windowed sinc, its phases in a table, weights between two
//! phases taken in proportion. The image of what lies above half the lower rate is kept out.

/// Zero crossings of the sinc on each side.
const CROSSINGS: usize = 16;
/// Phases in the table for the way from one input sample to the next.
const PHASES: usize = 256;
/// Where the pass band ends, as a part of half the lower rate.
const PASS: f64 = 0.94;

/// Converts a stream of samples, piece after piece.
#[derive(Debug)]
pub(super) struct Resampler {
    /// Weights of phase after phase, `taps` each, and one phase more to look ahead to.
    table: Vec<f32>,
    taps: usize,
    /// Input that is still needed; the first sample of it is number `first`.
    input: Vec<f32>,
    first: u64,
    from_hz: u64,
    to_hz: u64,
    /// Number of the next output sample.
    next: u64,
}

impl Resampler {
    pub(super) fn new(from_hz: u32, to_hz: u32) -> Resampler {
        // Going down, the filter is as much wider as its band is narrower.
        let scale = f64::from(to_hz.min(from_hz)) / f64::from(from_hz);
        let half = (CROSSINGS as f64 / scale).ceil() as usize;
        let taps = 2 * half;
        Resampler {
            table: table(taps, scale * PASS),
            taps,
            // Silence before the beginning, so that the first output has all its taps.
            input: vec![0.0; half - 1],
            first: 0,
            from_hz: u64::from(from_hz),
            to_hz: u64::from(to_hz),
            next: 0,
        }
    }

    /// Takes input and appends the output that can be told from it.
    pub(super) fn push(&mut self, input: &[f32], out: &mut Vec<i16>) {
        self.input.extend_from_slice(input);
        loop {
            // Where the output lies among the input: a whole sample and a part of the next.
            let place = self.next * self.from_hz;
            let (whole, rest) = (place / self.to_hz, place % self.to_hz);
            let at = (whole - self.first) as usize;
            let Some(window) = self.input.get(at..at + self.taps) else { break };
            let phase = rest as f32 / self.to_hz as f32 * PHASES as f32;
            let (index, between) = (phase as usize, phase.fract());
            let weights = &self.table[index * self.taps..][..2 * self.taps];
            let (near, far) = weights.split_at(self.taps);
            let sum = |weights: &[f32]| dot(window, weights);
            let value = sum(near) * (1.0 - between) + sum(far) * between;
            out.push((value * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16);
            self.next += 1;
        }
        let needed = self.next * self.from_hz / self.to_hz;
        let done = ((needed - self.first) as usize).min(self.input.len());
        self.input.drain(..done);
        self.first += done as u64;
    }

    /// Appends what is left, followed by silence.
    pub(super) fn finish(mut self, out: &mut Vec<i16>) {
        let silence = vec![0.0; self.taps];
        self.push(&silence, out);
    }
}

/// Eight sums side by side, so that they need not wait for each other.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn table(taps: usize, band: f64) -> Vec<f32> {
    let half = taps as f64 / 2.0;
    let mut table = Vec::with_capacity((PHASES + 1) * taps);
    for phase in 0..=PHASES {
        let shift = phase as f64 / PHASES as f64;
        let at = |tap: usize| tap as f64 - (half - 1.0) - shift;
        let weights: Vec<f64> = (0..taps).map(|tap| weight(at(tap), band, half)).collect();
        let sum: f64 = weights.iter().sum();
        table.extend(weights.iter().map(|weight| (weight / sum) as f32));
    }
    table
}

/// A sinc of this band under a Blackman window.
fn weight(at: f64, band: f64, half: f64) -> f64 {
    use std::f64::consts::PI;
    if at.abs() >= half {
        return 0.0;
    }
    let x = PI * at * band;
    let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
    let turn = PI * at / half;
    sinc * (0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
}

#[cfg(test)]
mod tests {
    use super::Resampler;

    fn tone(rate_hz: u32, hz: f32, seconds: f32) -> Vec<f32> {
        let turn = std::f32::consts::TAU * hz / rate_hz as f32;
        (0..(rate_hz as f32 * seconds) as u32).map(|n| 0.5 * (turn * n as f32).sin()).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let squares: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
        (squares / samples.len() as f64).sqrt() / 32_768.0
    }

    #[test]
    fn a_tone_stays_and_what_cannot_be_told_is_kept_out() {
        for rate_hz in [8_000, 22_050, 44_100, 48_000, 96_000] {
            let (mut low, mut high) = (Vec::new(), Vec::new());
            let mut resampler = Resampler::new(rate_hz, 16_000);
            for piece in tone(rate_hz, 1_000.0, 1.0).chunks(1_000) {
                resampler.push(piece, &mut low);
            }
            resampler.finish(&mut low);
            assert!(low.len().abs_diff(16_000) < 40, "{rate_hz}: {}", low.len());
            // A phase-true copy: compare with the tone at the rate it was made for.
            let wanted = tone(16_000, 1_000.0, 1.0);
            let worst = (200..15_800)
                .map(|n| (f32::from(low[n]) / 32_768.0 - wanted[n]).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.001, "{rate_hz}: off by {worst}");
            if rate_hz > 20_000 {
                let mut resampler = Resampler::new(rate_hz, 16_000);
                resampler.push(&tone(rate_hz, 10_000.0, 1.0), &mut high);
                assert!(level(&high[200..15_800]) < 0.0005, "{rate_hz}: {}", level(&high));
            }
        }
    }
}
