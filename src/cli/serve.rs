//! `voicepost serve`: the gateway, until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::Ended;
use crate::actors::Fatal;
use crate::app::App;
use crate::settings::{Credentials, Settings};
use crate::telemetry;

/// Exit code after a fault that only a new process can mend (EX_SOFTWARE of sysexits.h).
pub(super) const FATAL: i32 = 70;

/// Runs the gateway. Exit code 0 after a whole drain, 1 where the start failed or the drain was
/// cut short.
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
    actix_rt::System::new().block_on(async move {
        let app = App::start(&settings, credentials, fatal()).await?;
        stop_signal().await?;
        let second = stop_signal();
        tokio::select! {
            whole = app.drain() => Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            _ = second => {
                tracing::warn!("stopped at once by a second signal");
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

/// Ends the process; the next one recovers from the ledger.
pub(super) fn fatal() -> Fatal {
    Arc::new(|reason: String| {
        tracing::error!(reason, "the process cannot go on");
        std::process::exit(FATAL);
    })
}

/// Resolves at SIGTERM or SIGINT.
pub(super) async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
