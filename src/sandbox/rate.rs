//! Limits of API calls by window. One count for all tokens: a sandbox has one client. An endpoint
//! may have a window of its own beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::core::Endpoint;
use super::rule::Target;
use super::wire::{Limit, Problem};

/// What `inin-ratelimit-allowed` says while the limit is off: more than a minute can hold.
const ALLOWED_WHEN_OFF: u32 = 100_000_000;

/// A limit set while the sandbox runs. As JSON:
/// `{"endpoint":"post","calls":300,"window_seconds":60}`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Whose calls: `"any"`, the default, is the client's limit, token exchanges apart.
    #[serde(default = "any")]
    pub endpoint: Target,
    /// Calls allowed in a window; 0 switches the limit off.
    pub calls: u32,
    /// Length of a window, at least 1 and at most an hour.
    #[serde(default = "minute")]
    pub window_seconds: u32,
}

fn any() -> Target {
    Target::Any
}

fn minute() -> u32 {
    60
}

/// All limits, each with its open window.
pub(super) struct RateLimits {
    client: RateWindow,
    endpoints: BTreeMap<Endpoint, RateWindow>,
}

/// A fixed window that opens with the first call after the last one closed.
struct RateWindow {
    calls: u32,
    window_ms: i64,
    opened_at_ms: i64,
    count: u32,
}

/// What one call finds.
#[derive(Clone, Copy)]
pub(super) struct RateCount {
    /// Goes into the `inin-ratelimit-*` headers.
    pub client: WindowCount,
    endpoint: Option<WindowCount>,
}

/// A window as one call finds it, itself counted.
#[derive(Clone, Copy)]
pub(super) struct WindowCount {
    pub count: u32,
    pub allowed: u32,
    pub reset_seconds: u64,
}

impl RateLimits {
    /// `calls_per_minute` 0 counts and never refuses.
    pub fn new(calls_per_minute: u32) -> Self {
        let client = RateWindow::new(calls_per_minute, minute());
        RateLimits { client, endpoints: BTreeMap::new() }
    }

    /// Puts a limit in the place of the one with the same target; its window starts anew.
    pub fn set(&mut self, limit: RateLimit) {
        let window = RateWindow::new(limit.calls, limit.window_seconds);
        match limit.endpoint {
            Target::Any => self.client = window,
            Target::One(endpoint) => drop(self.endpoints.insert(endpoint, window)),
        }
    }

    /// Counts one call. Refused calls count as well, as they do on the platform.
    pub fn count(&mut self, endpoint: Endpoint, now_ms: i64) -> RateCount {
        let own = self.endpoints.get_mut(&endpoint);
        RateCount {
            client: self.client.count(now_ms),
            endpoint: own.map(|window| window.count(now_ms)),
        }
    }
}

impl RateWindow {
    fn new(calls: u32, window_seconds: u32) -> Self {
        let window_ms = i64::from(window_seconds.clamp(1, 3_600)) * 1_000;
        RateWindow { calls, window_ms, opened_at_ms: i64::MIN, count: 0 }
    }

    fn count(&mut self, now_ms: i64) -> WindowCount {
        let age_ms = now_ms.saturating_sub(self.opened_at_ms);
        if !(0..self.window_ms).contains(&age_ms) {
            self.opened_at_ms = now_ms;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        let left_ms = self.window_ms - now_ms.saturating_sub(self.opened_at_ms);
        let allowed = match self.calls {
            0 => ALLOWED_WHEN_OFF,
            calls => calls,
        };
        let reset_seconds = left_ms.unsigned_abs().div_ceil(1_000);
        WindowCount { count: self.count, allowed, reset_seconds }
    }
}

impl RateCount {
    /// 429 where a limit is crossed: the client's, or that of the endpoint alone.
    pub fn check(&self) -> Result<(), Problem> {
        self.client.check("client.credentials.token.rate.per.minute")?;
        self.endpoint.map_or(Ok(()), |window| window.check("endpoint.rate.per.window"))
    }
}

impl WindowCount {
    fn check(&self, key: &'static str) -> Result<(), Problem> {
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
            limit: Some(Limit { key, namespace: "platform.api", value: self.allowed }),
        })
    }
}
