//! What senders ask: deliver this, how does it stand, withdraw it, what may I send.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use actix_web::web::{Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::linger::BodyRead;
use super::upload::Refused;
use super::{Site, answers, guard, prefer, problem, scope, upload};
use crate::access::{Caller, ClipPlace};
use crate::audio::recorder_types;
use crate::domain::{Code, MessageId, NewMessage, Problem};
use crate::pipeline::Answer;

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// Seconds after which a sender with a 202 may ask how it stands.
const RETRY_AFTER_ACCEPTED_SECONDS: u32 = 2;

/// `POST /v1/voice-messages`.
pub(super) async fn create(request: HttpRequest, payload: Payload) -> HttpResponse {
    let site = answers::site(&request);
    let (mut response, unread) = match accept(&request, payload, &site).await {
        Ok(answer) => (answered(&request, answer), false),
        Err(Refused { problem, unread }) => (problem::respond(&request, problem), unread),
    };
    if !unread {
        response.extensions_mut().insert(BodyRead);
    }
    response
}

fn answered(request: &HttpRequest, answer: Answer) -> HttpResponse {
    match answer {
        Answer::Delivered(receipt) => answers::json(request, StatusCode::CREATED, &receipt),
        Answer::Accepted(receipt) => {
            let mut response = answers::json(request, StatusCode::ACCEPTED, &receipt);
            let seconds = HeaderValue::from(RETRY_AFTER_ACCEPTED_SECONDS);
            response.headers_mut().insert(RETRY_AFTER, seconds);
            located(response, receipt.id())
        }
        Answer::Refused(refusal) => problem::respond(request, *refusal),
    }
}

async fn accept(request: &HttpRequest, payload: Payload, site: &Site) -> Result<Answer, Refused> {
    let caller = guard::caller(request);
    scope::may_send(site, &caller)?;
    let key = idempotency_key(request)?;
    let clip_place = clip_place(site, &caller, key.as_deref()).await?;
    let ticket = site.pipeline.enter()?;
    let prefer = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    let patience = prefer::patience(prefer, &site.patience);
    let id = site.pipeline.clock().new_id();
    let mut body = upload::read(request, payload, site, id).await?;
    scope::confine(&caller, &mut body.fields).map_err(Refused::after_reading)?;
    let message = NewMessage {
        id,
        principal: caller.principal,
        key,
        conversation_id: body.fields.conversation_id,
        envelope: body.fields.envelope,
        transcript: body.fields.transcript,
        media: body.media,
        sha256: body.sha256,
        patience,
        received_at: site.pipeline.clock().now(),
    };
    let pipeline = Arc::clone(&site.pipeline);
    // A task of its own: the clip counts also where its sender is gone before the answer.
    let sent = actix_web::rt::spawn(async move {
        let answer = pipeline.submit(message, body.clip, ticket).await;
        if let Answer::Delivered(receipt) | Answer::Accepted(receipt) = &answer
            && receipt.id() == id
        {
            clip_place.keep();
        }
        answer
    });
    sent.await.map_err(|error| {
        Refused::after_reading(Problem::new(Code::Internal, format!("not answered: {error}")))
    })
}

/// A place among the clips that the caller's token is good for. A repeat of what was sent needs
/// none.
async fn clip_place(site: &Site, caller: &Caller, key: Option<&str>) -> Result<ClipPlace, Problem> {
    let taken = scope::take_clip(site, caller, site.pipeline.clock().now());
    if let (Err(problem), Some(key)) = (&taken, key)
        && problem.code == Code::Forbidden
        && site.pipeline.is_repeat(&caller.principal, key).await
    {
        return Ok(ClipPlace::default());
    }
    taken
}

fn located(mut response: HttpResponse, id: MessageId) -> HttpResponse {
    if let Ok(path) = HeaderValue::try_from(format!("/v1/voice-messages/{id}")) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// The `Idempotency-Key` header: a bare token, or a quoted string as structured fields write it.
fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all("idempotency-key");
    let Some(value) = values.next() else { return Ok(None) };
    let refused = |detail: String| {
        Err(Problem::new(Code::InvalidField, detail).with("header", "Idempotency-Key"))
    };
    if values.next().is_some() {
        return refused("there are two idempotency keys".to_owned());
    }
    let Ok(text) = value.to_str() else {
        return refused("the idempotency key is not plain ASCII".to_owned());
    };
    let text = text.trim();
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let bytes = key.len();
        return refused(format!("the idempotency key has {bytes} bytes, not 1 to {KEY_BYTES_MAX}"));
    }
    Ok(Some(key.to_owned()))
}

/// `GET /v1/voice-messages/{id}`.
pub(super) async fn show(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let id = match parse_id(&id) {
        Ok(id) => id,
        Err(unknown) => return problem::respond(&request, unknown),
    };
    match site.pipeline.find(id, Some(&guard::caller(&request).principal)).await {
        Ok(record) => answers::json(&request, StatusCode::OK, &site.pipeline.receipt(&record)),
        Err(refusal) => problem::respond(&request, refusal),
    }
}

/// `DELETE /v1/voice-messages/{id}`.
pub(super) async fn withdraw(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let id = match parse_id(&id) {
        Ok(id) => id,
        Err(unknown) => return problem::respond(&request, unknown),
    };
    match site.pipeline.withdraw(id, &guard::caller(&request).principal).await {
        Ok((receipt, true)) => answers::json(&request, StatusCode::OK, &receipt),
        Ok((receipt, false)) => answers::json(&request, StatusCode::ACCEPTED, &receipt),
        Err(refusal) => problem::respond(&request, refusal),
    }
}

/// An id that is none cannot belong to a message.
pub(super) fn parse_id(text: &str) -> Result<MessageId, Problem> {
    MessageId::parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Problem::new(Code::MessageNotFound, format!("there is no voice message {shown:?}"))
    })
}

#[derive(Serialize)]
struct Limits {
    types: Vec<String>,
    duration_ms_max: u32,
    duration_ms_min: u32,
    bytes_max: u64,
}

/// `GET /v1/limits`.
pub(super) async fn limits(request: HttpRequest) -> HttpResponse {
    let site = answers::site(&request);
    let limits = site.limits;
    let body = Limits {
        types: recorder_types(site.converts).collect(),
        duration_ms_max: limits.duration_ms_max,
        duration_ms_min: limits.duration_ms_min,
        bytes_max: limits.bytes_max,
    };
    answers::json(&request, StatusCode::OK, &body)
}
