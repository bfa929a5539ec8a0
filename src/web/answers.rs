//! What every handler needs: the site behind the request, its id, and JSON answers.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::Serialize;

use super::{Site, problem};
use crate::domain::{Code, Problem};

/// The site this request came to. Every app is built with one.
pub(super) fn site(request: &HttpRequest) -> Arc<Site> {
    let data = request.app_data::<Data<Site>>().expect("every app is built with its site");
    Arc::clone(data)
}

/// How much of a path that leads nowhere, or of a method that is not taken, is told back.
const PATH_CHARS_SHOWN: usize = 200;
/// Longest request id taken over from a caller.
const REQUEST_ID_CHARS_MAX: usize = 64;

#[derive(Clone)]
struct RequestId(String);

/// The request's id: the caller's `X-Request-Id` where it is short and plain, else a new one.
pub(super) fn request_id(request: &HttpRequest) -> String {
    if let Some(RequestId(id)) = request.extensions().get::<RequestId>() {
        return id.clone();
    }
    let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let id = match given.filter(plain) {
        Some(id) => id.to_owned(),
        None => site(request).pipeline.clock().new_id().to_string(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    id
}

/// An answer with what was asked for.
pub(super) fn json(
    request: &HttpRequest,
    status: StatusCode,
    body: &impl Serialize,
) -> HttpResponse {
    site(request).pipeline.metrics().answered(None);
    HttpResponse::build(status)
        .content_type("application/json")
        .insert_header(("x-request-id", request_id(request)))
        .json(body)
}

/// 404 for a path that nothing is at.
pub(super) async fn route_not_found(request: HttpRequest) -> HttpResponse {
    let shown: String = request.path().chars().take(PATH_CHARS_SHOWN).collect();
    let detail = format!("there is nothing at {shown}");
    problem::respond(&request, Problem::new(Code::RouteNotFound, detail))
}

/// 405 for a method that the path does not take, with those it takes in `Allow` (RFC 9110 §15.5.6).
pub(super) async fn method_not_allowed(
    request: HttpRequest,
    methods: &'static str,
) -> HttpResponse {
    let shown = |text: &str| text.chars().take(PATH_CHARS_SHOWN).collect::<String>();
    let (path, method) = (shown(request.path()), shown(request.method().as_str()));
    let detail = format!("{path} does not take {method}");
    let mut response = problem::respond(&request, Problem::new(Code::MethodNotAllowed, detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
