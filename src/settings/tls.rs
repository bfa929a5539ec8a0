//! Section `tls`: what the gateway shows to those who call it, and whom it trusts when it calls.

use serde::Deserialize;

use super::check::Check;
use super::parse;

/// Section `tls`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// File of the gateway's own certificate and its chain; none: no TLS inbound.
    #[serde(deserialize_with = "parse::optional")]
    pub cert_file: Option<String>,
    /// File of the private key to it.
    #[serde(deserialize_with = "parse::optional")]
    pub key_file: Option<String>,
    /// File of certificates that are trusted beside the system's.
    #[serde(deserialize_with = "parse::optional")]
    pub ca_file: Option<String>,
}

impl Tls {
    pub(super) fn check(&self, check: &mut Check) {
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => check.problem("tls.cert_file", "is set, but tls.key_file is not"),
            (None, Some(_)) => check.problem("tls.key_file", "is set, but tls.cert_file is not"),
            _ => {}
        }
    }
}
