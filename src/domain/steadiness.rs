//! Whether the wall clock has run as fast as the clock that only goes forward, and may be believed.

use super::UnixMs;

/// Differences up to this are slow corrections of a clock, and the granularity of looking.
const STEP_MS_MIN: i64 = 1_000;

/// Two clocks, read together from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steadiness {
    wall: UnixMs,
    steady_ms: u64,
}

/// Whether the wall clock was stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockStep {
    /// It ran as fast as the other one.
    None,
    /// It went forward at once, or the machine slept.
    Forward,
    /// It went back at once.
    Back,
}

impl Steadiness {
    /// The first reading; `steady_ms` counts from any beginning.
    pub fn new(wall: UnixMs, steady_ms: u64) -> Steadiness {
        Steadiness { wall, steady_ms }
    }

    /// The next reading: how the wall clock has run since the last one.
    pub fn look(&mut self, wall: UnixMs, steady_ms: u64) -> ClockStep {
        let steady = i64::try_from(steady_ms.saturating_sub(self.steady_ms)).unwrap_or(i64::MAX);
        let expected = self.wall.plus_ms(steady);
        *self = Steadiness { wall, steady_ms };
        match () {
            () if wall > expected.plus_ms(STEP_MS_MIN) => ClockStep::Forward,
            () if wall < expected.plus_ms(-STEP_MS_MIN) => ClockStep::Back,
            () => ClockStep::None,
        }
    }
}

/// How long a wall clock is doubted that was stepped forward: one that is wrong is usually set
/// right within minutes.
pub const DOUBT_MS: u64 = 3_600_000;

/// Whether the wall clock may say what is old enough to be deleted for good, or lies too far ahead.
/// Not for [`DOUBT_MS`] after a step, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credence {
    clocks: Steadiness,
    doubted_until_ms: u64,
}

impl Credence {
    /// The first reading, of which nothing is known: it is doubted for `doubt_ms`.
    pub fn new(wall: UnixMs, steady_ms: u64, doubt_ms: u64) -> Credence {
        let doubted_until_ms = steady_ms.saturating_add(doubt_ms);
        Credence { clocks: Steadiness::new(wall, steady_ms), doubted_until_ms }
    }

    /// The next reading: whether it is believed.
    pub fn is_believed(&mut self, wall: UnixMs, steady_ms: u64) -> bool {
        if self.clocks.look(wall, steady_ms) != ClockStep::None {
            self.doubted_until_ms = steady_ms.saturating_add(DOUBT_MS);
        }
        steady_ms >= self.doubted_until_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_believed_when_it_has_run_evenly_for_a_while() {
        let mut credence = Credence::new(UnixMs(0), 0, 1_000);
        assert!(!credence.is_believed(UnixMs(900), 900), "nothing is known of it");
        assert!(credence.is_believed(UnixMs(1_000), 1_000));
        assert!(!credence.is_believed(UnixMs(90_000), 1_100), "a step");
        assert!(!credence.is_believed(UnixMs(3_690_000), 3_601_000));
        assert!(credence.is_believed(UnixMs(3_690_100), 3_601_100));
        assert!(!credence.is_believed(UnixMs(3_601_200), 3_601_200), "a step back");
        assert!(!credence.is_believed(UnixMs(7_201_100), 7_201_100));
        assert!(credence.is_believed(UnixMs(7_201_200), 7_201_200));
    }

    #[test]
    fn only_steps_are_told() {
        let mut clocks = Steadiness::new(UnixMs(1_000_000), 0);
        assert_eq!(clocks.look(UnixMs(1_030_000), 30_000), ClockStep::None);
        assert_eq!(clocks.look(UnixMs(1_031_900), 31_000), ClockStep::None, "corrected slowly");
        assert_eq!(clocks.look(UnixMs(4_631_900), 31_000), ClockStep::Forward, "an hour at once");
        assert_eq!(clocks.look(UnixMs(4_632_900), 32_000), ClockStep::None);
        assert_eq!(clocks.look(UnixMs(1_032_900), 33_000), ClockStep::Back);
        assert_eq!(clocks.look(UnixMs(1_033_900), 34_000), ClockStep::None);
    }
}
