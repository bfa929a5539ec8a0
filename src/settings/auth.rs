//! Section `auth`: who may send.

use serde::Deserialize;

use super::check::Check;
use super::{AccessSecrets, parse};

/// What to do so that callers have to say who they are.
pub(super) const HOW_TO_TURN_ON: &str =
    "or set auth.keys_file (API keys of backends) or auth.jwt_audience (tokens of guests)";

/// Section `auth`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// File of the API keys.
    #[serde(deserialize_with = "parse::optional")]
    pub keys_file: Option<String>,
    /// What a guest's token has to name as `aud`; turns tokens on.
    #[serde(deserialize_with = "parse::optional")]
    pub jwt_audience: Option<String>,
    /// What it has to name as `iss`.
    #[serde(deserialize_with = "parse::optional")]
    pub jwt_issuer: Option<String>,
    /// File or URL of the issuer's public keys (JWKS).
    #[serde(deserialize_with = "parse::optional")]
    pub jwt_key_set: Option<String>,
    /// Algorithms that may be used with those, separated by commas.
    pub jwt_algorithms: String,
    /// How far the issuer's clock may be apart from ours.
    pub jwt_leeway_seconds: u32,
    /// Longest time from now to a token's `exp`.
    pub jwt_life_seconds_max: u32,
}

impl Auth {
    /// Whether callers have to say who they are.
    pub fn is_on(&self) -> bool {
        self.keys_file.is_some() || self.jwt_audience.is_some()
    }

    /// The algorithms of `jwt_algorithms`, by name.
    pub fn algorithms(&self) -> Vec<String> {
        parse::list(&self.jwt_algorithms)
    }

    pub(super) fn check(&self, check: &mut Check) {
        check.range("auth.jwt_leeway_seconds", self.jwt_leeway_seconds, 0..=300);
        check.range("auth.jwt_life_seconds_max", self.jwt_life_seconds_max, 60..=31_536_000);
        if self.jwt_audience.is_none() && self.jwt_key_set.is_some() {
            check.problem("auth.jwt_key_set", "is set, but auth.jwt_audience is not");
        }
        if self.jwt_key_set.as_deref().is_some_and(has_user_information) {
            // Not shown: it may be a password.
            let what = "has a user or a password before its host, which would be logged; a public \
                        key set needs none";
            check.problem("auth.jwt_key_set", what);
        }
        if let Some(url) = self.jwt_key_set.as_deref().filter(|place| place.starts_with("http://"))
        {
            let what = format!("is {url}: whoever can change what it answers can make tokens");
            check.warning("auth.jwt_key_set", what);
        }
    }

    pub(super) fn check_access(&self, secrets: &AccessSecrets, check: &mut Check) {
        if self.jwt_audience.is_none() && secrets.jwt_secret.is_some() {
            check.problem("VOICEPOST_JWT_SECRET", "is set, but auth.jwt_audience is not");
        }
    }
}

/// Whether this is a URL whose authority names more than a host (RFC 3986 §3.2.1).
fn has_user_information(place: &str) -> bool {
    let rest = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}
