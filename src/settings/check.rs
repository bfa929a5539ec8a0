//! Collects what is wrong, so that an operator mends everything in one go.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::{Problem, SettingsError, Warning};

/// The findings of one check of all settings.
#[derive(Default)]
pub(super) struct Check {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Check {
    pub(super) fn problem(&mut self, key: &'static str, what: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), layer: None, what: what.into() });
    }

    pub(super) fn warning(&mut self, key: &'static str, what: impl Into<String>) {
        self.warnings.push(Warning { key, what: what.into() });
    }

    /// `value` lies within `range`, ends included.
    pub(super) fn range<T: PartialOrd + Display>(
        &mut self,
        key: &'static str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if value < *range.start() {
            self.problem(key, format!("is {value}, below the minimum of {}", range.start()));
        } else if value > *range.end() {
            self.problem(key, format!("is {value}, above the maximum of {}", range.end()));
        }
    }

    /// The first value does not exceed the second; each comes with its key.
    pub(super) fn ordered<T: PartialOrd + Display>(
        &mut self,
        (key, value): (&'static str, T),
        (limit_key, limit): (&'static str, T),
    ) {
        if value > limit {
            self.problem(key, format!("is {value}, above {limit_key}, which is {limit}"));
        }
    }

    /// Nothing is reachable from other hosts as long as nobody has to say who they are.
    /// `remedy` says what makes it so that they have to.
    pub(super) fn loopback(&mut self, key: &'static str, address: SocketAddr, remedy: &str) {
        if !address.ip().is_loopback() {
            self.problem(
                key,
                format!(
                    "is {address}, which other hosts can reach; without authentication it must be \
                     a loopback address such as 127.0.0.1:{}; {remedy}",
                    address.port()
                ),
            );
        }
    }

    pub(super) fn finish(self) -> Result<Vec<Warning>, SettingsError> {
        if self.problems.is_empty() {
            Ok(self.warnings)
        } else {
            Err(SettingsError::Invalid(self.problems))
        }
    }
}
