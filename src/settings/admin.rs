//! Section `admin`: where operators reach the gateway.

use std::net::SocketAddr;

use serde::Deserialize;

use super::check::Check;
use super::{AccessSecrets, parse};

/// Least bytes of the operators' key.
const KEY_BYTES_MIN: usize = 16;

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
        match &secrets.admin_key {
            None => check.loopback("admin.listen", self.listen, "or set VOICEPOST_ADMIN_KEY"),
            Some(key) if key.current().expose().len() < KEY_BYTES_MIN => {
                let bytes = key.current().expose().len();
                let what = format!("has {bytes} bytes, less than the minimum of {KEY_BYTES_MIN}");
                check.problem("VOICEPOST_ADMIN_KEY", what);
            }
            Some(_) => {}
        }
    }
}
