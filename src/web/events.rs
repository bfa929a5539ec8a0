//! `GET /v1/voice-messages/{id}/events`: a message's changes as server-sent events (HTML standard,
//! "Server-sent events").
//!
//! `id:` is the change's number in the history, with a dot and the last reply's number where there
//! are replies; `Last-Event-ID` resumes there. `event:` says what it was about; `data:` is the
//! receipt as it is now, or the agent's reply. Replies go to all that follow a message of their
//! guest. Changes that come faster than they are read
//! are told once of each kind, so that a slow reader costs one event and not a queue: the next one
//! is made when the connection has taken the last.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::time::Instant;

use super::messages::parse_id;
use super::places::Place;
use super::reply_events::ReplyEvents;
use super::{Site, answers, guard, problem};
use crate::domain::{Code, MessageId, Principal, Problem, Stage};
use crate::ledger::{HistoryRow, ReadError, Watch};

/// A comment goes out after this long without an event, so that nobody on the way hangs up.
pub(super) const COMMENT_AFTER: Duration = Duration::from_secs(15);
/// Longest life of a stream. A client that is still there resumes where it was.
pub(super) const STREAM_MAX: Duration = Duration::from_secs(3_600);
/// What a client is told to wait before it resumes, in milliseconds.
pub(super) const RETRY_MS: u32 = 2_000;
/// Rows of the history that are read at a time.
const ROWS: u32 = 64;
/// Seconds after which to ask again where there are too many streams.
pub(super) const RETRY_AFTER_SECONDS: u32 = 5;

/// What a change is about. Transcripts that come later than their message get a kind of their own
/// with the part that brings them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Status,
    Purge,
}

impl Kind {
    fn of(row: &HistoryRow) -> Kind {
        match row.event.as_str() {
            "purge-hastened" | "purges-redated" | "clip-dropped" | "retention-settled"
            | "purge-deferred" | "copy-purged" | "copy-not-purgeable" | "copy-given-up" => {
                Kind::Purge
            }
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

/// How far a client has been told: the last change, and the last reply.
#[derive(Clone, Copy, Default)]
struct Seen {
    change_seq: u64,
    reply_seq: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reply_seq {
            0 => write!(f, "{}", self.change_seq),
            reply_seq => write!(f, "{}.{reply_seq}", self.change_seq),
        }
    }
}

/// A client that follows a message.
struct Follower {
    site: Arc<Site>,
    id: MessageId,
    seen: Seen,
    watch: Watch,
    /// Replies to the guest of the message.
    replies: Option<ReplyEvents>,
    ends_at: Instant,
    /// Resolves when the client is no longer who it was.
    ended: BoxFuture<'static, ()>,
    _place: Place<Principal>,
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
    let record = match site.pipeline.find(id, Some(&caller.principal)).await {
        Ok(record) => record,
        Err(refusal) => return problem::respond(&request, refusal),
    };
    let place = match site.guest_streams.begin(&caller) {
        Ok(place) => place,
        Err(refusal) => return problem::respond(&request, refusal),
    };
    let seen = last_event_id(&request);
    let replies = site.webhook.as_ref().and_then(|webhook| {
        ReplyEvents::begin(webhook, record.lane, record.created_at, seen.reply_seq)
    });
    let Some(watch) = site.watchers.watch(id) else {
        return problem::respond(&request, too_many(site.watchers.watches_max()));
    };
    let ends_at = Instant::now() + STREAM_MAX;
    let ended = site.access.ended(&caller, site.pipeline.clock().now());
    let mut follower = Follower {
        site,
        id,
        seen,
        watch,
        replies,
        ends_at,
        ended,
        _place: place,
        done: false,
        greeted: false,
    };
    match follower.news().await {
        // An EventSource comes back for ever, unless it is told that nothing comes any more.
        Ok(None) if follower.done => {
            follower.site.pipeline.metrics().answered(None);
            HttpResponse::build(StatusCode::NO_CONTENT)
                .insert_header(("x-request-id", answers::request_id(&request)))
                .finish()
        }
        Ok(news) => {
            follower.site.pipeline.metrics().answered(None);
            stream_head(&request).streaming(events(follower, news))
        }
        Err(ReadError(detail)) => problem::respond(&request, Problem::new(Code::Internal, detail)),
    }
}

/// The refusal of one stream more than there may be.
pub(super) fn too_many(limit: usize) -> Problem {
    let detail = format!("{limit} event streams are open, and there are no more than that");
    let problem = Problem::new(Code::Busy, detail).with("limit", limit);
    problem.retry_after(RETRY_AFTER_SECONDS)
}

/// An event stream without its body.
pub(super) fn stream_head(request: &HttpRequest) -> HttpResponseBuilder {
    let mut head = HttpResponse::Ok();
    head.content_type("text/event-stream")
        .insert_header(("x-request-id", answers::request_id(request)))
        // Proxies that collect answers before they pass them on: nginx takes this hint.
        .insert_header(("x-accel-buffering", "no"));
    head
}

/// What the client was told of last; a text that is no number is none of ours.
fn last_event_id(request: &HttpRequest) -> Seen {
    let header = request.headers().get("last-event-id");
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let (change, reply) = text.split_once('.').unwrap_or((text, "0"));
    let number = |text: &str| text.parse().unwrap_or(0);
    Seen { change_seq: number(change), reply_seq: number(reply) }
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
            if let Some(replies) = &mut self.replies {
                replies.note_given().await;
            }
            if self.done {
                return None;
            }
            tokio::select! {
                biased;
                () = &mut self.ended => return None,
                () = tokio::time::sleep_until(self.ends_at) => return None,
                () = site.pipeline.admission().drain().begun() => return None,
                () = self.watch.changed() => {}
                () = reply_came(&mut self.replies) => {}
                () = tokio::time::sleep(COMMENT_AFTER) => return Some(": \n\n".to_owned()),
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
            let after_seq = self.seen.change_seq;
            let rows = ledger.history_after(Some(self.id), after_seq, ROWS).await?;
            for row in &rows {
                latest.insert(Kind::of(row), row.seq);
                self.seen.change_seq = row.seq;
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
        // Agents may answer what was sent for as long as its guest follows it.
        let is_answered = self.replies.is_some() && record.stage == Stage::Sent;
        self.done = !is_answered && record.is_settled(self.site.pipeline.clock().now());
        let receipt = self.site.pipeline.receipt(&record);
        let data = as_json(&receipt)?;
        let mut latest: Vec<(u64, Kind)> =
            latest.into_iter().map(|(kind, seq)| (seq, kind)).collect();
        latest.sort_unstable();
        let events = latest.iter().map(|(change_seq, kind)| {
            let (id, kind) = (Seen { change_seq: *change_seq, ..self.seen }, kind.as_str());
            format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
        });
        let mut text: String = events.collect();
        if let Some(replies) = &mut self.replies {
            let change_seq = self.seen.change_seq;
            let id = |reply_seq| Seen { change_seq, reply_seq }.to_string();
            text += &replies.news(id).await?;
            self.seen.reply_seq = replies.seen_seq();
            // What is left over is told too before the stream ends.
            self.done &= !replies.has_more();
        }
        Ok((!text.is_empty()).then_some(text))
    }
}

async fn reply_came(replies: &mut Option<ReplyEvents>) {
    match replies {
        Some(replies) => replies.came().await,
        None => std::future::pending().await,
    }
}

fn as_json(value: &impl Serialize) -> Result<String, ReadError> {
    serde_json::to_string(value).map_err(|error| ReadError(error.to_string()))
}
