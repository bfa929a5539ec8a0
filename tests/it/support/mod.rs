//! A gateway with its sandbox over real sockets, and what a test needs to talk to both.
//!
//! `gateway` starts and checks, `client` speaks HTTP, `form` builds the multipart body by hand,
//! `contract` holds every answer against the served OpenAPI document, `log` keeps all that is
//! logged.

mod client;
mod contract;
mod form;
mod gateway;
pub mod issuer;
mod log;

pub use client::{Client, Reply, Request};
pub use contract::Contract;
pub use form::{CONVERSATION, Form, SENDER, TRANSCRIPT, fixture};
pub use gateway::{Builder, MEDIA_BASE_URL, TestGateway, open_messaging, wait_for};
pub use log::logged;

use std::time::{Duration, Instant};

/// Longest wait for something that the gateway does by itself.
const EVENTUALLY: Duration = Duration::from_secs(10);

/// Asks every few milliseconds until there is an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + EVENTUALLY;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {EVENTUALLY:?}: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Lets time pass on this thread, which runs nothing else.
#[expect(clippy::disallowed_methods, reason = "a test's thread has no other tasks")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
