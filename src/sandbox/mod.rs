//! The stand-in for Genesys Cloud that the demo, the tests and the benches talk to.
//!
//! It serves the `media-api` contract and Open Messaging to the letter, keeps an account of all
//! that reached it, and fails on request: late, slowly, with a status, with a connection cut before
//! or after the effect, or not there at all.
//!
//! A pure core, `Sandbox::handle(request, now_ms) -> Reply`, reads no clock and opens no socket, so
//! that a simulation can call it in memory; `SandboxServer` puts it behind HTTP.
//!
//! It imports nothing of the rest of the crate. Client and stand-in are written from the contract
//! each for itself: sharing types would let both agree on a wrong wire.
//!
//! - `wire`: a request, a reply, how a reply is delivered; Genesys' error body
//! - `core`: state and dispatch · `oauth`, `media`, `messages`: media-api · `audio`: `mediaUrl`
//! - `open_messages`, `cached_media`, `integration`: open messaging
//! - `answers`, `receipts`: agents' answers
//! - `rule`, `faults`: seeded trouble · `rate`: limits by window · `account`: what happened
//! - `shell`: the HTTP server · `courier`: calls of the webhook
//! - `page`: the page to watch conversations, hear clips and answer
mod account;
mod answers;
mod audio;
mod cached_media;
mod control;
mod core;
mod courier;
mod faults;
mod integration;
mod media;
mod messages;
mod multipart;
mod oauth;
mod open_messages;
mod page;
mod rate;
mod receipts;
mod rule;
mod settings;
mod shell;
mod wire;

pub use account::{Account, Post, Retention, Summary, Upload};
pub use answers::{AgentAnswer, AnswerRefused, AnswerState, Webhook, WebhookCall, WebhookEnd};
pub use cached_media::CachedItem;
pub use core::{Endpoint, Sandbox};
pub use rate::RateLimit;
pub use receipts::{Reason, Receipt};
pub use rule::{Cut, FaultAction, FaultError, FaultRule, Latency, Outage, Target};
pub use settings::{MediaIds, SandboxSettings};
pub use shell::SandboxServer;
pub use wire::{Arrival, Delivery, Ending, Reply, Request};
