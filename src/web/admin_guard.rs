//! Stands before every route of the operators' listener: who may come, and what they did.
//!
//! A page in a browser on the same machine can reach the listener too. It cannot read answers, but
//! an order needs no reading: so whoever names another origin is refused, and, where no key is
//! asked for, whoever calls the listener by a name that may be anybody's (DNS rebinding).

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse};

use super::{PROBE_PATHS, Site, answers, cors, headers, linger, problem, quota};
use crate::domain::{Code, Problem};
use crate::ledger::Order;

/// How much of an order's method and path is kept.
const ACTION_CHARS_KEPT: usize = 200;

/// Lets operators on, and keeps a row of each order: durable before it has its effect.
pub(super) async fn admit(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let site = answers::site(request.request());
    let mut response = match refusal(request.request(), &site) {
        Some(refusal) => {
            let mut response = request.into_response(refusal);
            linger::end_unread(&mut response, site.patience.linger);
            response
        }
        None if is_order(request.method()) => {
            // A task of its own: an order that has begun comes to its end, and its row too, also
            // where whoever gave it is gone.
            let ordered = actix_web::rt::spawn(order(request, next, Arc::clone(&site))).await;
            ordered.map_err(ErrorInternalServerError)??
        }
        None => next.call(request).await?,
    };
    headers::make_strict(response.headers_mut());
    Ok(response)
}

fn is_order(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn refusal(request: &HttpRequest, site: &Site) -> Option<HttpResponse> {
    if PROBE_PATHS.contains(&request.path()) {
        return None;
    }
    if let Some(key) = &site.operator_key {
        let from = request.peer_addr().map(|peer| peer.ip());
        // Not even looked at: who guesses must not learn that one was right.
        if let Some(standing) = from.and_then(|address| site.quotas.shut(address)) {
            return Some(quota::refusal(request, standing));
        }
        let shown = request.headers().get_all(AUTHORIZATION).map(|value| value.to_str().ok());
        if !key.is_shown(shown) {
            // Beyond the quota nothing is refused here, and so nothing is logged.
            from.inspect(|address| site.quotas.unproven(*address));
            tracing::warn!(event = "operator-refused", address = %address(request));
            let detail = "the request needs an Authorization header with the operators' key";
            let mut refusal = problem::respond(request, Problem::new(Code::Unauthorized, detail));
            let challenge = HeaderValue::from_static("Bearer realm=\"voicepost-admin\"");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return Some(refusal);
        }
    }
    let forbidden = |detail| Some(problem::respond(request, Problem::new(Code::Forbidden, detail)));
    if cors::is_from_elsewhere(request) {
        return forbidden("the operators' listener serves no page of another origin");
    }
    if site.operator_key.is_none() && !cors::is_called_by_address(request) {
        return forbidden("without a key the operators' listener is called by its address only");
    }
    None
}

async fn order(
    request: ServiceRequest,
    next: Next<BoxBody>,
    site: Arc<Site>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let action = format!("{} {}", request.method(), request.path());
    let order = Order {
        at: site.pipeline.clock().now(),
        who: if site.operator_key.is_some() { "operator" } else { "loopback" },
        address: address(request.request()),
        action: action.chars().take(ACTION_CHARS_KEPT).collect(),
        request_id: answers::request_id(request.request()),
    };
    let seq = match site.audit.begin(order).await {
        Ok(seq) => seq,
        Err(error) => {
            let problem = Problem::new(Code::StorageFailed, format!("no audit row: {error}"));
            let refusal = problem::respond(request.request(), problem);
            return Ok(request.into_response(refusal));
        }
    };
    let response = next.call(request).await?;
    if let Err(error) = site.audit.end(seq, response.status().as_u16()).await {
        // The order has had its effect, and the row says that it was given.
        tracing::error!(%error, seq, "an order's outcome is not in the audit");
    }
    Ok(response)
}

fn address(request: &HttpRequest) -> String {
    request.peer_addr().map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_string())
}
