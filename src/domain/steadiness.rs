//! Whether the wall clock has run as fast as the clock that only goes forward.

use super::UnixMs;

/// Differences up to this are slow corrections of a clock, and the granularity of looking.
const STEP_MS_MIN: i64 = 1_000;

/// Two clocks, read together from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steadiness {
    wall: UnixMs,
    steady_ms: u64,
}

impl Steadiness {
    /// The first reading; `steady_ms` counts from any beginning.
    pub fn new(wall: UnixMs, steady_ms: u64) -> Steadiness {
        Steadiness { wall, steady_ms }
    }

    /// The next reading: whether the wall clock was stepped forward since the last one, or the
    /// machine slept.
    pub fn stepped_forward(&mut self, wall: UnixMs, steady_ms: u64) -> bool {
        let steady = i64::try_from(steady_ms.saturating_sub(self.steady_ms)).unwrap_or(i64::MAX);
        let expected = self.wall.plus_ms(steady);
        *self = Steadiness { wall, steady_ms };
        wall > expected.plus_ms(STEP_MS_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_forward_counts() {
        let mut clocks = Steadiness::new(UnixMs(1_000_000), 0);
        assert!(!clocks.stepped_forward(UnixMs(1_030_000), 30_000));
        assert!(!clocks.stepped_forward(UnixMs(1_031_900), 31_000), "corrected slowly");
        assert!(clocks.stepped_forward(UnixMs(4_631_900), 31_000), "an hour in no time");
        assert!(!clocks.stepped_forward(UnixMs(4_632_900), 32_000));
        assert!(!clocks.stepped_forward(UnixMs(1_032_900), 33_000), "back");
        assert!(!clocks.stepped_forward(UnixMs(1_033_900), 34_000));
    }
}
