//! What operators see. What they do is in `orders`.

use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::web::{Path, PayloadConfig, Query, QueryConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::messages::parse_id;
use super::{answers, problem};
use crate::actors::{
    AskError, JanitorObserved, MessengerObserved, ObserveJanitor, ObserveMessenger, ObserveToken,
    ObserveUploader, ObserveValidator, TokenObserved, UploaderObserved, ValidatorObserved,
};
use crate::domain::{Code, Ending, MessageId, Pace, Problem, Receipt, Record, Stage, UnixMs};
use crate::ledger::Totals;
use crate::pipeline::{Pipeline, WaitsFor};
use crate::telemetry::{CLASSIC_TYPE, OPENMETRICS_TYPE};

/// Rows of a list, unless the operator asks for fewer or more.
const LIST_DEFAULT: u32 = 100;
/// Rows of a list at most.
const LIST_MAX: u32 = 1_000;
/// How the extractors of this page's handlers refuse: as problems, like everything else.
pub(super) fn refusals(routes: &mut ServiceConfig) {
    let query = QueryConfig::default().error_handler(|error, request| {
        let detail = format!("the query cannot be read: {error}");
        let refusal = problem::respond(request, Problem::new(Code::MalformedRequest, detail));
        InternalError::from_response(error, refusal).into()
    });
    routes.app_data(query).app_data(PayloadConfig::new(super::orders::BODY_BYTES_MAX));
}

#[derive(Serialize)]
struct State {
    version: &'static str,
    now: UnixMs,
    draining: bool,
    storage_low: bool,
    requests_in_flight: usize,
    drives_awake: usize,
    messages_parked: usize,
    clip_memory_bytes: u64,
    spool_bytes: u64,
    ledger: Totals,
    ledger_free_bytes: Option<u64>,
    /// The rate gate: closings and the window, in milliseconds on its own clock.
    pace: Pace,
    /// The time on that clock now.
    pace_now_ms: u64,
    purges_late_since: Option<UnixMs>,
    actors: Observed,
}

/// The observable states of the five actors; the token's never holds the token.
#[derive(Serialize)]
struct Observed {
    token: TokenObserved,
    validator: ValidatorObserved,
    uploader: UploaderObserved,
    messenger: MessengerObserved,
    janitor: JanitorObserved,
}

/// `GET /admin/state`.
pub(super) async fn state(request: HttpRequest) -> HttpResponse {
    let site = answers::site(&request);
    let pipeline = &site.pipeline;
    let admission = pipeline.admission();
    let (actors, ledger) = match (observe(pipeline).await, pipeline.ledger().totals().await) {
        (Ok(actors), Ok(ledger)) => (actors, ledger),
        (Err(error), _) => return fault(&request, &error.to_string()),
        (_, Err(error)) => return fault(&request, &error.to_string()),
    };
    let state = State {
        version: env!("CARGO_PKG_VERSION"),
        now: pipeline.clock().now(),
        draining: admission.drain().is_draining(),
        storage_low: admission.is_storage_low(),
        requests_in_flight: admission.requests_in_flight(),
        drives_awake: admission.drives_awake(),
        messages_parked: pipeline.messages_parked(),
        clip_memory_bytes: admission.clips().bytes_reserved(),
        spool_bytes: admission.spool_bytes(),
        ledger,
        ledger_free_bytes: pipeline.ledger().free_bytes(),
        pace: pipeline.actors().pace.borrow().clone(),
        pace_now_ms: pipeline.pace_now_ms(),
        purges_late_since: *pipeline.actors().purges_late_since.borrow(),
        actors,
    };
    answers::json(&request, StatusCode::OK, &state)
}

async fn observe(pipeline: &Pipeline) -> Result<Observed, AskError> {
    let actors = pipeline.actors();
    Ok(Observed {
        token: actors.token.send(ObserveToken).await?,
        validator: actors.validator.send(ObserveValidator).await?,
        uploader: actors.uploader.send(ObserveUploader).await?,
        messenger: actors.messenger.send(ObserveMessenger).await?,
        janitor: actors.janitor.send(ObserveJanitor).await?,
    })
}

fn fault(request: &HttpRequest, detail: &str) -> HttpResponse {
    problem::respond(request, Problem::new(Code::Internal, detail))
}

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u32>,
}

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX)
    }
}

/// One message in the queue, without transcript and identities.
#[derive(Serialize)]
struct Queued {
    id: MessageId,
    status: Stage,
    accepted_seq: u64,
    attempts: u32,
    next_attempt_at: Option<UnixMs>,
    expires_at: UnixMs,
    last_error_code: Option<Code>,
    waits_for: WaitsFor,
    created_at: UnixMs,
}

impl Queued {
    fn of(pipeline: &Pipeline, record: &Record) -> Queued {
        Queued {
            waits_for: pipeline.waits_for(record),
            id: record.id,
            status: record.stage,
            accepted_seq: record.accepted_seq,
            attempts: record.attempts,
            next_attempt_at: record.next_attempt_at,
            expires_at: record.expires_at,
            last_error_code: record.last_error_code,
            created_at: record.created_at,
        }
    }
}

/// `GET /admin/messages`: the queue, the oldest first.
pub(super) async fn messages(request: HttpRequest, page: Query<Page>) -> HttpResponse {
    let site = answers::site(&request);
    match site.pipeline.ledger().unfinished(0, page.limit()).await {
        Ok(records) => {
            let queue: Vec<Queued> =
                records.iter().map(|record| Queued::of(&site.pipeline, record)).collect();
            answers::json(&request, StatusCode::OK, &queue)
        }
        Err(error) => fault(&request, &error.to_string()),
    }
}

/// `GET /admin/held`: messages that wait for an operator, the oldest first, and what holds
/// them.
pub(super) async fn held(request: HttpRequest, page: Query<Page>) -> HttpResponse {
    let site = answers::site(&request);
    let held = site.pipeline.held(page.limit()).await;
    respond(&request, held.map(|records| records.iter().map(Held::from).collect::<Vec<_>>()))
}

#[derive(Serialize)]
struct Held {
    id: MessageId,
    why: Option<Ending>,
    post_in_doubt: bool,
    created_at: UnixMs,
}

impl From<&Record> for Held {
    fn from(record: &Record) -> Held {
        Held {
            id: record.id,
            why: record.ending.clone(),
            post_in_doubt: record.post_in_doubt,
            created_at: record.created_at,
        }
    }
}

/// `GET /admin/messages/{id}`: the receipt, whoever sent the message.
pub(super) async fn message(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let found = async { site.pipeline.find(parse_id(&id)?, None).await };
    let receipt = found.await.map(|record| site.pipeline.receipt(&record));
    told(&request, receipt)
}

/// `GET /admin/messages/{id}/history`.
pub(super) async fn history(
    request: HttpRequest,
    id: Path<String>,
    page: Query<Page>,
) -> HttpResponse {
    let site = answers::site(&request);
    let limit = page.limit();
    let rows = async { site.pipeline.history(parse_id(&id)?, limit).await };
    respond(&request, rows.await)
}

#[derive(Deserialize)]
pub(super) struct AuditPage {
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET /admin/audit`: what operators did, the newest first; `?before=` goes on from a row.
pub(super) async fn audit(request: HttpRequest, page: Query<AuditPage>) -> HttpResponse {
    let site = answers::site(&request);
    let before = page.before.unwrap_or(i64::MAX.unsigned_abs());
    let limit = Page { limit: page.limit }.limit();
    match site.audit.latest(before, limit).await {
        Ok(rows) => answers::json(&request, StatusCode::OK, &rows),
        Err(error) => fault(&request, &error.to_string()),
    }
}

/// `GET /admin/purges`: what is owed, the earliest first.
pub(super) async fn purges(request: HttpRequest, page: Query<Page>) -> HttpResponse {
    let site = answers::site(&request);
    respond(&request, site.pipeline.purges_owed(None, page.limit()).await)
}

/// A receipt, without the guest's words.
pub(super) fn told(request: &HttpRequest, receipt: Result<Receipt, Problem>) -> HttpResponse {
    respond(request, receipt.map(Receipt::without_words))
}

pub(super) fn respond(
    request: &HttpRequest,
    outcome: Result<impl Serialize, Problem>,
) -> HttpResponse {
    match outcome {
        Ok(body) => answers::json(request, StatusCode::OK, &body),
        Err(refusal) => problem::respond(request, refusal),
    }
}

/// `GET /metrics`: OpenMetrics for who asks for it, the classic text for everybody else.
pub(super) async fn metrics(request: HttpRequest) -> HttpResponse {
    let site = answers::site(&request);
    let metrics = site.pipeline.metrics();
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let admission = site.pipeline.admission();
    metrics.requests_in_flight.set(gauge(admission.requests_in_flight() as u64));
    metrics.drives_awake.set(gauge(admission.drives_awake() as u64));
    metrics.clip_memory_bytes.set(gauge(admission.clips().bytes_reserved()));
    metrics.spool_bytes.set(gauge(admission.spool_bytes()));
    let accept = request.headers().get("accept").and_then(|value| value.to_str().ok());
    let modern = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let (content_type, text) = if modern {
        (OPENMETRICS_TYPE, metrics.render())
    } else {
        (CLASSIC_TYPE, metrics.render_classic())
    };
    HttpResponse::Ok().content_type(content_type).body(text)
}
