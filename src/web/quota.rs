//! How a caller stands with their quota, as an answer tells it: `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers-10), and `Retry-After` where it is used up.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::problem;
use crate::access::Standing;
use crate::domain::{Code, Problem};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Why a request beyond this quota is not served.
pub(super) fn beyond(standing: &Standing) -> Problem {
    let Standing { policy, per_minute, again_in_seconds, .. } = *standing;
    let detail = format!("the quota of this {policy} is {per_minute} requests a minute");
    let problem = Problem::new(Code::QuotaExceeded, detail).with("limit", per_minute);
    problem.retry_after(again_in_seconds)
}

/// The answer to a request beyond this quota.
pub(super) fn refusal(request: &HttpRequest, standing: Standing) -> HttpResponse {
    let mut refusal = problem::respond(request, beyond(&standing));
    tell(standing, refusal.headers_mut());
    refusal
}

/// Tells it in the headers of the answer.
pub(super) fn tell(standing: Standing, headers: &mut HeaderMap) {
    let Standing { policy, per_minute, left, again_in_seconds, .. } = standing;
    let limit = format!("\"{policy}\";r={left};t={again_in_seconds}");
    let rule = format!("\"{policy}\";q={per_minute};w=60");
    for (name, value) in [(RATE_LIMIT, limit), (RATE_LIMIT_POLICY, rule)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}
