//! Section `server`: where senders reach the gateway, and how patient it is with them.

use std::net::SocketAddr;

use serde::Deserialize;

use super::check::Check;
use super::parse;

/// Section `server`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address of `/v1`; loopback only, as long as callers need not say who they are.
    #[serde(deserialize_with = "parse::text")]
    pub listen: SocketAddr,
    /// Reverse proxies between clients and the gateway.
    pub proxy_hops: usize,
    /// HTTP worker threads; 0 means one per core.
    pub workers: usize,
    /// How long a sender waits for delivery unless it says otherwise.
    pub wait_seconds: u64,
    /// Longest wait a sender may ask for.
    pub wait_seconds_max: u64,
    /// Requests in flight; more are answered 503 `busy`.
    pub requests_max: usize,
    /// Connections from one address; 0 means no limit.
    pub connections_per_address_max: usize,
    /// Total time for the head of a request.
    pub head_seconds_max: u64,
    /// Event streams open at a time; more are answered 503 `busy`.
    pub event_streams_max: usize,
    /// Event streams of one guest; 0 means no limit.
    pub event_streams_per_guest_max: usize,
    /// Total time for a request body.
    pub body_seconds_max: u64,
    /// Slowest upload, judged after its first 10 s.
    pub body_bytes_per_second_min: u64,
    /// How long a refused sender may go on sending before the connection is cut.
    pub linger_seconds: u64,
    /// How long requests under way may take to finish once the gateway stops.
    pub drain_seconds: u64,
}

/// Longest a sender may be left waiting for its answer (HTTP contract, `Prefer: wait=N`).
const WAIT_SECONDS_LIMIT: u64 = 60;

impl Server {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("server.proxy_hops", self.proxy_hops, 0..=16);
        check.range("server.workers", self.workers, 0..=256);
        check.range("server.wait_seconds_max", self.wait_seconds_max, 0..=WAIT_SECONDS_LIMIT);
        check.ordered(
            ("server.wait_seconds", self.wait_seconds),
            ("server.wait_seconds_max", self.wait_seconds_max),
        );
        check.range("server.requests_max", self.requests_max, 1..=65_536);
        check.range("server.head_seconds_max", self.head_seconds_max, 1..=60);
        check.range("server.event_streams_max", self.event_streams_max, 0..=65_536);
        let per_guest = self.event_streams_per_guest_max;
        check.range("server.event_streams_per_guest_max", per_guest, 0..=65_536);
        check.range("server.body_seconds_max", self.body_seconds_max, 1..=3_600);
        check.range(
            "server.body_bytes_per_second_min",
            self.body_bytes_per_second_min,
            1..=1_048_576,
        );
        check.range("server.linger_seconds", self.linger_seconds, 0..=60);
        check.range("server.drain_seconds", self.drain_seconds, 0..=600);
    }
}
