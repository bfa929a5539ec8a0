//! The one integration binary: real files, real sockets, the real program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audio;
mod cli;
mod settings;
mod telemetry;
