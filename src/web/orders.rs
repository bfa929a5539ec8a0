//! What operators do. What they see is in `admin`. Each order is recorded in the message's history.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::admin::{respond, told};
use super::answers;
use super::messages::parse_id;
use crate::domain::{Code, Problem};

/// Longest reason an operator may give, in bytes.
const REASON_BYTES_MAX: usize = 500;

/// Largest body of an operator's request.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;

/// `POST /admin/messages/{id}/release`: a held message goes on.
pub(super) async fn release(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let receipt = async { site.pipeline.release(parse_id(&id)?).await };
    told(&request, receipt.await)
}

/// `POST /admin/messages/{id}/replay`: a failed message whose clip is still kept is delivered anew.
pub(super) async fn replay(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let receipt = async { site.pipeline.replay(parse_id(&id)?).await };
    told(&request, receipt.await)
}

/// `POST /admin/messages/{id}/hold` with `{"reason":"…"}`: a message on its way waits until it is
/// released.
pub(super) async fn hold(
    request: HttpRequest,
    id: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let site = answers::site(&request);
    let receipt = async {
        let id = parse_id(&id)?;
        let reason = reason(&body.map_err(unreadable)?)?;
        site.pipeline.hold(id, reason).await
    };
    told(&request, receipt.await)
}

#[derive(Serialize)]
struct Draining {
    draining: bool,
}

/// `POST /admin/drain`: the same as SIGTERM. The process ends when it has drained.
pub(super) async fn drain(request: HttpRequest) -> HttpResponse {
    let site = answers::site(&request);
    tracing::warn!("drain asked for by an operator");
    site.pipeline.admission().drain().begin();
    respond(&request, Ok(Draining { draining: true }))
}

/// `POST /admin/messages/{id}/purge`: as soon as it may be, within the floor after the post.
pub(super) async fn purge_now(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let receipt = async { site.pipeline.purge_now(parse_id(&id)?).await };
    told(&request, receipt.await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

/// `POST /admin/messages/{id}/copies/{ordinal}/give-up` with `{"reason":"…"}`.
pub(super) async fn give_up(
    request: HttpRequest,
    path: Path<(String, String)>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let site = answers::site(&request);
    let receipt = async {
        let (id, ordinal) = path.into_inner();
        let id = parse_id(&id)?;
        let unknown = || Problem::new(Code::WrongState, format!("there is no copy {ordinal:?}"));
        let ordinal: u32 = ordinal.parse().map_err(|_| unknown())?;
        let reason = reason(&body.map_err(unreadable)?)?;
        site.pipeline.give_up(id, ordinal, reason).await
    };
    told(&request, receipt.await)
}

/// A body that did not come, or not as far as it is read.
pub(super) fn unreadable(error: actix_web::Error) -> Problem {
    if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
        return Problem::new(Code::TooLarge, detail).with("limit", BODY_BYTES_MAX);
    }
    Problem::new(Code::MalformedRequest, format!("the body cannot be read: {error}"))
}

fn reason(body: &[u8]) -> Result<String, Problem> {
    let Reason { reason } = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is no {{\"reason\": \"…\"}}: {error}");
        Problem::new(Code::MalformedRequest, detail)
    })?;
    let bytes = reason.trim().len();
    if bytes == 0 || bytes > REASON_BYTES_MAX {
        let detail = format!("the reason has {bytes} bytes, not 1 to {REASON_BYTES_MAX}");
        return Err(Problem::new(Code::InvalidField, detail)
            .with("limit", REASON_BYTES_MAX)
            .with("actual", bytes));
    }
    Ok(reason)
}

#[derive(Serialize)]
struct Refreshed {
    token_version: u64,
}

/// `POST /admin/token/refresh`.
pub(super) async fn refresh_token(request: HttpRequest) -> HttpResponse {
    let site = answers::site(&request);
    let version = site.pipeline.refresh_token().await;
    respond(&request, version.map(|token_version| Refreshed { token_version }))
}
