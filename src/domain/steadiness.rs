//! Whether the wall clock has run as fast as the clock that only goes forward, and may be believed.

use std::time::Duration;

use super::UnixMs;

/// Differences up to this are slow corrections of a clock, and the granularity of looking.
const STEP_MS_MIN: i64 = 1_000;

/// Two clocks, read together from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steadiness {
    wall: UnixMs,
    steady: Duration,
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
    /// The first reading, from which the other clock counts.
    pub fn new(wall: UnixMs) -> Steadiness {
        Steadiness { wall, steady: Duration::ZERO }
    }

    /// The next reading, so long after the first one: how the wall clock has run since the last.
    pub fn look(&mut self, wall: UnixMs, steady: Duration) -> ClockStep {
        let elapsed_ms = steady.saturating_sub(self.steady).as_millis();
        let expected = self.wall.plus_ms(i64::try_from(elapsed_ms).unwrap_or(i64::MAX));
        *self = Steadiness { wall, steady };
        match () {
            () if wall > expected.plus_ms(STEP_MS_MIN) => ClockStep::Forward,
            () if wall < expected.plus_ms(-STEP_MS_MIN) => ClockStep::Back,
            () => ClockStep::None,
        }
    }
}

/// How long a wall clock is doubted that was stepped: one that is wrong is usually set right within
/// minutes.
pub const DOUBT: Duration = Duration::from_secs(3_600);

/// Whether the wall clock may say what is old enough to be deleted for good, or lies too far ahead.
/// Not for [`DOUBT`] after a step, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credence {
    clocks: Steadiness,
    doubted_until: Duration,
}

impl Credence {
    /// The first reading, of which nothing is known: it is doubted for so long.
    pub fn new(wall: UnixMs, doubted_for: Duration) -> Credence {
        Credence { clocks: Steadiness::new(wall), doubted_until: doubted_for }
    }

    /// The next reading, so long after the first one: whether it is believed.
    pub fn is_believed(&mut self, wall: UnixMs, steady: Duration) -> bool {
        if self.clocks.look(wall, steady) != ClockStep::None {
            self.doubted_until = steady.saturating_add(DOUBT);
        }
        steady >= self.doubted_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_is_believed_when_it_has_run_evenly_for_a_while() {
        let mut credence = Credence::new(UnixMs(0), ms(1_000));
        assert!(!credence.is_believed(UnixMs(900), ms(900)), "nothing is known of it");
        assert!(credence.is_believed(UnixMs(1_000), ms(1_000)));
        assert!(!credence.is_believed(UnixMs(90_000), ms(1_100)), "a step");
        assert!(!credence.is_believed(UnixMs(3_690_000), ms(3_601_000)));
        assert!(credence.is_believed(UnixMs(3_690_100), ms(3_601_100)));
        assert!(!credence.is_believed(UnixMs(3_601_200), ms(3_601_200)), "a step back");
        assert!(!credence.is_believed(UnixMs(7_201_100), ms(7_201_100)));
        assert!(credence.is_believed(UnixMs(7_201_200), ms(7_201_200)));
    }

    #[test]
    fn only_steps_are_told() {
        let mut clocks = Steadiness::new(UnixMs(1_000_000));
        assert_eq!(clocks.look(UnixMs(1_030_000), ms(30_000)), ClockStep::None);
        assert_eq!(clocks.look(UnixMs(1_031_900), ms(31_000)), ClockStep::None, "slowly");
        assert_eq!(clocks.look(UnixMs(4_631_900), ms(31_000)), ClockStep::Forward, "at once");
        assert_eq!(clocks.look(UnixMs(4_632_900), ms(32_000)), ClockStep::None);
        assert_eq!(clocks.look(UnixMs(1_032_900), ms(33_000)), ClockStep::Back);
        assert_eq!(clocks.look(UnixMs(1_033_900), ms(34_000)), ClockStep::None);
    }
}
