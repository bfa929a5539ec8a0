//! The log: `tracing` events, as text for people or as one JSON object a line for machines.

use std::io::IsTerminal as _;

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::panics;
use crate::settings::{Log, LogFormat};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.filter` is no filter.
    #[error("log.filter is {filter:?}: {detail}")]
    Filter {
        /// The setting.
        filter: String,
        /// What is wrong with it.
        detail: String,
    },
    /// This process has a log already.
    #[error("the log of this process is set up already")]
    AlreadySet,
}

/// A log that writes to `sink`, one line an event, times in RFC 3339 UTC. Text has colours only
/// where `colours` says so.
///
/// # Errors
/// `Filter` when `log.filter` cannot be parsed.
pub fn subscriber<W>(settings: &Log, sink: W, colours: bool) -> Result<Dispatch, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| LogError::Filter {
        filter: settings.filter.clone(),
        detail: error.to_string(),
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink);
    Ok(match settings.format {
        LogFormat::Text => Dispatch::new(builder.with_ansi(colours).finish()),
        LogFormat::Json => Dispatch::new(builder.json().flatten_event(true).finish()),
    })
}

/// Makes standard error the log of this process, its panics included, once.
///
/// # Errors
/// `Filter` as for [`subscriber`]; `AlreadySet` when called a second time.
pub fn init(settings: &Log) -> Result<(), LogError> {
    let log = subscriber(settings, std::io::stderr, std::io::stderr().is_terminal())?;
    tracing::dispatcher::set_global_default(log).map_err(|_| LogError::AlreadySet)?;
    panics::log();
    Ok(())
}
