//! `POST /webhooks/open-messaging`: what Genesys sends for guests, above all replies of agents.
//! Source: the Open Messaging API of the public platform, "outbound notification webhook".
//!
//! Who calls proves itself by `X-Hub-Signature-256`, the base64 HMAC-SHA256 of the body as it came.
//! What is signed is answered 200 as soon as it is durable, whatever it says: anything else makes
//! the whole chat fail for the agent. That a guest cannot be shown it, a receipt tells later.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::linger::BodyRead;
use super::{Site, Webhook, answers, problem};
use crate::domain::{Code, ID_BYTES_MAX, Problem, Reply, ReplyAttachment, UnixMs};

/// Largest body; one message of an agent has a few kilobytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Bodies that are read at a time; who comes beyond that waits. A stranger's body has to be read
/// before it is known for one, so this bounds what strangers can make the gateway hold: 16 MiB.
pub(super) const BODIES_MAX: usize = 64;
/// From the head to the body's end, a turn included. Genesys waits 10 s for the answer.
const BODY_MAX: Duration = Duration::from_secs(5);
/// Attachments of one reply that are told.
const ATTACHMENTS_MAX: usize = 16;

/// A normalized message, as far as it is of use here.
#[derive(Deserialize)]
struct Outbound {
    id: String,
    channel: Channel,
    #[serde(default)]
    r#type: String,
    text: Option<String>,
    #[serde(default)]
    content: Vec<Content>,
}

#[derive(Deserialize)]
struct Channel {
    to: Party,
    from: Option<Party>,
}

#[derive(Deserialize)]
struct Party {
    #[serde(default)]
    id: String,
    nickname: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    attachment: Option<Attachment>,
}

#[derive(Deserialize)]
struct Attachment {
    url: Option<String>,
    mime: Option<String>,
    filename: Option<String>,
}

/// Takes one call of Genesys.
pub(super) async fn open_messaging(request: HttpRequest, body: Payload) -> HttpResponse {
    let site = answers::site(&request);
    let Some(webhook) = &site.webhook else { return answers::route_not_found(request).await };
    let shown = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let shown = shown.unwrap_or_default();
    if shown.is_empty() {
        let detail = "the header X-Hub-Signature-256 is missing";
        return problem::respond(&request, Problem::new(Code::Unauthorized, detail));
    }
    let body = match read(body, &webhook.bodies).await {
        Ok(body) => body,
        Err(refusal) => return problem::respond(&request, refusal),
    };
    let mut response = if webhook.key.is_signature_of(&body, shown) {
        match take_in(&site, webhook, &body).await {
            Ok(entered) => answers::json(&request, StatusCode::OK, &json!({ "entered": entered })),
            Err(refusal) => problem::respond(&request, refusal),
        }
    } else {
        let detail = "X-Hub-Signature-256 is not that of this body with this gateway's secret";
        problem::respond(&request, Problem::new(Code::Unauthorized, detail))
    };
    response.extensions_mut().insert(BodyRead);
    response
}

/// Whether it was a new reply.
async fn take_in(site: &Site, webhook: &Webhook, body: &[u8]) -> Result<bool, Problem> {
    let outbound: Outbound = match serde_json::from_slice(body) {
        Ok(outbound) => outbound,
        Err(error) => {
            // Its text may repeat what was sent.
            tracing::warn!(line = error.line(), column = error.column(), "webhook not understood");
            return Ok(false);
        }
    };
    // Events, such as an agent who types, and receipts are not shown to guests.
    let is_message = matches!(outbound.r#type.as_str(), "Text" | "Structured" | "");
    let plain = |id: &str| (1..=ID_BYTES_MAX).contains(&id.len());
    if !is_message || !plain(&outbound.id) || !plain(&outbound.channel.to.id) {
        return Ok(false);
    }
    let guest = outbound.channel.to.id.clone();
    let reply = reply_of(outbound, site.pipeline.clock().now());
    let entered = webhook.replies.take_in(&guest, reply).await;
    entered.map_err(|error| Problem::new(Code::StorageFailed, error.to_string()))
}

async fn read(body: Payload, bodies: &Semaphore) -> Result<Bytes, Problem> {
    let whole = async {
        // Never closed.
        let _turn = bodies.acquire().await;
        body.to_bytes_limited(BODY_BYTES_MAX).await
    };
    match tokio::time::timeout(BODY_MAX, whole).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(error))) => {
            let detail = format!("the body cannot be read: {error}");
            Err(Problem::new(Code::MalformedRequest, detail))
        }
        Ok(Err(_)) => {
            let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
            Err(Problem::new(Code::TooLarge, detail).with("limit", BODY_BYTES_MAX))
        }
        Err(_) => {
            let seconds = BODY_MAX.as_secs();
            let detail = format!("the body did not come within {seconds} s");
            Err(Problem::new(Code::UploadTooSlow, detail).with("limit", seconds))
        }
    }
}

fn reply_of(outbound: Outbound, came_at: UnixMs) -> Reply {
    let attachment = |content: Content| {
        let Attachment { url, mime, filename } = content.attachment?;
        let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let url = url.filter(is_web)?;
        Some(ReplyAttachment { url, media_type: mime, file_name: filename })
    };
    Reply {
        id: outbound.id,
        from: outbound.channel.from.and_then(|from| from.nickname),
        text: outbound.text.filter(|text| !text.trim().is_empty()),
        attachments: outbound
            .content
            .into_iter()
            .filter_map(attachment)
            .take(ATTACHMENTS_MAX)
            .collect(),
        came_at,
    }
}
