//! The one integration binary: real files, real sockets, the real program.

mod cli;
mod settings;
mod telemetry;
