//! The simulation: the real pipeline, actors, route code and SQL, one thread, a paused clock, and
//! the sandbox's core behind a transport in memory. A seed decides the trouble; a crash can fall on
//! every commit and every call. After each run the checker reckons up.
//!
//! The route is a part of the plan: the same trouble and the same checker for each.
//!
//! A failing run prints the line that repeats it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ahead;
mod checker;
mod crashes;
mod limits;
mod lying;
mod overload;
mod plan;
mod process;
mod runs;
mod transport;
mod waits;
mod way;
mod world;
