//! Which pages may ask, and read the answers (Fetch standard, "CORS protocol"): those of origins
//! that are named letter by letter. What a page may not read it must not cause either, where
//! nobody has to say who they are.

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

/// Request headers that a page may set, of those that need to be asked for.
const ALLOWED: &str = "authorization, content-type, idempotency-key, last-event-id, prefer, \
                       x-request-id";
/// Headers of answers that a page may read.
const EXPOSED: &str = "location, ratelimit, ratelimit-policy, retry-after, www-authenticate, \
                       x-request-id";

/// The origins, and how long a browser may remember them.
#[derive(Clone, Debug, Default)]
pub struct CorsRules {
    /// As browsers send them.
    pub origins: Vec<String>,
    /// Seconds that the answer to a preflight may be kept.
    pub max_age_seconds: u32,
}

impl CorsRules {
    /// The request's origin, where it is one of those that may read the answer.
    pub(super) fn allowed(&self, request: &HttpRequest) -> Option<HeaderValue> {
        let origin = request.headers().get(ORIGIN)?;
        let known = self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
        known.then(|| origin.clone())
    }

    /// The answer to a browser that asks before it asks; `None`: this is no such request.
    pub(super) fn preflight(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        self.allowed(request)?;
        let mut response = HttpResponse::NoContent();
        response.insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"));
        response.insert_header((ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED));
        response.insert_header((ACCESS_CONTROL_MAX_AGE, self.max_age_seconds.to_string()));
        Some(response.finish())
    }

    /// Lets the page of this origin read the answer. Caches learn that answers differ by origin.
    pub(super) fn open(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// Whether a page of another origin than the address it calls sent this.
pub(super) fn is_from_elsewhere(request: &HttpRequest) -> bool {
    let header = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let Some(origin) = header(ORIGIN) else { return false };
    if request.headers().get_all(ORIGIN).count() > 1 {
        return true;
    }
    let host = header(HOST).unwrap_or_default();
    let authority = ["http://", "https://"].iter().find_map(|s| origin.strip_prefix(s.as_bytes()));
    authority != Some(host)
}

/// Whether the gateway is called by an address, or by the one name that nobody else can have. Any
/// other name may be a page's own, which it lets point here (DNS rebinding).
pub(super) fn is_called_by_address(request: &HttpRequest) -> bool {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    host.is_some_and(|host| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(host, |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
    })
}
