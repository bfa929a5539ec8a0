//! Section `log`: what the gateway says about itself.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::check::Check;
use super::parse;

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    #[serde(deserialize_with = "parse::text")]
    pub format: LogFormat,
    /// What is logged, as `tracing` filter directives.
    pub filter: String,
}

parse::words! {
    /// Who reads the log.
    LogFormat {
        /// People: one line of text an event.
        Text = "text",
        /// Machines: one JSON object a line.
        Json = "json",
    }
}

impl Log {
    pub(super) fn check(&self, check: &mut Check) {
        if let Err(error) = EnvFilter::try_new(&self.filter) {
            check.problem("log.filter", format!("is {:?}: {error}", self.filter));
        }
    }
}
