//! The one integration binary: real files, real sockets, the real program.

mod settings;
mod telemetry;
