//! `GET /v1/voice-messages/{id}/events`: a message's changes as server-sent events (HTML standard,
//! "Server-sent events").
//!
//! `id:` is the change's number in the history, which `Last-Event-ID` resumes; `event:` says what
//! it was about; `data:` is the receipt as it is now. Changes that come faster than they are read
//! are told once of each kind, so that a slow reader costs one event and not a queue: the next one
//! is made when the connection has taken the last.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::messages::parse_id;
use super::{Site, answers, guard, problem};
use crate::domain::{Code, MessageId, Problem};
use crate::ledger::{HistoryRow, ReadError, Watch};

/// A comment goes out after this long without an event, so that nobody on the way hangs up.
const COMMENT_AFTER: Duration = Duration::from_secs(15);
/// Longest life of a stream. A client that is still there resumes where it was.
const STREAM_MAX: Duration = Duration::from_secs(3_600);
/// What a client is told to wait before it resumes, in milliseconds.
const RETRY_MS: u32 = 2_000;
/// Rows of the history that are read at a time.
const ROWS: u32 = 64;
/// Seconds after which to ask again where there are too many streams.
const RETRY_AFTER_SECONDS: u32 = 5;

/// What an event is about. Replies of agents, and transcripts that come later than their message,
/// get a kind of their own with the part that brings them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Status,
    Purge,
}

impl Kind {
    fn of(row: &HistoryRow) -> Kind {
        match row.event.as_str() {
            "purge-hastened" | "clip-dropped" | "retention-settled" | "purge-deferred"
            | "copy-purged" | "copy-not-purgeable" | "copy-given-up" => Kind::Purge,
            _ => Kind::Status,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Kind::Status => "status",
            Kind::Purge => "purge",
        }
    }
}

/// A client that follows a message.
struct Follower {
    site: Arc<Site>,
    id: MessageId,
    /// The last change it was told of.
    seen_seq: u64,
    watch: Watch,
    ends_at: Instant,
    /// The last event that can come was sent.
    done: bool,
    greeted: bool,
}

/// `GET /v1/voice-messages/{id}/events`.
pub(super) async fn follow(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    let id = match parse_id(&id) {
        Ok(id) => id,
        Err(unknown) => return problem::respond(&request, unknown),
    };
    let caller = guard::caller(&request);
    if let Err(refusal) = site.pipeline.find(id, Some(&caller.principal)).await {
        return problem::respond(&request, refusal);
    }
    let Some(watch) = site.watchers.watch(id) else {
        let limit = site.watchers.watches_max();
        let detail = format!("{limit} event streams are open, and there are no more than that");
        let problem = Problem::new(Code::Busy, detail).with("limit", limit);
        return problem::respond(&request, problem.retry_after(RETRY_AFTER_SECONDS));
    };
    let seen_seq = last_event_id(&request);
    let ends_at = Instant::now() + STREAM_MAX;
    let mut follower = Follower { site, id, seen_seq, watch, ends_at, done: false, greeted: false };
    match follower.news().await {
        // An EventSource comes back for ever, unless it is told that nothing comes any more.
        Ok(None) if follower.done => {
            follower.site.pipeline.metrics().answered(None);
            HttpResponse::build(StatusCode::NO_CONTENT)
                .insert_header(("x-request-id", answers::request_id(&request)))
                .insert_header(("cache-control", "no-store"))
                .finish()
        }
        Ok(news) => {
            follower.site.pipeline.metrics().answered(None);
            HttpResponse::Ok()
                .content_type("text/event-stream")
                .insert_header(("x-request-id", answers::request_id(&request)))
                .insert_header(("cache-control", "no-store"))
                // Proxies that collect answers before they pass them on: nginx takes this hint.
                .insert_header(("x-accel-buffering", "no"))
                .streaming(events(follower, news))
        }
        Err(ReadError(detail)) => problem::respond(&request, Problem::new(Code::Internal, detail)),
    }
}

/// The change that the client was told of last; a text that is no number is none of ours.
fn last_event_id(request: &HttpRequest) -> u64 {
    let header = request.headers().get("last-event-id");
    header.and_then(|value| value.to_str().ok()?.trim().parse().ok()).unwrap_or(0)
}

fn events(
    follower: Follower,
    first: Option<String>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((follower, first), |(mut follower, first)| async move {
        let text = if follower.greeted {
            follower.next().await?
        } else {
            follower.greeted = true;
            format!("retry: {RETRY_MS}\n\n{}", first.unwrap_or_default())
        };
        Some((Ok(Bytes::from(text)), (follower, None)))
    })
}

impl Follower {
    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<String> {
        let site = Arc::clone(&self.site);
        loop {
            if self.done {
                return None;
            }
            tokio::select! {
                () = self.watch.changed() => {}
                () = tokio::time::sleep(COMMENT_AFTER) => return Some(": \n\n".to_owned()),
                () = tokio::time::sleep_until(self.ends_at) => return None,
                () = site.pipeline.admission().drain().begun() => return None,
            }
            match self.news().await {
                Ok(Some(events)) => return Some(events),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(message.id = %self.id, %error, "an event stream broke off");
                    return None;
                }
            }
        }
    }

    /// The events of what has changed since the last one; `None` where nothing has. Sets `done`
    /// where nothing more can come.
    async fn news(&mut self) -> Result<Option<String>, ReadError> {
        let ledger = self.site.pipeline.ledger();
        let mut latest: BTreeMap<Kind, u64> = BTreeMap::new();
        loop {
            let rows = ledger.history_after(Some(self.id), self.seen_seq, ROWS).await?;
            for row in &rows {
                latest.insert(Kind::of(row), row.seq);
                self.seen_seq = row.seq;
            }
            if rows.len() < ROWS as usize {
                break;
            }
        }
        // Read after the history: it is at least as new as the last of those changes.
        let Some(record) = ledger.find(self.id).await? else {
            self.done = true;
            return Ok(None);
        };
        self.done = record.is_settled(self.site.pipeline.clock().now());
        let receipt = self.site.pipeline.receipt(&record);
        let data = serde_json::to_string(&receipt).map_err(|error| ReadError(error.to_string()))?;
        let mut latest: Vec<(u64, Kind)> =
            latest.into_iter().map(|(kind, seq)| (seq, kind)).collect();
        latest.sort_unstable();
        let events = latest.iter().map(|(seq, kind)| {
            let kind = kind.as_str();
            format!("id: {seq}\nevent: {kind}\ndata: {data}\n\n")
        });
        let text: String = events.collect();
        Ok((!text.is_empty()).then_some(text))
    }
}
