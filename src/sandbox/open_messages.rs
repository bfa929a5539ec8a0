//! `POST /api/v2/conversations/messages/{integrationId}/inbound/open/message` and what can be read
//! of its messages: conversations and messages. Source: the public API's description.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::Post;
use super::audio::query_value;
use super::core::{Call, Sandbox};
use super::oauth::media_type_is;
use super::wire::{Problem, Reply};

const MESSAGES: &str = "/api/v2/conversations/messages/";
const INBOUND: &str = "/inbound/open/message";
/// The platform's limit of a request (`request.bytes.max`).
const BODY_BYTES_MAX: usize = 512_000;

/// Conversations that open messages have begun.
#[derive(Default)]
pub(super) struct OpenConversations {
    messages: Vec<OpenMessage>,
}

struct OpenMessage {
    id: String,
    conversation_id: String,
    integration_id: String,
    arrived_at_ms: i64,
    body: Inbound,
    /// What the content profile did not let in.
    dropped: Vec<Content>,
}

/// An open message on the page.
#[derive(Serialize)]
pub(super) struct OpenShown<'a> {
    message_id: &'a str,
    nickname: Option<&'a str>,
    media: Option<&'a Attachment>,
    dropped: Option<&'a Attachment>,
    /// When the cached copy of the medium was deleted.
    cache_deleted_at: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inbound {
    channel: Channel,
    #[serde(default)]
    text: String,
    #[serde(default)]
    content: Vec<Content>,
    #[serde(default)]
    metadata: serde_json::Map<String, Value>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Channel {
    from: Guest,
    message_id: Option<String>,
    time: String,
}

/// Told back as it was told; what was not is left out, since the description knows no null.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Guest {
    id: String,
    id_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    attachment: Attachment,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Attachment {
    media_type: String,
    url: String,
    mime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Sandbox {
    /// Takes a message in. Genesys goes on with the guest's open conversation, or begins one.
    pub(super) fn inbound_message(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        let integration_id = segment_before(&call.request.path, INBOUND);
        self.check_active(integration_id)?;
        let body: Inbound = read(call)?;
        check(&body).map_err(Problem::bad_request)?;
        let guest = body.channel.from.id.clone();
        let known = self.open.messages.iter().rev().find(|message| {
            let closed = self.closed_conversations.contains(&message.conversation_id);
            message.body.channel.from.id == guest && !closed
        });
        let conversation_id = known.map(|message| message.conversation_id.clone());
        let conversation_id = conversation_id.unwrap_or_else(|| self.next_uuid());
        let mut message = OpenMessage {
            id: self.next_uuid(),
            conversation_id,
            integration_id: integration_id.to_owned(),
            arrived_at_ms: call.now_ms,
            body,
            dropped: Vec::new(),
        };
        // The answer tells the message as it was sent: what is dropped is dropped silently.
        let mut answer = message.normalized();
        self.drop_media(&mut message);
        self.keep_cached_media(&message, call.now_ms);
        self.post_calls += 1;
        self.account.record_post(Post {
            conversation_id: message.conversation_id.clone(),
            sender_id: guest,
            media_id: message.body.channel.message_id.clone().unwrap_or_default(),
            transcript: message.body.text.clone(),
            message_id: message.id.clone(),
            call: self.post_calls,
            arrived_at_ms: call.now_ms,
        });
        let prefetch = query_value(&call.request.query, "prefetchConversationId");
        if prefetch == Some("true") {
            answer["conversationId"] = json!(message.conversation_id);
        }
        self.open.messages.push(message);
        Ok(Reply::json(200, &answer))
    }

    /// `GET …/messages/{conversationId}`: who takes part, and the ids of what they said.
    pub(super) fn conversation(&self, call: &Call<'_>) -> Result<Reply, Problem> {
        let id = call.request.path.strip_prefix(MESSAGES).unwrap_or_default();
        let messages: Vec<_> =
            self.open.messages.iter().filter(|message| message.conversation_id == id).collect();
        let Some(first) = messages.first() else {
            return Err(Problem::not_found(format!("no conversation {id}")));
        };
        let mut guest = json!({
            "id": format!("{id}-guest"),
            "purpose": "customer",
            "state": "connected",
            "direction": "inbound",
            "type": "open",
            "connectedTime": rfc3339(first.arrived_at_ms),
            "messages": messages.iter().map(|message| json!({
                "messageId": message.id,
                "messageStatus": "received",
                "messageTime": rfc3339(message.arrived_at_ms),
            })).collect::<Vec<_>>(),
        });
        if self.closed_conversations.contains(id) {
            guest["state"] = json!("disconnected");
            guest["endTime"] = json!(rfc3339(call.now_ms));
        }
        let agent = self.answers.iter().filter(|answer| answer.conversation_id == id);
        let agent = json!({
            "id": format!("{id}-agent"),
            "purpose": "agent",
            "messages": agent.map(|answer| json!({
                "messageId": answer.id,
                "messageStatus": answer.message_status(),
                "messageTime": rfc3339(answer.answered_at_ms),
            })).collect::<Vec<_>>(),
        });
        Ok(Reply::json(200, &json!({ "id": id, "participants": [guest, agent] })))
    }

    /// `GET …/messages/{conversationId}/messages/{messageId}` and `…/messages/{messageId}/details`.
    pub(super) fn open_message(&self, call: &Call<'_>) -> Result<Reply, Problem> {
        let path = call.request.path.strip_prefix(MESSAGES).unwrap_or_default();
        let id = path.strip_suffix("/details").or_else(|| path.rsplit('/').next());
        let id = id.unwrap_or_default();
        if let Some(answer) = self.answers.iter().find(|answer| answer.id == id) {
            return Ok(Reply::json(200, &answer.details()));
        }
        let message = self.open.messages.iter().find(|message| message.id == id);
        let message = message.ok_or_else(|| Problem::not_found(format!("no message {id}")))?;
        let mut normalized = message.normalized();
        normalized["direction"] = json!("Inbound");
        Ok(Reply::json(
            200,
            &json!({
                "id": message.id,
                "providerMessageId": message.body.channel.message_id,
                "timestamp": rfc3339(message.arrived_at_ms),
                "direction": "inbound",
                "messengerType": "open",
                "status": "received",
                "normalizedMessage": normalized,
                "conversationId": message.conversation_id,
            }),
        ))
    }

    /// A message as an agent's desktop reads it: text, attachment, who sent it.
    pub fn open_message_shown(&self, message_id: &str) -> Option<Value> {
        let message = self.open.messages.iter().find(|message| message.id == message_id)?;
        Some(message.normalized())
    }

    /// The `latest` open messages as the page shows them.
    pub(super) fn open_shown(&self, latest: usize) -> Vec<OpenShown<'_>> {
        let messages = &self.open.messages;
        let first = messages.len().saturating_sub(latest);
        let shown = messages.iter().skip(first).map(|message| OpenShown {
            message_id: &message.id,
            nickname: message.body.channel.from.nickname.as_deref(),
            media: first_of(&message.body.content),
            dropped: first_of(&message.dropped),
            cache_deleted_at: first_of(&message.body.content)
                .and_then(|media| self.cached_media.deleted_at_ms(&media.url))
                .map(rfc3339),
        });
        shown.collect()
    }

    fn drop_media(&self, message: &mut OpenMessage) {
        let content = std::mem::take(&mut message.body.content);
        let admitted = |Content { attachment }: &Content| self.admits(&attachment.mime);
        (message.body.content, message.dropped) = content.into_iter().partition(admitted);
    }

    fn keep_cached_media(&mut self, message: &OpenMessage, now_ms: i64) {
        for content in &message.body.content {
            let id = self.next_uuid();
            let Attachment { url, mime, .. } = &content.attachment;
            self.cached_media.keep(id, url, mime, now_ms);
        }
    }
}

impl OpenConversations {
    /// Whose conversation this is.
    pub(super) fn guest_of(&self, conversation_id: &str) -> Option<&str> {
        let mut messages = self.messages.iter();
        let first = messages.find(|message| message.conversation_id == conversation_id)?;
        Some(&first.body.channel.from.id)
    }
}

impl OpenMessage {
    /// The message as the platform tells it back.
    fn normalized(&self) -> Value {
        let Inbound { channel, text, content, metadata } = &self.body;
        let attachment = |Content { attachment }: &Content| {
            let mut attachment = json!(attachment);
            attachment["id"] = json!(format!("{}-media", self.id));
            json!({ "contentType": "Attachment", "attachment": attachment })
        };
        let content: Vec<_> = content.iter().map(attachment).collect();
        json!({
            "id": self.id,
            "channel": {
                "id": self.integration_id,
                "platform": "Open",
                "type": "Private",
                "messageId": channel.message_id,
                "to": { "id": self.integration_id },
                "from": channel.from,
                "time": channel.time,
            },
            "type": "Text",
            "text": text,
            "content": content,
            "metadata": metadata,
        })
    }
}

fn first_of(contents: &[Content]) -> Option<&Attachment> {
    contents.first().map(|content| &content.attachment)
}

/// Whether this is a path of an inbound message.
pub(super) fn is_inbound(path: &str) -> bool {
    let id = segment_before(path, INBOUND);
    !id.is_empty() && !id.contains('/')
}

/// Which read this path is: `Some(true)` a conversation, `Some(false)` one message.
pub(super) fn reads_conversation(path: &str) -> Option<bool> {
    let rest = path.strip_prefix(MESSAGES)?;
    let segments: Vec<_> = rest.split('/').collect();
    match segments.as_slice() {
        [id] if !id.is_empty() && *id != "cachedmedia" => Some(true),
        [id, "details"] if !id.is_empty() => Some(false),
        [conversation, "messages", id] if !conversation.is_empty() && !id.is_empty() => Some(false),
        _ => None,
    }
}

/// The id between the start of the paths of messages and `end`.
pub(super) fn segment_before<'a>(path: &'a str, end: &str) -> &'a str {
    path.strip_prefix(MESSAGES).and_then(|rest| rest.strip_suffix(end)).unwrap_or_default()
}

/// The JSON of a request, within the platform's limits.
pub(super) fn read<T: DeserializeOwned>(call: &Call<'_>) -> Result<T, Problem> {
    let body = &call.request.body;
    if body.len() > BODY_BYTES_MAX {
        let message = format!("Body of {} bytes is over {BODY_BYTES_MAX}.", body.len());
        return Err(Problem::new(413, "request.entity.too.large", message));
    }
    let content_type = call.request.header("content-type").unwrap_or_default();
    if !media_type_is(content_type, "application/json") {
        return Err(Problem::of_status(415));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("body refused: {error}")))
}

fn check(inbound: &Inbound) -> Result<(), String> {
    let Channel { from, time, .. } = &inbound.channel;
    if from.id.trim().is_empty() {
        return Err("channel.from.id is blank".to_owned());
    }
    if !["Email", "Phone", "Opaque"].contains(&from.id_type.as_str()) {
        return Err(format!("channel.from.idType {:?} is none", from.id_type));
    }
    if time.parse::<Timestamp>().is_err() {
        return Err(format!("channel.time {time:?} is no time"));
    }
    if inbound.content.len() > 1 {
        return Err("only one attachment is allowed".to_owned());
    }
    if inbound.text.trim().is_empty() && inbound.content.is_empty() {
        return Err("a message needs text or content".to_owned());
    }
    for Content { attachment } in &inbound.content {
        if !["Image", "Video", "Audio", "File", "Link"].contains(&attachment.media_type.as_str()) {
            return Err(format!("attachment.mediaType {:?} is none", attachment.media_type));
        }
        if !attachment.url.starts_with("https://") && !attachment.url.starts_with("http://") {
            return Err("attachment.url is no URL".to_owned());
        }
    }
    Ok(())
}

pub(super) fn rfc3339(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map(|at| format!("{at:.3}")).unwrap_or_default()
}
