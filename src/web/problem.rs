//! The one table of everything that is not a 2xx (RFC 9457 problem details). The README shows it,
//! and each row has a test.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use super::answers;
use crate::domain::{Code, Problem};

/// One row: what a code means over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The code.
    pub code: Code,
    /// HTTP status.
    pub status: u16,
    /// What it is, in a few words that never change.
    pub title: &'static str,
    /// Whether the same request can succeed later.
    pub retryable: bool,
}

/// Every code with its row, in the order of the README's table.
pub const ROWS: [Row; Code::ALL.len()] = {
    let mut rows = [row(Code::Internal); Code::ALL.len()];
    let mut index = 0;
    while index < Code::ALL.len() {
        rows[index] = row(Code::ALL[index]);
        index += 1;
    }
    rows
};

/// The table itself. Exhaustive: a new code does not compile without its row.
const fn row(code: Code) -> Row {
    let (status, title, retryable) = match code {
        Code::MalformedRequest => (400, "The request cannot be read", false),
        Code::MissingPart => (400, "A required part is missing", false),
        Code::UnknownPart => (400, "A part is not known", false),
        Code::DuplicatePart => (400, "A part was sent twice", false),
        Code::InvalidField => (400, "A field has a value it must not have", false),
        Code::Unauthorized => (401, "Nobody knows who asks", false),
        Code::Forbidden => (403, "The caller may not do this", false),
        Code::MediaGone => (410, "The audio is deleted", false),
        Code::RangeNotSatisfiable => (416, "The range lies outside the audio", false),
        Code::RouteNotFound => (404, "There is nothing at this path", false),
        Code::MessageNotFound => (404, "There is no such voice message", false),
        Code::ConversationNotFound => (404, "Genesys does not know the conversation", false),
        Code::MethodNotAllowed => (405, "The path does not take this method", false),
        Code::UploadTooSlow => (408, "The body came too slowly", true),
        Code::InProgress => (409, "The first request with this key is not durable yet", true),
        Code::Undecided => (409, "The message may be posted; ask for it, do not send again", false),
        Code::WrongState => (409, "The message is not in a state for this", false),
        Code::TooLarge => (413, "The request is too large", false),
        Code::UnsupportedMediaType => (415, "The body is not multipart/form-data", false),
        Code::UnsupportedAudioFormat => (415, "The audio format is not accepted", false),
        Code::AudioEmpty => (422, "The clip is empty", false),
        Code::AudioTooShort => (422, "The clip is too short", false),
        Code::AudioTooLong => (422, "The clip is too long", false),
        Code::AudioCorrupted => (422, "The clip is corrupted", false),
        Code::AudioUndecodable => (422, "The clip does not decode", false),
        Code::TranscriptTooLong => (422, "The transcript is too long", false),
        Code::IdempotencyMismatch => (422, "The idempotency key belongs to another request", false),
        Code::ClipRefusedByGenesys => (422, "Genesys refused the clip", false),
        Code::QuotaExceeded => (429, "The quota is used up", true),
        Code::GenesysRefused => (502, "Genesys refused the call", false),
        Code::GenesysUnavailable => (502, "Genesys cannot be reached", true),
        Code::GenesysRateLimited => (502, "Genesys asked for a pause", true),
        Code::GenesysAnswerLost => (502, "The answer of Genesys was lost", true),
        Code::TokenUnavailable => (502, "No access token can be had", true),
        Code::Busy => (503, "Too much is under way", true),
        Code::Draining => (503, "The gateway is shutting down", true),
        Code::StorageLow => (503, "The gateway's disk is nearly full", true),
        Code::StorageFailed => (503, "The gateway cannot store the clip", true),
        Code::PurgeBacklog => (503, "Audio is deleted too slowly", true),
        Code::Expired => (502, "The message was not delivered in time", true),
        Code::Interrupted => (503, "The gateway was interrupted", true),
        Code::OnHold => (409, "An operator holds the message", false),
        Code::OtherRoute => (409, "The message belongs to another route", false),
        Code::CrashLoop => (500, "The message is held after repeated crashes", false),
        Code::Internal => (500, "The gateway has a fault", true),
    };
    Row { code, status, title, retryable }
}

/// Seconds for `Retry-After` where a 503 names none of its own.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The answer to a request that is not served.
pub(super) fn respond(request: &HttpRequest, problem: Problem) -> HttpResponse {
    let row = row(problem.code);
    let site = answers::site(request);
    site.pipeline.metrics().answered(Some(problem.code));
    let request_id = answers::request_id(request);
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("type", Value::from(format!("urn:voicepost:problem:{}", problem.code)));
    put("title", Value::from(row.title));
    put("status", Value::from(row.status));
    put("detail", Value::from(problem.detail));
    put("code", Value::from(problem.code.as_str()));
    put("retryable", Value::from(row.retryable));
    put("request_id", Value::from(request_id.clone()));
    if let Some(id) = problem.message_id {
        put("id", Value::from(id.to_string()));
    }
    for (name, value) in problem.members {
        put(name, value);
    }
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type("application/problem+json");
    response.insert_header(("x-request-id", request_id));
    let default = (row.status == 503).then_some(RETRY_AFTER_SECONDS);
    if let Some(seconds) = problem.retry_after_seconds.or(default) {
        response.insert_header((RETRY_AFTER, HeaderValue::from(seconds)));
    }
    let tells_where = matches!(problem.code, Code::InProgress | Code::Undecided);
    if let Some(id) = problem.message_id.filter(|_| tells_where) {
        response.insert_header((LOCATION, format!("/v1/voice-messages/{id}")));
    }
    response.body(Value::Object(body).to_string())
}
