//! Section `public`: where others than senders reach the gateway.

use std::net::SocketAddr;

use serde::Deserialize;

use super::check::Check;
use super::{genesys, parse};

/// Section `public`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// Address of the listener that has `/media` alone; none: `/media` is at `server.listen`.
    #[serde(deserialize_with = "parse::optional_text")]
    pub listen: Option<SocketAddr>,
    /// Reverse proxies between clients and that listener.
    pub proxy_hops: usize,
    /// Where Genesys and agents' browsers reach `/media`, without a slash at its end.
    #[serde(deserialize_with = "parse::optional")]
    pub base_url: Option<String>,
}

impl Public {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("public.proxy_hops", self.proxy_hops, 0..=16);
        genesys::check_url(check, "public.base_url", self.base_url.as_deref());
    }
}
