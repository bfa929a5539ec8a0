//! `POST /api/v2/conversations/messages/{integrationId}/inbound/open/receipt`: what the other side
//! tells of an agent's answer. Source: the public API's description.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::account::rfc3339 as time;
use super::answers::AgentAnswer;
use super::core::{Call, Sandbox};
use super::open_messages::{read, segment_before};
use super::wire::{Problem, Reply};

const END: &str = "/inbound/open/receipt";
const REASON_CODES: [&str; 13] = [
    "MessageExpired",
    "RateLimited",
    "MessageNotAllowed",
    "GeneralError",
    "UnsupportedMessage",
    "UnknownMessage",
    "InvalidMessageStructure",
    "InvalidDestination",
    "ServerError",
    "MediaTypeNotAllowed",
    "InvalidMediaContentLength",
    "RecipientOptedOut",
    "DataFiltered",
];

/// What was told of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// `Delivered` or `Failed`.
    pub status: String,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Whether no other follows.
    pub is_final: bool,
    /// When it arrived.
    #[serde(rename = "arrived_at", serialize_with = "time")]
    pub arrived_at_ms: i64,
}

/// Why a message is where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// One of the description's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For people.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inbound {
    id: String,
    channel: Channel,
    status: String,
    #[serde(default)]
    reasons: Vec<Reason>,
    #[serde(default)]
    is_final_receipt: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    to: To,
    time: String,
}

/// The rest of a recipient is read-only, and ignored where it is sent along.
#[derive(Deserialize)]
struct To {
    id: String,
}

/// Whether this is the path of a receipt.
pub(super) fn is_receipt(path: &str) -> bool {
    let id = segment_before(path, END);
    !id.is_empty() && !id.contains('/')
}

impl Sandbox {
    /// Records a receipt with the answer it is about.
    pub(super) fn inbound_receipt(&mut self, call: &Call<'_>) -> Result<Reply, Problem> {
        self.check_active(segment_before(&call.request.path, END))?;
        let Inbound { id, channel, status, reasons, is_final_receipt } = read(call)?;
        let answer = self.answers.iter_mut().find(|answer| answer.id == id);
        let answer =
            answer.ok_or_else(|| Problem::not_found(format!("no outbound message {id}")))?;
        check(&channel, &status, &reasons, answer).map_err(Problem::bad_request)?;
        let mut sent = answer.message()["channel"].clone();
        sent["time"] = json!(channel.time);
        // The description of this answer asks for it; that of the webhook's message does not.
        sent["from"]["idType"] = json!("Opaque");
        let told = json!({
            "id": id,
            "channel": sent,
            "type": "Receipt",
            "status": status,
            "reasons": reasons,
            "isFinalReceipt": is_final_receipt,
            "direction": "Outbound",
        });
        let arrived_at_ms = call.now_ms;
        answer.receipts.push(Receipt {
            status,
            reasons,
            is_final: is_final_receipt,
            arrived_at_ms,
        });
        Ok(Reply::json(200, &told))
    }
}

fn check(
    channel: &Channel,
    status: &str,
    reasons: &[Reason],
    answer: &AgentAnswer,
) -> Result<(), String> {
    if channel.to.id != answer.guest_id {
        return Err("channel.to.id is not whom the message was for".to_owned());
    }
    if channel.time.parse::<Timestamp>().is_err() {
        return Err(format!("channel.time {:?} is no time", channel.time));
    }
    if !["Delivered", "Failed"].contains(&status) {
        return Err(format!("status {status:?} is neither Delivered nor Failed"));
    }
    let codes = reasons.iter().filter_map(|reason| reason.code.as_deref());
    match codes.into_iter().find(|code| !REASON_CODES.contains(code)) {
        Some(code) => Err(format!("reasons.code {code:?} is none")),
        None => Ok(()),
    }
}
