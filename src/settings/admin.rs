//! Section `admin`: where operators reach the gateway.

use std::net::SocketAddr;

use serde::Deserialize;

use super::check::Check;
use super::{AccessSecrets, parse};

/// Section `admin`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Address of `/admin` and `/metrics`; loopback only, unless operators have a key.
    #[serde(deserialize_with = "parse::text")]
    pub listen: SocketAddr,
}

impl Admin {
    pub(super) fn check_access(&self, secrets: &AccessSecrets, check: &mut Check) {
        if secrets.admin_key.is_none() {
            check.loopback("admin.listen", self.listen, "or set VOICEPOST_ADMIN_KEY");
        }
    }
}
