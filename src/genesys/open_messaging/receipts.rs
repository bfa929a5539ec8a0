//! `POST …/inbound/open/receipt`: what became of an agent's message. Source: the Open Messaging API
//! of the public platform, which takes `Delivered` and `Failed` only.

use bytes::Bytes;
use serde_json::json;

use super::super::api::Api;
use super::super::transport::{Call, CallName, Method};
use super::answers;
use crate::domain::{Failure, ReplyOutcome, ReplyReceipt};

/// Tells Genesys; the answer's body says nothing that is needed.
pub(super) async fn tell(
    api: &Api,
    integration_id: &str,
    receipt: &ReplyReceipt,
) -> Result<(), Failure> {
    let reason = match receipt.outcome {
        ReplyOutcome::Delivered => None,
        ReplyOutcome::Expired => Some(("MessageExpired", "the guest did not come for it in time")),
        ReplyOutcome::Unsupported => {
            Some(("UnsupportedMessage", "it has neither text nor a file to show to the guest"))
        }
    };
    let mut body = json!({
        "id": receipt.reply_id,
        "channel": {
            "to": { "id": receipt.sender_id },
            "time": receipt.at,
        },
        "status": if reason.is_none() { "Delivered" } else { "Failed" },
        "isFinalReceipt": true,
    });
    if let Some((code, message)) = reason {
        body["reasons"] = json!([{ "code": code, "message": message }]);
    }
    let url = format!(
        "{}/api/v2/conversations/messages/{integration_id}/inbound/open/receipt",
        api.base_url
    );
    let headers = vec![("content-type", "application/json".to_owned())];
    let (name, method, body) = (CallName::Receipt, Method::Post, Bytes::from(body.to_string()));
    answers::receipt(api.call(Call { name, method, url, headers, due_at: None, body }).await)
}
