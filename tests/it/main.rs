//! Everything that is tested against real files and sockets, in one binary.

mod ledger;
mod samples;
mod spool;
