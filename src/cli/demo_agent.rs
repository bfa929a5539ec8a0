//! The agent of `voicepost demo --route open-messaging`: hears the clip at its address, answers,
//! and finds the audio gone when its time is over. What is told is what this process saw itself.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use awc::Client;
use awc::http::StatusCode;
use awc::http::header::CONTENT_TYPE;
use futures_util::StreamExt;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use super::demo_steps::Steps;
use crate::app::App;
use crate::domain::hex;
use crate::sandbox::{SandboxServer, Webhook};
use crate::settings::{Secret, Settings};
use crate::web::WEBHOOK_PATH;

/// What the agent says to the first message of a demo.
const ANSWER: &str = "Of course. Your room is held until midnight. Safe flight!";
/// Webhook, event stream and receipt together take milliseconds.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(15);
/// How often it is looked for the receipt.
const LOOK: Duration = Duration::from_millis(20);
/// The clip has some 28 kB.
const CLIP_BYTES_MAX: usize = 1024 * 1024;
/// A few events, each with a receipt.
const STREAM_BYTES_MAX: usize = 1024 * 1024;

/// Sets the route up between these two, the copies' life included; the secret of the webhook. The
/// gateway gets its port here, because its own address stands in every message.
///
/// # Errors
/// When there is no port or no randomness.
pub(super) fn prepare(
    settings: &mut Settings,
    sandbox: &SandboxServer,
    data: &Path,
    ttl_seconds: u64,
) -> Result<Secret, Box<dyn Error>> {
    if settings.server.listen.port() == 0 {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        settings.server.listen = TcpListener::bind(any)?.local_addr()?;
    }
    let base_url = format!("http://{}", settings.server.listen);
    let mut random = [0; 24];
    SystemRandom::new().fill(&mut random).map_err(|_| "the system has no randomness")?;
    let secret = hex(&random);
    let url = format!("{base_url}{WEBHOOK_PATH}");
    let webhook = Webhook { url, secret: secret.clone() };
    let integration_id = sandbox.with(|sandbox| {
        sandbox.set_webhook(webhook);
        sandbox.integration_id().to_owned()
    });
    settings.public.base_url = Some(base_url);
    let open = &mut settings.genesys.open_messaging;
    open.integration_id = integration_id;
    open.serve_seconds = ttl_seconds;
    open.files_dir = data.join("hosted");
    Ok(Secret::new(secret))
}

/// Hears the clip, answers, and sees the answer come back to the guest; the clip's address.
///
/// # Errors
/// Names the part of the way that did not happen.
pub(super) async fn hear_and_answer(
    app: &App,
    sandbox: &SandboxServer,
    steps: &Steps,
    receipt: &Value,
) -> Result<String, Box<dyn Error>> {
    let text = |name: &str| receipt[name].as_str().ok_or(format!("the receipt has no {name}"));
    let message_id = text("message_id")?;
    let shown = sandbox.with(|sandbox| sandbox.open_message_shown(message_id));
    let shown = shown.ok_or("the sandbox has no such message")?;
    let url = shown["content"][0]["attachment"]["url"].as_str();
    let url = url.ok_or("the message arrived without its clip")?.to_owned();
    let (status, media_type, bytes) = fetch(&url).await?;
    if status != StatusCode::OK {
        return Err(format!("the clip's address was answered {status}").into());
    }
    let words =
        format!("the agent plays it from the gateway's media host: {media_type}, {bytes} bytes");
    steps.say("heard", &words, json!({ "url": url, "media_type": media_type, "bytes": bytes }));
    let now = app.pipeline.clock().now().0;
    let conversation_id = text("conversation_id")?;
    let id = sandbox.with(|sandbox| sandbox.answer_guest(conversation_id, ANSWER, now))?;
    steps.say("answering", &format!("the agent writes: {ANSWER}"), json!({ "reply_id": id }));
    let events =
        format!("http://{}/v1/voice-messages/{}/events", app.addresses.public, text("id")?);
    let reply = tokio::time::timeout(ROUND_TRIP_MAX, reply_on(&events, &id)).await;
    let reply = reply.map_err(|_| "the answer did not come on the event stream in time")??;
    let words = format!(
        "on the guest's event stream, from {}: {}",
        reply["from"].as_str().unwrap_or("somebody"),
        reply["text"].as_str().unwrap_or_default()
    );
    steps.say("reply", &words, json!({ "reply": reply }));
    let told = tokio::time::timeout(ROUND_TRIP_MAX, receipt_of(sandbox, &id)).await;
    let told = told.map_err(|_| "Genesys was not told in time that the guest has the answer")?;
    steps.say("receipt", &format!("Genesys was told: {told}"), json!({ "status": told }));
    if told != "Delivered" {
        return Err(format!("the answer's receipt says {told}").into());
    }
    Ok(url)
}

/// The other side's word: nothing is at the clip's address, and nothing is kept of it.
///
/// # Errors
/// When the media host does not answer.
pub(super) async fn confirmed(
    app: &App,
    sandbox: &SandboxServer,
    steps: &Steps,
    url: &str,
) -> Result<bool, Box<dyn Error>> {
    let (status, _, _) = fetch(url).await?;
    let now = app.pipeline.clock().now().0;
    let (kept, of_it) = sandbox.with(|sandbox| {
        let items: Vec<_> = sandbox.cached_items().iter().filter(|item| item.url == url).collect();
        (items.iter().filter(|item| item.is_listed(now)).count(), items.len())
    });
    let clean = status == StatusCode::GONE && of_it > 0 && kept == 0;
    let text = format!(
        "the clip's address is answered {}; the sandbox confirms: {of_it} cached, {kept} still \
         there",
        status.as_u16()
    );
    let values = json!({ "clean": clean, "status": status.as_u16(), "cached": kept });
    steps.say(if clean { "proven" } else { "failed" }, &text, values);
    Ok(clean)
}

/// Status, type and size of what an address is answered with.
async fn fetch(url: &str) -> Result<(StatusCode, String, usize), Box<dyn Error>> {
    let mut response = Client::default().get(url).send().await?;
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().to_owned();
    let bytes = response.body().limit(CLIP_BYTES_MAX).await?.len();
    Ok((response.status(), media_type, bytes))
}

/// Follows a message, as the guest's page does, until this reply comes.
async fn reply_on(url: &str, reply_id: &str) -> Result<Value, Box<dyn Error>> {
    let mut response = Client::default().get(url).send().await?;
    let mut text = String::new();
    while let Some(piece) = response.next().await {
        text += std::str::from_utf8(&piece?)?;
        let data = text.split("\n\n").filter_map(|event| {
            let (head, data) = event.split_once("\ndata: ")?;
            head.contains("event: reply").then_some(data)
        });
        let replies = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        if let Some(reply) = replies.into_iter().find(|reply| reply["id"] == reply_id) {
            return Ok(reply);
        }
        if text.len() > STREAM_BYTES_MAX {
            break;
        }
    }
    Err("the event stream ended without the answer".into())
}

/// What the gateway told of an answer, once it has.
async fn receipt_of(sandbox: &SandboxServer, reply_id: &str) -> String {
    loop {
        let told = sandbox.with(|sandbox| {
            let answer = sandbox.answers().iter().find(|answer| answer.id == reply_id)?;
            answer.receipts.last().map(|receipt| receipt.status.clone())
        });
        match told {
            Some(told) => return told,
            None => tokio::time::sleep(LOOK).await,
        }
    }
}
