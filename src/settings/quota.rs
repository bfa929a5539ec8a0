//! Section `quota`: how much callers may ask.

use serde::Deserialize;

use super::check::Check;

/// Section `quota`. Requests a minute; 0: no quota.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// With one API key that names no quota of its own.
    pub key_per_minute: u32,
    /// Of one guest.
    pub guest_per_minute: u32,
    /// From one address, but those with an API key.
    pub address_per_minute: u32,
}

/// Highest quota; beyond it a minute's worth is no limit.
const PER_MINUTE_MAX: u32 = 10_000_000;

impl Quota {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("quota.key_per_minute", self.key_per_minute, 0..=PER_MINUTE_MAX);
        check.range("quota.guest_per_minute", self.guest_per_minute, 0..=PER_MINUTE_MAX);
        check.range("quota.address_per_minute", self.address_per_minute, 0..=PER_MINUTE_MAX);
    }
}
