//! Agents' answers to open messages: what is sent to the integration's webhook, when, how often,
//! and what becomes of it. Source: the platform's page on outbound messages.
//!
//! Pure: the shell takes the calls that are due with [`Sandbox::webhook_call_due`], makes them, and
//! tells with [`Sandbox::webhook_called`] how they ended.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::account::rfc3339 as time;
use super::core::Sandbox;
use super::open_messages::rfc3339;
use super::receipts::Receipt;

/// The longest answer the platform lets an agent write, in characters.
const TEXT_CHARS_MAX: usize = 4_000;
/// Calls after the first, where that brought a timeout, 429 or 5xx.
const RETRIES_MAX: u32 = 5;
/// How long a webhook has to answer.
const ANSWER_WITHIN_MS: i64 = 10_000;
/// Until a call that was taken counts as lost: its time to answer, and some for its end to be told.
const TAKEN_MS: i64 = ANSWER_WITHIN_MS + 1_000;

/// Where the integration's outbound messages go.
///
/// Deliberately without `Debug`: it holds a secret.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `http` or `https`; empty: agents cannot answer.
    pub url: String,
    /// The key of the signature.
    pub secret: String,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerState {
    /// The webhook has not taken it yet.
    Queued,
    /// The webhook answered 2xx.
    DeliveredToWebhook,
    /// The webhook refused it, or did not take it with any call.
    Failed,
}

/// One answer of an agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentAnswer {
    /// The id of the outbound message.
    pub id: String,
    /// The conversation it belongs to.
    pub conversation_id: String,
    /// The guest it is for.
    pub guest_id: String,
    /// What the agent wrote.
    pub text: String,
    /// When the agent wrote it.
    #[serde(rename = "answered_at", serialize_with = "time")]
    pub answered_at_ms: i64,
    /// How far it is.
    pub state: AnswerState,
    /// Calls of the webhook so far.
    pub tries: u32,
    /// How the last call ended, where it did not end with 2xx.
    pub trouble: Option<String>,
    /// What the other side told of it, in the order of arrival.
    pub receipts: Vec<Receipt>,
    #[serde(skip)]
    due_at_ms: i64,
    /// The call's bytes: the same with each retry.
    #[serde(skip)]
    body: Bytes,
    #[serde(skip)]
    message: Value,
}

/// A call to the webhook that is to be made now.
#[derive(Clone, Debug)]
pub struct WebhookCall {
    /// The answer it carries.
    pub answer_id: String,
    /// Where to.
    pub url: String,
    /// Of the header `X-Hub-Signature-256`.
    pub signature: String,
    /// The JSON.
    pub body: Bytes,
    /// How long to wait for the answer.
    pub answer_within_ms: u64,
}

/// How a call of the webhook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookEnd {
    /// With this status.
    Status(u16),
    /// Without an answer in time, for this reason.
    NoAnswer(String),
}

/// Why an agent cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerRefused {
    /// It has no text.
    #[error("the text is blank")]
    Blank,
    /// It is longer than the platform allows.
    #[error("the text has {0} characters, more than {TEXT_CHARS_MAX}")]
    TooLong(usize),
    /// No open message has begun such a conversation, or it is closed.
    #[error("no such open conversation")]
    NoConversation,
    /// The integration names no webhook.
    #[error("no webhook is set: POST /sandbox/webhook, or --webhook-url")]
    NoWebhook,
}

impl AnswerRefused {
    pub(super) fn status(&self) -> u16 {
        match self {
            AnswerRefused::Blank | AnswerRefused::TooLong(_) => 400,
            AnswerRefused::NoConversation => 404,
            AnswerRefused::NoWebhook => 409,
        }
    }
}

impl WebhookEnd {
    fn may_pass(&self) -> bool {
        matches!(self, WebhookEnd::NoAnswer(_) | WebhookEnd::Status(429 | 500..))
    }
}

impl AgentAnswer {
    /// The platform's word for how far it is.
    pub(super) fn message_status(&self) -> &'static str {
        let told = self.receipts.last().map(|receipt| receipt.status.as_str());
        match (self.state, told) {
            (_, Some("Delivered")) => "delivery-success",
            (_, Some(_)) => "delivery-failed",
            (AnswerState::Queued, None) => "queued",
            (AnswerState::DeliveredToWebhook, None) => "sent",
            (AnswerState::Failed, None) => "failed",
        }
    }

    /// It as `GET …/messages/{messageId}/details` tells it.
    pub(super) fn details(&self) -> Value {
        let receipts = self.receipts.iter().map(|receipt| {
            json!({
                "id": self.id,
                "type": "Receipt",
                "status": receipt.status,
                "reasons": receipt.reasons,
                "isFinalReceipt": receipt.is_final,
            })
        });
        json!({
            "id": self.id,
            "timestamp": rfc3339(self.answered_at_ms),
            "direction": "outbound",
            "messengerType": "open",
            "status": self.message_status(),
            "normalizedMessage": self.message,
            "normalizedReceipts": receipts.collect::<Vec<_>>(),
            "conversationId": self.conversation_id,
        })
    }

    /// The outbound message, as the webhook is sent it.
    pub(super) fn message(&self) -> &Value {
        &self.message
    }
}

impl Sandbox {
    /// An agent answers in an open conversation; the id of the outbound message. It is sent as soon
    /// as the shell looks.
    ///
    /// # Errors
    /// Where the text or the conversation is none, or no webhook is set.
    pub fn answer_guest(
        &mut self,
        conversation_id: &str,
        text: &str,
        now_ms: i64,
    ) -> Result<String, AnswerRefused> {
        let text = text.trim();
        let chars = text.chars().count();
        if text.is_empty() {
            return Err(AnswerRefused::Blank);
        }
        if chars > TEXT_CHARS_MAX {
            return Err(AnswerRefused::TooLong(chars));
        }
        let closed = self.closed_conversations.contains(conversation_id);
        let guest_id = self.open.guest_of(conversation_id).filter(|_| !closed);
        let guest_id = guest_id.ok_or(AnswerRefused::NoConversation)?.to_owned();
        if self.webhook.url.is_empty() {
            return Err(AnswerRefused::NoWebhook);
        }
        let id = self.next_uuid();
        let integration_id = &self.settings.integration_id;
        let message = json!({
            "id": id,
            "channel": {
                "id": integration_id,
                "platform": "Open",
                "type": "Private",
                "to": { "id": guest_id, "idType": "Opaque" },
                "from": { "id": integration_id, "nickname": "Agent" },
                "time": rfc3339(now_ms),
            },
            "type": "Text",
            "text": text,
            "direction": "Outbound",
            "originatingEntity": "Human",
        });
        self.answers.push(AgentAnswer {
            id: id.clone(),
            conversation_id: conversation_id.to_owned(),
            guest_id,
            text: text.to_owned(),
            answered_at_ms: now_ms,
            state: AnswerState::Queued,
            tries: 0,
            trouble: None,
            receipts: Vec::new(),
            due_at_ms: now_ms,
            body: Bytes::from(message.to_string()),
            message,
        });
        Ok(id)
    }

    /// All answers there have been, in their order.
    pub fn answers(&self) -> &[AgentAnswer] {
        &self.answers
    }

    /// Sends answers there from now on, those included that wait for a retry.
    pub fn set_webhook(&mut self, webhook: Webhook) {
        self.webhook = webhook;
    }

    /// The next call to make, which counts as begun; `None` where none is due. One whose end is not
    /// told is due again once the webhook's time is over.
    pub fn webhook_call_due(&mut self, now_ms: i64) -> Option<WebhookCall> {
        let due = |answer: &&mut AgentAnswer| {
            answer.state == AnswerState::Queued && answer.due_at_ms <= now_ms
        };
        let answer = self.answers.iter_mut().find(due)?;
        answer.tries += 1;
        answer.due_at_ms = now_ms + TAKEN_MS;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.webhook.secret.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, &answer.body));
        Some(WebhookCall {
            answer_id: answer.id.clone(),
            url: self.webhook.url.clone(),
            signature: format!("sha256={signature}"),
            body: answer.body.clone(),
            answer_within_ms: ANSWER_WITHIN_MS.unsigned_abs(),
        })
    }

    /// A call has ended: the answer is delivered, waits for the next call, or has failed.
    pub fn webhook_called(&mut self, answer_id: &str, end: &WebhookEnd, now_ms: i64) {
        let waits = |answer: &&mut AgentAnswer| {
            answer.id == answer_id && answer.state == AnswerState::Queued
        };
        let Some(answer) = self.answers.iter_mut().find(waits) else { return };
        answer.trouble = match end {
            WebhookEnd::Status(200..300) => None,
            WebhookEnd::Status(status) => Some(format!("status {status}")),
            WebhookEnd::NoAnswer(reason) => Some(reason.clone()),
        };
        if answer.trouble.is_none() {
            answer.state = AnswerState::DeliveredToWebhook;
        } else if end.may_pass() && answer.tries <= RETRIES_MAX {
            answer.due_at_ms = now_ms + i64::from(self.settings.webhook_retry_pause_ms);
        } else {
            answer.state = AnswerState::Failed;
        }
    }
}
