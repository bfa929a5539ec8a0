//! Counts of what calls came to, for the observable states of the actors that make them.

use serde::Serialize;

use crate::domain::{Code, Failure, Outcome};

/// How often each outcome was seen.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Outcomes {
    /// It happened.
    pub done: u64,
    /// It was answered and did not happen.
    pub refused: u64,
    /// It never left.
    pub not_sent: u64,
    /// Nobody knows.
    pub unknown: u64,
}

impl Outcomes {
    /// Counts one.
    pub fn count<T>(&mut self, outcome: &Outcome<T>) {
        match outcome {
            Outcome::Done(_) => self.done += 1,
            Outcome::Refused(_) => self.refused += 1,
            Outcome::NotSent(_) => self.not_sent += 1,
            Outcome::Unknown(_) => self.unknown += 1,
        }
    }
}

/// The outcome of a call that panicked: it may have left.
pub fn panicked<T>() -> Outcome<T> {
    Outcome::Unknown(Failure::passing(Code::Internal, "the call panicked"))
}
