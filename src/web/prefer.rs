//! The `Prefer` header (RFC 7240): `respond-async` and `wait=N`.

use super::PatienceRules;
use crate::domain::Patience;

/// What the sender prefers. Preferences that are unknown or unreadable are ignored, as the RFC
/// wants it; a wait above the maximum is cut to it.
pub(super) fn patience<'a>(
    headers: impl Iterator<Item = &'a str>,
    rules: &PatienceRules,
) -> Patience {
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(0);
    let mut patience = Patience { respond_async: false, wait_ms: ms(rules.wait) };
    for preference in headers.flat_map(|value| value.split([',', ';'])) {
        let (name, value) = match preference.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
            None => (preference.trim(), ""),
        };
        if name.eq_ignore_ascii_case("respond-async") {
            patience.respond_async = true;
        } else if name.eq_ignore_ascii_case("wait")
            && let Ok(seconds) = value.parse::<u64>()
        {
            patience.wait_ms = seconds.saturating_mul(1000).min(ms(rules.wait_max));
        }
    }
    patience
}
