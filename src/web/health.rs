//! Whether the gateway lives, and whether it can take messages.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::answers;

#[derive(Serialize)]
struct Live {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// Why not, in words for whoever reads the probe.
    reasons: Vec<String>,
}

/// The process answers. Touches nothing else.
pub(super) async fn live(request: HttpRequest) -> HttpResponse {
    let live = Live { status: "ok", version: env!("CARGO_PKG_VERSION") };
    answers::json(&request, StatusCode::OK, &live)
}

/// Whether new messages can be taken and delivered now; 503 with the reasons where not. The
/// reasons are a state, not an error, so the body is the same either way.
pub(super) async fn ready(request: HttpRequest) -> HttpResponse {
    let site = answers::site(&request);
    let mut reasons = Vec::new();
    if site.pipeline.admission().drain().is_draining() {
        reasons.push("the gateway is shutting down".to_owned());
    }
    if site.pipeline.admission().is_storage_low() {
        reasons.push("the disk is nearly full".to_owned());
    } else if let Some(trouble) = site.pipeline.admission().spool_trouble() {
        reasons.push(trouble.to_string());
    }
    if let Some(backlog) = site.pipeline.purge_backlog() {
        reasons.push(backlog.detail);
    }
    let token = site.pipeline.actors().token_view.borrow().clone();
    if token.usable(site.pipeline.clock().now()).is_none() {
        let detail = token.trouble.map_or("none is valid now".to_owned(), |trouble| trouble.detail);
        reasons.push(format!("no access token: {detail}"));
    }
    let ready = Ready { ready: reasons.is_empty(), reasons };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answers::json(&request, status, &ready)
}
