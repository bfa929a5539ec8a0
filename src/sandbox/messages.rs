//! `POST /api/v2/conversations/messages`: voice messages into one conversation, all or none.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::account::{Account, Post};
use super::core::{Call, Sandbox};
use super::oauth::media_type_is;
use super::wire::{Problem, Reply};

const BODY_BYTES_MAX: usize = 2_000_000;
const TRANSCRIPT_BYTES_MAX: usize = 4_096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    conversation_id: Cow<'a, str>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Message<'a> {
    #[serde(borrow)]
    sender_id: Cow<'a, str>,
    #[serde(borrow)]
    media: Vec<MediaItem<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MediaItem<'a> {
    #[serde(borrow)]
    media_id: Cow<'a, str>,
    #[serde(borrow)]
    media_url: Cow<'a, str>,
    #[serde(borrow)]
    media_type: Cow<'a, str>,
    #[serde(borrow)]
    transcript: Cow<'a, str>,
}

#[derive(Serialize)]
struct BatchAnswer {
    messages: Vec<MessageAnswer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageAnswer {
    message_id: String,
}

impl Sandbox {
    /// Posts every message of the batch, in order, or refuses the batch and posts none.
    pub(super) fn post(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        let body = &call.request.body;
        if body.len() > BODY_BYTES_MAX {
            let length = body.len();
            let message = format!("Body of {length} bytes is over the limit of {BODY_BYTES_MAX}.");
            return Err(Problem::new(413, "request.entity.too.large", message));
        }
        let content_type = call.request.header("content-type").unwrap_or_default();
        if !media_type_is(content_type, "application/json") {
            return Err(Problem::of_status(415));
        }
        let batch: Batch<'_> = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("body refused: {error}")))?;
        if self.closed_conversations.contains(&*batch.conversation_id) {
            let message = format!("Conversation {} not found.", batch.conversation_id);
            return Err(Problem::new(404, "conversation.not.found", message));
        }
        check(&batch, &self.account, call.now_ms)?;
        self.post_calls += 1;
        let message_ids: Vec<_> = batch.messages.iter().map(|_| self.next_uuid()).collect();
        for (message, message_id) in batch.messages.iter().zip(&message_ids) {
            for item in &message.media {
                self.account.record_post(Post {
                    conversation_id: batch.conversation_id.clone().into_owned(),
                    sender_id: message.sender_id.clone().into_owned(),
                    media_id: item.media_id.clone().into_owned(),
                    transcript: item.transcript.clone().into_owned(),
                    message_id: message_id.clone(),
                    call: self.post_calls,
                    arrived_at_ms: call.now_ms,
                });
            }
        }
        let messages = message_ids.into_iter().map(|message_id| MessageAnswer { message_id });
        Ok(Reply::json(200, &BatchAnswer { messages: messages.collect() }))
    }
}

fn check(batch: &Batch<'_>, account: &Account, now_ms: i64) -> Result<(), Problem> {
    if batch.conversation_id.trim().is_empty() {
        return Err(Problem::bad_request("conversationId is blank"));
    }
    if batch.messages.is_empty() {
        return Err(Problem::bad_request("messages is empty"));
    }
    for (index, message) in batch.messages.iter().enumerate() {
        let refuse = |why: &str| Problem::bad_request(format!("messages[{index}]: {why}"));
        if message.sender_id.trim().is_empty() {
            return Err(refuse("senderId is blank"));
        }
        if message.media.is_empty() {
            return Err(refuse("media is empty"));
        }
        for item in &message.media {
            check_item(item, account, now_ms).map_err(&refuse)?;
        }
    }
    Ok(())
}

fn check_item(item: &MediaItem<'_>, account: &Account, now_ms: i64) -> Result<(), &'static str> {
    let upload = account.upload(&item.media_id).ok_or("mediaId is unknown")?;
    if upload.deleted_at_ms.is_some() {
        return Err("mediaId was deleted");
    }
    if upload.media_url != *item.media_url {
        return Err("mediaUrl is not that of the upload");
    }
    if upload.url_expires_at_ms <= now_ms {
        return Err("mediaUrl has expired");
    }
    if upload.media_type != *item.media_type {
        return Err("mediaType is not that of the upload");
    }
    if item.transcript.trim().is_empty() {
        return Err("transcript is blank");
    }
    if item.transcript.len() > TRANSCRIPT_BYTES_MAX {
        return Err("transcript is over 4096 bytes");
    }
    Ok(())
}
