//! The integration tests: one binary, because each costs a link.

mod audio;
mod settings;
mod telemetry;
