//! `voicepost serve`: the gateway, until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ended;
use crate::actors::Fatal;
use crate::app::App;
use crate::settings::{Credentials, Settings};
use crate::telemetry;

/// Exit code after a fault that only a new process can mend (EX_SOFTWARE of sysexits.h).
pub(super) const FATAL: i32 = 70;

/// Runs the gateway. Exit code 0 after a whole drain, or where it was stopped before it had
/// started; 1 where the start failed or the drain was cut short.
///
/// # Errors
/// Everything that keeps the gateway from starting, in words for an operator.
pub fn run(config: Option<&Path>) -> Ended {
    let settings = Settings::load(config)?;
    telemetry::init(&settings.log)?;
    for warning in settings.check()? {
        tracing::warn!("{warning}");
    }
    settings.route()?;
    let credentials = Credentials::load()?;
    raise_descriptors();
    actix_rt::System::new().block_on(async move {
        // Listening comes first: a supervisor may stop what it has only just started.
        let mut stop = StopSignals::listen()?;
        let app = tokio::select! {
            app = App::start(&settings, credentials, fatal(), None) => app?,
            () = stop.next() => {
                tracing::info!("stopped before the start was done");
                at_once(0)
            }
        };
        tokio::select! {
            () = stop.next() => {}
            // An operator asks for the same over HTTP.
            () = app.drain_asked() => {}
        }
        tokio::select! {
            whole = app.drain() => Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            () = stop.next() => {
                tracing::warn!("stopped at once by a second signal");
                at_once(1)
            }
        }
    })
}

/// Takes as many file descriptors as the system lets this process have. Two go to each connection;
/// the usual soft limit of 1,024 is a handful of slow senders.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = ?limit.current, "the limit of descriptors stays as it is");
    }
}

/// Ends the process without waiting for anything, such as a disk that hangs.
fn at_once(code: i32) -> ! {
    std::process::exit(code)
}

/// Ends the process; the next one recovers from the ledger.
pub(super) fn fatal() -> Fatal {
    Arc::new(|reason: String| {
        tracing::error!(reason, "the process cannot go on");
        std::process::exit(FATAL);
    })
}

/// SIGTERM and SIGINT, from the moment on that somebody listens.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<StopSignals> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(StopSignals { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next of them, or at once where one has come since the last.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Resolves at SIGTERM or SIGINT.
pub(super) async fn stop_signal() -> std::io::Result<()> {
    StopSignals::listen()?.next().await;
    Ok(())
}
