//! Section `public`: where others than senders reach the gateway.

use serde::Deserialize;

use super::check::Check;
use super::{genesys, parse};

/// Section `public`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// Where Genesys and agents' browsers reach `/media`, without a slash at its end.
    #[serde(deserialize_with = "parse::optional")]
    pub base_url: Option<String>,
}

impl Public {
    pub(super) fn check(&self, check: &mut Check) {
        genesys::check_url(check, "public.base_url", self.base_url.as_deref());
    }
}
