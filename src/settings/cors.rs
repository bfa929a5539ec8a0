//! Section `cors`: pages of which origins may ask, and read the answers.

use serde::Deserialize;

use super::check::Check;
use super::parse;

/// Section `cors`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins, separated by commas.
    pub origins: String,
    /// How long a browser may remember what it was told.
    pub max_age_seconds: u32,
}

impl Cors {
    /// The origins of `origins`, as browsers write them.
    pub fn origins(&self) -> Vec<String> {
        parse::list(&self.origins)
    }

    pub(super) fn check(&self, check: &mut Check) {
        check.range("cors.max_age_seconds", self.max_age_seconds, 0..=86_400);
        for origin in self.origins() {
            if !is_origin(&origin) {
                let what = format!(
                    "has {origin:?}, which is no origin: scheme, host and port as a browser sends \
                     them, such as https://shop.example"
                );
                check.problem("cors.origins", what);
            }
        }
    }
}

/// Scheme, host, port (RFC 6454 §6.2): no path, no wildcard, no `null`, nothing a browser would
/// have written otherwise.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:[]".contains(c);
    let default_port = |host: &str| {
        (text.starts_with("https") && host.ends_with(":443"))
            || (text.starts_with("http:") && host.ends_with(":80"))
    };
    host.is_some_and(|host| !host.is_empty() && host.chars().all(plain) && !default_port(host))
}
