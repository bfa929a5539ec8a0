//! `POST /webhooks/open-messaging`: what Genesys sends for guests, above all replies of agents.
//! Source: the Open Messaging API of the public platform, "outbound notification webhook".
//!
//! Who calls proves itself by `X-Hub-Signature-256`, the base64 HMAC-SHA256 of the body as it came.
//! What is signed is answered 200 as soon as it is durable, whatever it says: anything else makes
//! the whole chat fail for the agent. That a guest cannot be shown it, a receipt tells later.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::guard::Proof;
use super::linger::BodyRead;
use super::surrogates::without_lone_surrogates;
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
    let signed = webhook.key.is_signature_of(&body, shown);
    webhook.heard(signed);
    if let Some(proof) = request.extensions().get::<Proof>().filter(|_| signed) {
        proof.is_given();
    }
    let mut response = if signed {
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
    let read = serde_json::from_slice(body);
    let read = read.or_else(|_| serde_json::from_slice(&without_lone_surrogates(body)));
    let message: Value = match read {
        Ok(message) => message,
        Err(error) => {
            // Its text may repeat what was sent.
            tracing::warn!(line = error.line(), column = error.column(), "webhook not understood");
            return Ok(false);
        }
    };
    // Events, such as an agent who types, receipts, and what the guest said, are not shown to them.
    let is_message = matches!(message["type"].as_str(), None | Some("Text" | "Structured" | ""))
        && message["direction"] != "Inbound";
    let plain = |id: &Value| {
        id.as_str().filter(|id| (1..=ID_BYTES_MAX).contains(&id.len())).map(str::to_owned)
    };
    let ids = (plain(&message["id"]), plain(&message["channel"]["to"]["id"]));
    let (true, (Some(id), Some(guest))) = (is_message, ids) else { return Ok(false) };
    let reply = reply_of(id, &message, site.pipeline.clock().now());
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

/// What of a normalized message a guest is told. A field that is missing, null or of another type
/// than is documented counts as not there: the rest is told all the same.
fn reply_of(id: String, message: &Value, came_at: UnixMs) -> Reply {
    let owned = |value: &Value| value.as_str().map(str::to_owned);
    let attachment = |content: &Value| {
        let attachment = &content["attachment"];
        let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let url = owned(&attachment["url"]).filter(is_web)?;
        let (media_type, file_name) = (owned(&attachment["mime"]), owned(&attachment["filename"]));
        Some(ReplyAttachment { url, media_type, file_name })
    };
    let content = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    Reply {
        id,
        from: owned(&message["channel"]["from"]["nickname"]),
        text: owned(&message["text"]).filter(|text| !text.trim().is_empty()),
        attachments: content.iter().filter_map(attachment).take(ATTACHMENTS_MAX).collect(),
        came_at,
    }
}
