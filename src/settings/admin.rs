//! Section `admin`: where operators reach the gateway.

use std::net::SocketAddr;

use serde::Deserialize;

use super::check::Check;
use super::parse;

/// Section `admin`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Address of `/admin` and `/metrics`; loopback only, as long as there is no authentication.
    #[serde(deserialize_with = "parse::text")]
    pub listen: SocketAddr,
}

impl Admin {
    pub(super) fn check(&self, check: &mut Check) {
        check.loopback("admin.listen", self.listen);
    }
}
