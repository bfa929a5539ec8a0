//! What the gateway tells operators about itself: a log of state changes, and numbers to graph.
//!
//! Knows the settings and the domain's words, nothing of what it reports on. Neither part holds a
//! secret, a transcript, audio or a guest's identity (invariant 8).

mod log;
mod metrics;
mod panics;

pub use log::{LogError, init, subscriber};
pub use metrics::{CLASSIC_TYPE, Call, CallOutcome, GaugeGuard, Metrics, OPENMETRICS_TYPE};
