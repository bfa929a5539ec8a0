//! When an access token is renewed (media-api contract, "Hosts and sign-in").

/// A token is renewed at the latest this long after its exchange.
const RENEW_AFTER_MS_MAX: u64 = 50 * 60 * 1000;

/// Milliseconds from the exchange to the renewal: the earlier of 50 minutes and 90 % of the
/// token's life (50 minutes where the answer does not say), less up to 10 % of that at random.
pub fn renew_after_ms(expires_in_seconds: Option<u64>, unit_random: f64) -> u64 {
    let life_ms = expires_in_seconds.map(|seconds| seconds.saturating_mul(1000));
    let at_most = life_ms.map_or(RENEW_AFTER_MS_MAX, |ms| (ms / 10 * 9).min(RENEW_AFTER_MS_MAX));
    let jitter = (at_most as f64 * 0.1 * unit_random.clamp(0.0, 1.0)) as u64;
    at_most - jitter.min(at_most)
}
