//! Stands before every route of the public listener: nobody comes past it without being known.
//!
//! Every path is closed but those that `web/mod.rs` names, letter by letter: a router may read
//! `/%761` as `/v1`, so a list of closed paths would have holes.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::upload::has_body;
use super::{OPEN_PATHS, Site, answers, headers, linger, problem};
use crate::access::{Caller, Denied};
use crate::domain::{Code, Problem};

/// Finds out who asks, and lets them on.
pub(super) async fn admit(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = pass(request, next).await?;
    headers::make_strict(response.headers_mut());
    Ok(response)
}

async fn pass(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if OPEN_PATHS.contains(&request.path()) {
        return next.call(request).await;
    }
    let site = answers::site(request.request());
    let shown = request.headers().get_all(AUTHORIZATION).map(|value| value.to_str().ok());
    let now = site.pipeline.clock().now();
    match site.access.identify(shown, now).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await
        }
        Err(denied) => {
            let refusal = unauthorized(request.request(), &site, denied);
            Ok(request.into_response(refusal))
        }
    }
}

/// 401, with what is asked for (RFC 6750 §3).
fn unauthorized(request: &HttpRequest, site: &Site, denied: Denied) -> HttpResponse {
    let mut response =
        turn_away(request, site, Problem::new(Code::Unauthorized, denied.to_string()));
    let challenge = match denied {
        Denied::Missing => "Bearer realm=\"voicepost\"",
        Denied::Malformed => "Bearer realm=\"voicepost\", error=\"invalid_request\"",
        Denied::UnknownKey | Denied::Token(_) => {
            "Bearer realm=\"voicepost\", error=\"invalid_token\""
        }
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// Refuses a request of which no body was read, so that its sender reads why.
pub(super) fn turn_away(request: &HttpRequest, site: &Site, problem: Problem) -> HttpResponse {
    let mut response = problem::respond(request, problem);
    if has_body(request) {
        response.head_mut().set_connection_type(ConnectionType::Close);
        linger::cut_after(request, site.patience.linger);
    }
    response
}

/// Who asks. There is one wherever the guard stands before.
pub(super) fn caller(request: &HttpRequest) -> Caller {
    let extensions = request.extensions();
    extensions.get::<Caller>().cloned().expect("the guard lets nobody in who is not known")
}
