//! Panics in the log: where, and what was said where that stands in the program's own text.
//!
//! A message that was put together at run time may quote what was at hand. The standard library's
//! does so of text that is cut within a letter, and that may be what a guest said.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

const WITHHELD: &str = "withheld, because it may quote data";

/// Makes every panic of this process an event of its log, in place of the text on standard error.
pub(super) fn log() {
    panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let at = panic.location().map(ToString::to_string);
    // As RUST_BACKTRACE asks for it. It holds names and places of code, and no values.
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => Some(backtrace.to_string()),
        _ => None,
    };
    let (thread, message) = (thread.name(), said(panic.payload()));
    tracing::error!(event = "panicked", thread, at, message, backtrace);
}

/// What a panic said. A literal is data of the program, anything else is not known to be.
fn said(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or(WITHHELD)
}
