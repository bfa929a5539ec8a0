//! `GET /v1/conversations/{conversation_id}/events`: what agents answer in a conversation, as
//! server-sent events (HTML standard, "Server-sent events").
//!
//! The conversation is known by the caller's own messages in it: whoever has none there is told
//! that there is none, a guest as well as a backend. `id:` is the reply's number; `Last-Event-ID`
//! resumes there. It has no end of its own: agents may answer at any time.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::events::{COMMENT_AFTER, RETRY_MS, STREAM_MAX, stream_head, too_many};
use super::places::Place;
use super::reply_events::ReplyEvents;
use super::{Site, answers, guard, problem};
use crate::domain::{Code, Principal, Problem};
use crate::ledger::ReadError;

/// A client that follows a conversation.
struct Follower {
    site: Arc<Site>,
    replies: ReplyEvents,
    ends_at: Instant,
    /// Resolves when the client is no longer who it was.
    ended: BoxFuture<'static, ()>,
    _place: Place<Principal>,
}

/// `GET /v1/conversations/{conversation_id}/events`.
pub(super) async fn follow(request: HttpRequest, id: Path<String>) -> HttpResponse {
    let site = answers::site(&request);
    match begin(&request, site, &id).await {
        Ok((follower, first)) => {
            follower.site.pipeline.metrics().answered(None);
            stream_head(&request).streaming(events(follower, first))
        }
        Err(refusal) => problem::respond(&request, refusal),
    }
}

async fn begin(
    request: &HttpRequest,
    site: Arc<Site>,
    id: &str,
) -> Result<(Follower, String), Problem> {
    let unreadable = |ReadError(detail)| Problem::new(Code::Internal, detail);
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        let detail = format!("no voice message of yours stands in a conversation {shown:?}");
        Problem::new(Code::MessageNotFound, detail)
    };
    // Without a webhook there are no replies, whatever the route.
    let webhook = site.webhook.as_ref().ok_or_else(unknown)?;
    let caller = guard::caller(request);
    let found = webhook.replies.conversation(&caller.principal, id).await.map_err(unreadable)?;
    let (lane, since) = found.ok_or_else(unknown)?;
    let place = site.guest_streams.begin(&caller)?;
    let last = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let seen_seq = last.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let replies = ReplyEvents::begin(webhook, lane, since, seen_seq);
    let mut replies = replies.ok_or_else(|| too_many(site.watchers.watches_max()))?;
    let first = replies.news(event_id).await.map_err(unreadable)?;
    let ended = site.access.ended(&caller, site.pipeline.clock().now());
    let ends_at = Instant::now() + STREAM_MAX;
    let follower = Follower { site, replies, ends_at, ended, _place: place };
    Ok((follower, format!("retry: {RETRY_MS}\n\n{first}")))
}

fn event_id(reply_seq: u64) -> String {
    reply_seq.to_string()
}

fn events(follower: Follower, first: String) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((follower, Some(first)), |(mut follower, first)| async move {
        let text = match first {
            Some(first) => first,
            None => follower.next().await?,
        };
        Some((Ok(Bytes::from(text)), (follower, None)))
    })
}

impl Follower {
    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<String> {
        let site = Arc::clone(&self.site);
        self.replies.note_given().await;
        loop {
            tokio::select! {
                biased;
                () = &mut self.ended => return None,
                () = tokio::time::sleep_until(self.ends_at) => return None,
                () = site.pipeline.admission().drain().begun() => return None,
                () = self.replies.came() => {}
                () = tokio::time::sleep(COMMENT_AFTER) => return Some(": \n\n".to_owned()),
            }
            match self.replies.news(event_id).await {
                Ok(events) if events.is_empty() => {}
                Ok(events) => return Some(events),
                Err(error) => {
                    tracing::warn!(%error, "a conversation's event stream broke off");
                    return None;
                }
            }
        }
    }
}
