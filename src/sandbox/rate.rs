//! The limit of API calls a minute. One window for all tokens: a sandbox has one client.

use super::wire::{Limit, Problem};

const WINDOW_MS: i64 = 60_000;
/// What `inin-ratelimit-allowed` says while the limit is off: more than a minute can hold.
const ALLOWED_WHEN_OFF: u32 = 100_000_000;

/// A fixed window that opens with the first call after the last one closed.
pub(super) struct RateWindow {
    calls_per_minute: u32,
    opened_at_ms: i64,
    count: u32,
}

/// What one call finds; goes into the `inin-ratelimit-*` headers.
#[derive(Clone, Copy)]
pub(super) struct RateCount {
    pub count: u32,
    pub allowed: u32,
    pub reset_seconds: u64,
}

impl RateWindow {
    /// `calls_per_minute` 0 counts and never refuses.
    pub fn new(calls_per_minute: u32) -> Self {
        RateWindow { calls_per_minute, opened_at_ms: i64::MIN, count: 0 }
    }

    /// Counts one call. Refused calls count as well, as they do on the platform.
    pub fn count(&mut self, now_ms: i64) -> RateCount {
        let age_ms = now_ms.saturating_sub(self.opened_at_ms);
        if !(0..WINDOW_MS).contains(&age_ms) {
            self.opened_at_ms = now_ms;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        let left_ms = WINDOW_MS - now_ms.saturating_sub(self.opened_at_ms);
        let allowed = match self.calls_per_minute {
            0 => ALLOWED_WHEN_OFF,
            calls => calls,
        };
        let reset_seconds = left_ms.unsigned_abs().div_ceil(1_000);
        RateCount { count: self.count, allowed, reset_seconds }
    }
}

impl RateCount {
    pub fn check(&self) -> Result<(), Problem> {
        if self.count <= self.allowed {
            return Ok(());
        }
        let seconds = self.reset_seconds;
        Err(Problem {
            status: 429,
            code: "too.many.requests",
            message: format!(
                "Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"
            ),
            retry_after_seconds: Some(seconds),
            limit: Some(Limit {
                key: "client.credentials.token.rate.per.minute",
                namespace: "platform.api",
                value: self.allowed,
            }),
        })
    }
}
