//! Section `tls`: whom the gateway trusts when it calls.

use serde::Deserialize;

use super::parse;

/// Section `tls`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// File of certificates that are trusted beside the system's.
    #[serde(deserialize_with = "parse::optional")]
    pub ca_file: Option<String>,
}
